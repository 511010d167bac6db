"""Readers of training sources, on small excerpts written here: WAD and MUS, ABC, chord charts, MMA, MIDI tracks."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.midinotes import SmfNote, SmfTrack
from bridge.timeline import Bar, Metre
from engine.diffusion.canvas import STREAMS
from engine.score import Key, Note
from engine.training.form import random_form
from engine.training.harmony import song2chords
from engine.training.heldout import held_out, is_held_out
from engine.training.sources import SourceMissing, charts, freedoom, mma, tunes
from engine.training.sources.abc import abc2tunes, read_length
from engine.training.sources.arranging import Voice, fitting, grid_of, hear, lay, notes2form, notes2song, tracks2voices
from engine.training.sources.wad import lump2midi, wad2lumps


def mus(*events: bytes) -> bytes:
    """A MUS lump of events."""
    body = b"".join(events)
    return b"MUS\x1a" + struct.pack("<HHHHHH", len(body), 16, 1, 0, 0, 0) + body


def wad(**lumps: bytes) -> bytes:
    """A WAD of lumps."""
    directory, data, at = b"", b"", 12
    for name, lump in lumps.items():
        directory += struct.pack("<ii8s", at, len(lump), name.encode())
        data, at = data + lump, at + len(lump)
    return b"PWAD" + struct.pack("<ii", len(lumps), at) + data + directory


SONG = mus(
    bytes((0x40, 0, 30)),  # channel 0: program 30
    bytes((0x90, 0x80 | 40, 90, 70)),  # press 40 at velocity 90, then wait 70 ticks: a beat
    bytes((0x00, 40)),  # release
    bytes((0x9F, 36, 0x81, 0x0C)),  # the drums' channel, velocity as before; wait 140
    bytes((0x10, 43)),  # press 43 and release it at once
    bytes((0x00, 43)),
    bytes((0x60,)),
)


def test_a_mus_lump_is_read_as_midi() -> None:
    (lump,) = dict(wad2lumps(wad(D_TEST=SONG, PLAYPAL=b"xyz"))).keys() - {"PLAYPAL"}
    song = lump2midi(dict(wad2lumps(wad(D_TEST=SONG)))[lump])
    assert song is not None
    now, seen = 0.0, []
    for message in song.tracks[0]:
        now += message.time / song.ticks_per_beat
        if message.type == "note_on":
            seen.append((now, message.channel, message.note, message.velocity))
    assert seen == [(0.0, 0, 40, 90), (1.0, 9, 36, 100), (3.0, 0, 43, 90)]
    assert [m.program for m in song.tracks[0] if m.type == "program_change"] == [30]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(SONG) - 1))
def test_a_cut_mus_lump_is_refused(length: int) -> None:
    cut = SONG[:length]
    if length < 4:
        assert lump2midi(cut) is None
    else:
        with pytest.raises((ValueError, struct.error)):
            lump2midi(cut)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60))
def test_what_is_no_wad_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="WAD"):
        list(wad2lumps(b"IWAD" + struct.pack("<ii", 3, len(data) + 1) + data))


def test_freedoom_is_missed_where_it_is_not(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="freedoom"):
        freedoom.wads(tmp_path)


def test_freedoom_pieces_come_from_its_wads_each_once(tmp_path: Path) -> None:
    (tmp_path / "freedoom1.wad").write_bytes(wad(D_E1M1=SONG, D_E2M1=SONG, MAP01=b""))
    assert [name for name, _ in freedoom.pieces(tmp_path)] == ["D_E2M1"]
    assert freedoom.origin(tmp_path).held_out == ("D_E2M1",)


ABC = """X: 1
T: The Test
M: 6/8
L: 1/8
K: Edor
|:E|B2B cdc|B^cd {g}e2=c|(3BcB A4|1 E6:|2 e6|]
"""


def test_a_tune_is_read_with_its_repeat_and_both_endings() -> None:
    (tune,) = abc2tunes(ABC)
    assert (tune.key, tune.beats, tune.unit, tune.title) == (Key(4, "dorian"), 6, 8, "The Test")
    starts = [n.start for n in tune.notes]
    assert starts == sorted(starts)
    first = [n.pitch for n in tune.notes[:9]]
    assert first == [64, 71, 71, 73, 74, 73, 71, 73, 74]  # c is sharp in E dorian
    assert tune.notes[10].pitch == 72  # a natural, for this bar
    triplet = [n.length for n in tune.notes if abs(n.length - 1 / 3) < 1e-9]
    assert len(triplet) == 6
    assert tune.notes[-1].pitch == 76
    assert [n.pitch for n in tune.notes].count(64) == 3  # two pick-ups and the first ending


def test_what_cannot_be_read_of_abc_is_left_out() -> None:
    assert abc2tunes(ABC.replace("K: Edor", "K: none")) == []
    assert abc2tunes(ABC.replace("M: 6/8", "M: free")) == []
    assert abc2tunes(ABC.replace("B2B", "[K:G]B2B")) == []
    assert abc2tunes("no tune at all") == []


@pytest.mark.parametrize(("text", "length"), [("", 1), ("2", 2), ("/", 0.5), ("//", 0.25), ("3/2", 1.5), ("/4", 0.25)])
def test_lengths_of_notes(text: str, length: float) -> None:
    assert float(read_length(text)) == length


def test_a_file_with_terms_of_its_own_stays_out() -> None:
    assert tunes.clear(ABC)
    assert not tunes.clear(ABC + "% for non-commercial use only\n")
    assert not tunes.clear("Copyright 1999\n" + ABC)


CHART = """**TRACK: Anything**
[MetaData]
key: Am | tempo: 90
time: 3/4 | mood: calm

