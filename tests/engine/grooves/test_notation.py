"""The notation: what is read, and that every mistake names its file and line."""

from __future__ import annotations

import pytest

from bridge.errors import RequestError
from engine.grooves.notation import parse_groove

MARCH = """\
groove march
title  Plain march
tags   march, parade
metre  2/4
feel   straight
bpm    100-130
swing  0.55 16
lock   0.5
chords verse  major | I | V7/3 |
chords chorus major | IV | I . bVII . |
chords verse  minor | i | viio |

level verse
  drums
    kick  | x... x... |
    snare | ..X. ..xo | ..X. ...o |
  bass
    notes | 1-.. 5-/. | % |
    oct   | .... v... |
  comp rootless 55-76
    hits  | ..x- ..X. |
  pad
    hits  | x--- ---- | ---- ---- |
  arp 60-80
    notes | a.b. c.1. |
  lead
    notes | 5-u- D-.. | 3--- ..=. | 8... .... | 1--- ---. |
    dyn   | >... o... | .... .... | .... .... | .... .... |

level chorus crash
  drums
    kick  | x.x. x... |
    snare | ..X. ..Xx |
  bass
    notes | 1.1. 5.5. |
  comp
    hits  | X.x. X.x. |
  pad
    hits  | x--- x--- |
  arp
    notes | abcd efgh |
  lead
    notes | 8-8- 5--. |

fill
  drums
    kick  | x... .... |
    snare | x.xx XxXx |

level ending
  drums
    kick  | X... .... |
  bass
    notes | 1--- ---- |
  comp
    hits  | X--- ---- |
"""


def test_reads_header_and_progressions() -> None:
    march = parse_groove(MARCH, "march.groove")
    assert (march.name, march.title, march.tags) == ("march", "Plain march", ("march", "parade"))
    assert (march.beats, march.unit, march.feel, march.steps) == (2, 4, "straight", 8)
    assert (march.bpm_low, march.bpm_high, march.swing, march.swing_unit, march.lock) == (100, 130, 0.55, 16, 0.5)
    verse, chorus, minor = march.progressions
    assert [(c.degree, c.quality, c.bass, c.beats) for c in verse.chords] == [(0, "", None, 2), (4, "7", 4, 2)]
    assert [(c.degree, c.alter, c.beats) for c in chorus.chords] == [(3, 0, 2), (0, 0, 1), (6, -1, 1)]
    assert [c.quality for c in minor.chords] == ["m", "dim"]


def test_reads_cells() -> None:
    verse = parse_groove(MARCH, "march.groove").levels["verse"]
    drums = verse.streams["drums"]
    assert drums.bars == 2
    assert [(e.step, e.symbol, e.dynamic) for e in drums.bar(1)] == [
        (0, "kick", 0), (2, "snare", 1), (4, "kick", 0), (7, "snare", -1),
    ]  # fmt: skip
    bass = verse.streams["bass"]
    assert [(e.step, e.length, e.symbol, e.octave) for e in bass.bar(0)] == [
        (0, 2, "1", 0),
        (4, 2, "5", -1),
        (6, 1, "/", 0),
    ]
    assert [(e.step, e.length) for e in verse.streams["pad"].events] == [(0, 16)]
    lead = verse.streams["lead"]
    assert [e.dynamic for e in lead.bar(0)] == [1, 0, -1]
    assert (verse.streams["comp"].shape, verse.streams["comp"].low, verse.streams["comp"].high) == ("rootless", 55, 76)


def test_levels_that_are_not_written_are_derived() -> None:
    march = parse_groove(MARCH, "march.groove")
    assert set(march.levels) == {"intro", "verse", "chorus", "bridge", "ending"}
    assert {e.symbol for e in march.levels["intro"].streams["drums"].events} == {"kick"}
    assert "lead" not in march.levels["intro"].streams
    assert march.levels["bridge"].streams["pad"] == march.levels["chorus"].streams["pad"]
    assert march.levels["chorus"].crash
    assert not march.levels["verse"].crash


ALT = """
alt verse
  bass
    notes | 1... 3... |
"""
STOP = """
fill stop
  drums
    kick  | X... .... |
  bass
    notes | 1... .... |

fill pickup
  drums
    kick  | X... .... |
  bass
    notes | 1... 5.6/ |
"""


def test_an_alternative_makes_a_second_version() -> None:
    march = parse_groove(MARCH.replace("\nlevel chorus", ALT + "\nlevel chorus", 1), "march.groove")
    plain = parse_groove(MARCH, "march.groove")
    assert march.version(0) == march
    second = march.version(1)
    assert second.name == "march/2"
    assert [e.symbol for e in second.levels["verse"].streams["bass"].events] == ["1", "3"]
    assert second.levels["verse"].streams["comp"] == plain.levels["verse"].streams["comp"]
    assert second.levels["chorus"] == plain.levels["chorus"]
    assert second.levels["intro"].streams["bass"] == second.levels["verse"].streams["bass"]
    assert march.levels == plain.levels


