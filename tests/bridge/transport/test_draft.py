"""Drafts: lines become the request that JSON would have been."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RequestError
from bridge.messages import DEFAULT_STEMS, Render, decode_shape
from bridge.timeline import Clock
from bridge.transport.draft import EXPIRES, MAX_DRAFTS, MAX_LINES, Draft, Drafts, tempi2pairs
from bridge.transport.osc_table import ANSWERS, KINDS, TABLE, osc_table


def drafted(*lines: tuple[str, list[object]]) -> Render:
    draft = Draft("job", "me", 0, 0.0)
    for name, values in lines:
        draft.line(name, values)
    request = decode_shape(draft.request())
    assert isinstance(request, Render)
    return request


def test_every_line_arrives_in_the_request(tmp_path: Path) -> None:
    request = drafted(
        ("project", ["Song", str(tmp_path)]),
        ("rate", [44100]),
        ("clock", [0, 0]),
        ("clock", [32.0, 16.5]),
        ("metre", [0, 6, 8]),
        ("key", [0, "A", "Minor"]),
        ("section", ["Verse 1", "verse", 0, 16]),
        ("section", ["Chorus", "chorus", 16.0, 32.0, 0.5]),
        ("track", ["Keys", "keys", "k.mid", "follow", 4]),
        ("track", ["Demo", "", "demo.wav", "vary"]),
        ("reference", ["ref.flac", 1.5, 0.0]),
        ("reference", ["ref.wav", 0, 4]),
        ("stem", ["guitar", "Guitar 2", "nylon"]),
        ("stem", ["drums"]),
        ("style", ["late soul"]),
        ("seed", [7]),
        ("takes", [2]),
        ("composer", ["band"]),
        ("renderer", ["guide"]),
        ("soundfont", ["own.sf2"]),
    )
    arrangement = request.arrangement
    assert (request.project.name, request.project.root) == ("Song", str(tmp_path))
    assert (arrangement.sample_rate, arrangement.clock) == (44100, ((0.0, 0.0), (32.0, 16.5)))
    assert [(m.beats, m.unit) for m in arrangement.metres] == [(6, 8)]
    assert [(k.tonic, k.mode) for k in arrangement.keys] == [("A", "minor")]
    assert [(s.name, s.end, s.energy) for s in arrangement.sections] == [("Verse 1", 16, None), ("Chorus", 32, 0.5)]
    assert [(t.midi, t.audio, t.role, t.start, t.use) for t in arrangement.tracks] == [
        ("k.mid", None, "keys", 4, "follow"),
        (None, "demo.wav", None, 0, "vary"),
    ]
    assert [(r.audio, r.from_second, r.seconds) for r in arrangement.references] == [
        ("ref.flac", 1.5, None),
        ("ref.wav", 0, 4),
    ]
    assert [(s.role, s.title, s.instrument) for s in request.stems] == [
        ("guitar", "Guitar 2", "nylon"),
        ("drums", "drums", ""),
    ]
    assert (request.style, request.seed, request.takes) == ("late soul", 7, 2)
    assert (request.composer, request.renderer, request.soundfont) == ("band", "guide", "own.sf2")


def test_a_short_draft_has_the_usual_rest() -> None:
    request = drafted(("tempo", [0, 120]), ("section", ["A", "verse", 0, 16]))
    assert request.arrangement.clock == ((0.0, 0.0), (16.0, 8.0))
    assert tuple(stem.role for stem in request.stems) == DEFAULT_STEMS
    assert (request.arrangement.sample_rate, request.seed, request.takes) == (48000, 0, 1)


@given(
    st.lists(st.tuples(st.floats(0.25, 64), st.floats(20, 400)), min_size=1, max_size=20),
    st.floats(0, 64),
    st.floats(0, 2000),
)
def test_tempo_lines_give_a_clock_with_those_tempi(steps: list[tuple[float, float]], first: float, end: float) -> None:
    beats = [first]
    for length, _ in steps[:-1]:
        beats.append(beats[-1] + length)
    tempi = list(zip(beats, (bpm for _, bpm in steps), strict=True))
    clock = Clock.from_pairs(tempi2pairs(tempi, end))
    assert (clock.start, clock.beat2second(0.0)) == (0.0, 0.0)
    assert clock.end >= end
    for beat, bpm in tempi:
        assert clock.bpm_at(beat) == pytest.approx(bpm)
    assert clock.bpm_at(0.0) == pytest.approx(tempi[0][1])


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [("tempo", [0, 120]), ("clock", [0, 0])],
        [("tempo", [0, 0])],
        [("tempo", [0, float("nan")])],
        [("tempo", [-1, 120])],
        [("tempo", [8, 120]), ("tempo", [8, 100])],
        [("tempo", [8, 120]), ("tempo", [4, 100])],
    ],
)
def test_a_draft_without_a_sound_clock_is_refused(lines: list[tuple[str, list[object]]]) -> None:
    with pytest.raises(RequestError, match=r"tempo|bpm"):
        drafted(*lines)


def test_drafts_belong_to_their_senders() -> None:
    drafts = Drafts()
    mine, yours = drafts.new("a", "me", 0), drafts.new("a", "you", 0)
    assert drafts.current("me") is mine
    assert drafts.current("you") is yours
    assert drafts.find("a", "me") is mine
    assert drafts.find("a", "stranger") is None
    with pytest.raises(RequestError, match="no open draft"):
        drafts.current("stranger")
    newer = drafts.new("b", "me", 0)
    assert drafts.current("me") is newer
    drafts.drop(newer)
    assert drafts.current("me") is mine


def test_a_draft_with_a_port_takes_lines_from_anybody_unless_there_are_two() -> None:
    drafts = Drafts()
    shared = drafts.new("a", "me", 9000)
    assert drafts.current("stranger") is shared
    assert drafts.find("a", "stranger") is shared
    drafts.new("b", "you", 9001)
    with pytest.raises(RequestError, match="several drafts"):
        drafts.current("stranger")
    assert drafts.new("a", "third", 9000) is drafts.find("a", "stranger")


def test_a_draft_that_was_sent_takes_no_more_lines() -> None:
    drafts = Drafts()
    draft = drafts.new("a", "me", 9000)
    draft.line("tempo", [0, 120])
    assert draft.request() == draft.request()
    for sender in ("me", "stranger"):
        assert drafts.find("a", sender) is draft
        with pytest.raises(RequestError, match="no open draft"):
            drafts.current(sender)


def test_drafts_expire_and_their_number_is_bounded() -> None:
    now = [0.0]
    drafts = Drafts(lambda: now[0])
    for i in range(MAX_DRAFTS):
        drafts.new(f"d{i}", "me", 0)
    with pytest.raises(RequestError, match="open already"):
        drafts.new("more", "me", 0)
    now[0] = EXPIRES / 2
    kept = drafts.current("me")
    now[0] = EXPIRES + 1.0
    assert drafts.current("me") is kept
    assert drafts.new("more", "me", 0)
    assert drafts.find("d0", "me") is None


def test_the_lines_of_a_draft_are_bounded() -> None:
    draft = Draft("a", "me", 0, 0.0)
    for i in range(MAX_LINES):
        draft.line("clock", [i, i])
    with pytest.raises(RequestError, match="at most"):
        draft.line("clock", [1e9, 1e9])


def test_the_table_is_whole() -> None:
    assert osc_table() is TABLE
    addresses = [row.address for row in TABLE]
    assert len(set(addresses)) == len(addresses)
    assert all(row.meaning and row.takes[0].name == "token" for row in TABLE)
    assert all(argument.kind in KINDS for row in TABLE for argument in row.takes)
    assert {row.does for row in TABLE if row.draft_line} <= set(dir(Draft))
    assert all(set(answer.tags) <= set("sif") and answer.meaning for answer in ANSWERS)
    for line in ("new", "tempo", "clock", "metre", "key", "section", "track", "reference", "stem", "style", "seed"):
        assert f"/stembridge/v1/draft/{line}" in addresses


@pytest.mark.parametrize(
    ("address", "tags", "fits"),
    [
        ("/draft/tempo", "sff", True),
        ("/draft/tempo", "sdd", True),
        ("/draft/tempo", "sii", True),
        ("/draft/tempo", "shd", True),
        ("/draft/tempo", "ss", False),
        ("/draft/tempo", "sf", False),
        ("/draft/tempo", "sfff", False),
        ("/draft/clock", "sdd", True),
        ("/draft/clock", "sdf", False),
        ("/draft/seed", "sf", False),
        ("/draft/section", "sssdd", True),
        ("/draft/section", "sssddf", True),
        ("/ping", "s", True),
        ("/ping", "si", True),
        ("/ping", "", False),
    ],
)
def test_arguments_are_checked_by_the_table(address: str, tags: str, fits: bool) -> None:
    row = next(row for row in TABLE if row.address == f"/stembridge/v1{address}")
    values: list[object] = [{"s": "x"}.get(tag, 1) for tag in tags]
    if fits:
        assert row.check(tags, values) == values
        return
    with pytest.raises(RequestError) as caught:
        row.check(tags, values)
    assert caught.value.field == row.address
    assert row.arguments in caught.value.hint