[V1] (Verse - 2 Bars)
Chords: | Am . G/B | C7 |

[CH] (Chorus - 2 Bars)
Chords: | Fmaj7 . . | E7b9 . Am |
"""


def test_a_chart_says_form_and_chords() -> None:
    chart = charts.text2chart(CHART, "here")
    assert chart is not None
    assert [(s.label, len(s.bars)) for s in chart.sections] == [("verse", 2), ("chorus", 2)]
    assert [(c.beat, c.beats, c.root, c.quality, c.bass) for c in chart.chords] == [
        (0, 2, 9, "m", None), (2, 1, 7, "", 11), (3, 3, 0, "7", None), (6, 3, 5, "maj7", None), (9, 2, 4, "7", None),
        (11, 1, 9, "m", None),
    ]  # fmt: skip
    sections, key, chords = chart.moved(3)
    assert (sections, key.tonic, chords[1].bass) == (chart.sections, 0, 2)


def test_a_chart_that_cannot_be_read_is_left_out() -> None:
    assert charts.text2chart(CHART.replace("C7", "Q7"), "here") is None
    assert charts.text2chart(CHART.replace("3/4", "3/2"), "here") is None
    assert charts.text2chart(CHART.replace("key: Am", ""), "here") is None


LIBRARY_FILE = "Time 3\nTimeSig 3 4\nDefGroove Oompah  plain\nDefGroove OompahFill\nDefGroove OompahEnd\n"


def test_a_family_of_grooves_is_read_from_its_file() -> None:
    family = mma.text2family("oompah", LIBRARY_FILE)
    assert family is not None
    assert (family.metre, family.grooves, family.fills, family.ends) == (
        (3, 4),
        ("Oompah",),
        ("OompahFill",),
        ("OompahEnd",),
    )
    assert mma.text2family("oompah", LIBRARY_FILE.replace("Time 3", "Time 2")) is None


def test_an_mma_file_has_a_line_for_every_bar() -> None:
    family = mma.text2family("oompah", LIBRARY_FILE)
    assert family is not None
    rng = np.random.default_rng(2)
    sections = random_form(Metre(0.0, 3, 4), rng)
    text, fills = mma.play(family, sections, song2chords(sections, Key(0, "major"), rng), rng)
    lines = [x for x in text.splitlines() if x[0].isdigit()]
    assert [int(x.split()[0]) for x in lines] == list(range(1, sum(len(s.bars) for s in sections) + 1))
    assert all(len(x.split()) == 4 for x in lines)
    assert len(fills) == len(lines)


def test_mma_plays_the_bars_it_is_asked_for() -> None:
    try:
        pool = [f for f in mma.families() if f.name == "bossanova"]
    except SourceMissing as missing:
        pytest.skip(str(missing))
    song = next(s for s in (mma.make(i, 5, pool, ()) for i in range(3)) if s is not None)
    assert song.groove == "mma/bossanova"
    assert {"drums", "bass", "comp"} <= {s for s in STREAMS if song.canvas.notes[s]}
    assert all(n.start < song.canvas.bars[-1].end for s in STREAMS for n in song.canvas.notes[s])
    again = next(s for s in (mma.make(i, 5, pool, ()) for i in range(3)) if s is not None)
    assert again.canvas.notes == song.canvas.notes


def notes_at(*starts: float, pitch: int = 60, length: float = 0.25) -> tuple[Note, ...]:
    return tuple(Note(s, length, pitch, 90) for s in starts)


def test_grids_are_told_by_onsets() -> None:
    assert grid_of([0.0, 0.25, 0.5, 1.75]) == 4
    assert grid_of([0.0, 1 / 3, 2 / 3, 1.0, 4 / 3]) == 3
    assert grid_of(np.random.default_rng(0).random(400).tolist()) is None


def test_voices_go_where_they_can_be_said() -> None:
    line = notes_at(*np.arange(0, 8, 0.25), pitch=70)
    assert fitting("lead", line) == "lead"
    assert fitting("lead", (*line, *notes_at(*np.arange(0, 8, 0.25), pitch=74))) == "comp"
    assert fitting("bass", notes_at(0, 1, 2, 3, pitch=36)) == "bass"
    assert fitting("comp", notes_at(0, 4, 8, pitch=60, length=4.0)) == "pad"
    kit = SmfTrack("kit", 9, None, tuple(SmfNote(float(i), 0.1, p, 90) for i, p in enumerate((35, 40, 42, 20, 57))))
    (voice,) = tracks2voices([kit])
    assert [n.pitch for n in voice.notes] == [36, 38, 42, 49]


def test_in_each_block_the_busiest_voice_of_a_stream_plays() -> None:
    one = Voice("lead", notes_at(0, 1, 2, 3, 9, pitch=70))
    two = Voice("lead", notes_at(1, 8, 9, 10, pitch=75))
    laid = lay([one, two], [(0.0, 8.0), (8.0, 16.0)], None)
    assert [(n.start, n.pitch) for n in laid["lead"]] == [
        (0, 70),
        (1, 70),
        (2, 70),
        (3, 70),
        (8, 75),
        (9, 75),
        (10, 75),
    ]


def test_blocks_that_sound_alike_share_a_label_and_the_loud_one_is_the_chorus() -> None:
    metre = Metre(0.0, 4, 4)
    bars = [Bar(i, 4.0 * i, 4.0 * i + 4, metre) for i in range(32)]
    quiet = [n for b in (*range(8), *range(16, 24)) for n in notes_at(4.0 * b, 4.0 * b + 2, pitch=48)]
    loud = [n for b in (*range(8, 16), *range(24, 32)) for n in notes_at(*(4.0 * b + k for k in range(4)), pitch=52)]
    notes = {**dict.fromkeys(STREAMS, ()), "bass": tuple(sorted((*quiet, *loud), key=lambda n: n.start))}
    sections = notes2form(notes, bars)
    assert [s.label for s in sections] == ["verse", "chorus", "verse", "chorus"]
    assert sections[1].energy > sections[0].energy
    key, chords = hear(notes, [metre], 128.0)
    song = notes2song("x", notes, sections, chords, key, 4, up=2)
    assert {n.pitch for n in song.canvas.notes["bass"]} == {50, 54}
    assert song.playing[:, STREAMS.index("bass")].all()
    assert not song.playing[:, STREAMS.index("drums")].any()


def test_what_is_held_out_is_told_by_name() -> None:
    assert all(map(is_held_out, ("funk", "mma/bossanova", "freedoom/D_E2M4", "tunes/airdsAirs")))
    assert not any(map(is_held_out, ("pop", "mma/polka", "freedoom/D_E1M1", "tunes/oneills1850")))
    assert [s.groove for s in held_out("book", 2)] == [s.groove for s in held_out("book", 2)]
    with pytest.raises(ValueError, match="no source"):
        held_out("radio", 1)