def test_two_alternatives_of_a_level_and_one_of_another() -> None:
    chorus = ALT.replace("verse", "chorus")
    third = ALT.replace("1... 3...", "1... 5...")
    text = MARCH.replace("\nlevel chorus", ALT + third + "\nlevel chorus", 1).replace("\nfill", chorus + "\nfill", 1)
    march = parse_groove(text, "march.groove")
    assert len(march.alternatives) == 2
    basses = [
        [(e.symbol) for e in march.version(k).levels[name].streams["bass"].events]
        for k in (1, 2)
        for name in ("verse", "chorus")
    ]
    assert basses == [["1", "3"], ["1", "3"], ["1", "5"], ["1", "3"]]


def test_fills_have_kinds() -> None:
    march = parse_groove(MARCH.replace("\nlevel ending", STOP + "\nlevel ending", 1), "march.groove")
    assert [f.name for f in march.fills] == ["fill", "stop", "pickup"]


MISTAKES = {
    "an alternative of nothing": ("level verse", "alt verse", "needs the level before it"),
    "a fill of no kind": ("fill\n", "fill slowly\n", "no fill of kind 'slowly'"),
    "a step too few": (
        "kick  | x... x... |\n    snare | ..X. ..xo | ..X. ...o |",
        "kick  | x... x.. |",
        "has 7 steps, not 8",
    ),
    "no such stroke": ("kick  | x.x. x... |", "kick  | x.y. x... |", "no drum stroke"),
    "no such degree": ("notes | 1.1. 5.5. |", "notes | 1.0. 5.5. |", "means nothing to bass"),
    "no such lane": ("snare | x.xx XxXx |", "snear | x.xx XxXx |", "no row 'snear'"),
    "a lane never struck": ("    kick  | X... .... |", "    kick  | .... .... |", "never struck"),
    "a hold of nothing": ("notes | 8-8- 5--. |", "notes | .-8- 5--. |", "holds a note"),
    "three bars": ("notes | abcd efgh |", "notes | abcd efgh | % | % |", "a pattern has 1, 2 or 4"),
    "a repeat of nothing": ("notes | abcd efgh |", "notes | % |", "there is none"),
    "an open row": ("notes | abcd efgh |", "notes | abcd efgh", "a row is"),
    "no such shape": ("comp rootless 55-76", "comp rootles 55-76", "'rootles' after comp"),
    "a narrow register": ("comp rootless 55-76", "comp rootless 55-60", "range 55-60"),
    "no such chord": ("| I | V7/3 |", "| I | H7 |", "'H7' is no chord"),
    "no such quality": ("| I | V7/3 |", "| I | V13 |", "unknown quality '13'"),
    "no such slash bass": ("| I | V7/3 |", "| I | V7/9 |", "the bass is"),
    "an empty bar of chords": ("| I | V7/3 |", "| I | |", "empty bar"),
    "no such level": ("level chorus crash", "level refrain", "a level needs a name"),
    "a level twice": ("level chorus crash", "level verse", "written twice"),
    "a silent stream": ("notes | 8-8- 5--. |", "notes | .... .... |", "plays nothing"),
    "a metre without steps": ("metre  2/4", "metre  5/16\nlevel", "a level needs a name"),
    "a bad metre": ("metre  2/4", "metre  two", "metre 'two'"),
    "a bad tempo": ("bpm    100-130", "bpm    130-100", "slower tempo"),
    "too much swing": ("swing  0.55 16", "swing  0.75 16", "swing goes"),
    "a stranger in the header": ("tags   march, parade", "tag march", "before the first level"),
    "a header line too late": ("fill\n", "title Late\nfill\n", "belongs before"),
    "a stream twice": ("  comp\n    hits  | X.x. X.x. |", "  bass\n    notes | 1.1. 5.5. |", "written twice"),
    "a wrong octave sign": ("oct   | .... v... |", "oct   | .... x... |", "does not belong"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_names_file_and_line(name: str) -> None:
    before, after, message = MISTAKES[name]
    assert before in MARCH
    text = MARCH.replace(before, after, 1)
    with pytest.raises(RequestError) as caught:
        parse_groove(text, "march.groove")
    assert message in caught.value.message
    source, line = caught.value.field.split(":")
    assert source == "march.groove"
    changed = MARCH[: MARCH.index(before)].count("\n") + 1
    assert changed <= int(line) <= changed + after.count("\n")


@pytest.mark.parametrize("missing", ["title  Plain march\n", "bpm    100-130\n", "metre  2/4\n", "chords verse  major"])
def test_a_missing_header_line_is_named(missing: str) -> None:
    text = "\n".join(line for line in MARCH.splitlines() if not line.startswith(missing.split()[0]))
    with pytest.raises(RequestError, match="missing"):
        parse_groove(text, "march.groove")


@pytest.mark.parametrize(
    ("block", "named"), [("fill\n", "fill"), ("level ending\n", "ending"), ("level chorus crash\n", "chorus")]
)
def test_a_missing_level_is_named(block: str, named: str) -> None:
    blocks = MARCH.split("\n\n")
    text = "\n\n".join(b for b in blocks if not b.startswith(block))
    with pytest.raises(RequestError, match=named):
        parse_groove(text, "march.groove")


def test_verse_and_chorus_have_all_streams() -> None:
    text = MARCH.replace("  arp\n    notes | abcd efgh |\n", "")
    with pytest.raises(RequestError, match="chorus lacks arp"):
        parse_groove(text, "march.groove")
