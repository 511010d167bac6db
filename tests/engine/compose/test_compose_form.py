"""Sections become bars, levels, entries, fills and endings."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.arrangement import LABELS, Arrangement, MetreAt, Section
from bridge.errors import RequestError
from bridge.messages import StemWanted
from engine.compose.form import STREAM_ORDER, form2shape, request2form
from engine.compose.seats import stems2seats
from tests.engine.compose.songs import ALL_ROLES, SONG, song


def test_bars_are_cut_to_their_section_and_never_overlap() -> None:
    arrangement = Arrangement(
        44100,
        ((0.0, 0.0), (40.0, 20.0)),
        metres=(MetreAt(0.0, 4, 4), MetreAt(10.0, 3, 4)),
        sections=(Section("B", "chorus", 18.0, 30.5), Section("A", "verse", 2.0, 16.0)),
    )
    form = request2form(arrangement, arrangement.timeline())
    assert [f.name for f in form] == ["A", "B"]
    bars = [bar for f in form for bar in f.bars]
    assert [(b.start, b.end) for b in form[0].bars] == [(2.0, 4.0), (4.0, 8.0), (8.0, 10.0), (10.0, 13.0), (13.0, 16.0)]
    assert all(a.end <= b.start for a, b in pairwise(bars))
    for section in form:
        assert section.bars[0].start == section.start
        assert section.bars[-1].end == section.end


def test_index_counts_sections_of_a_label() -> None:
    request = song()
    form = request2form(request.arrangement, request.arrangement.timeline())
    assert [(f.label, f.index) for f in form if f.label in ("verse", "chorus")] == [
        ("verse", 0), ("chorus", 0), ("verse", 1), ("chorus", 1),
    ]  # fmt: skip


def shapes_of(sections=SONG, streams=STREAM_ORDER, seed=1, **more):
    request = song(sections)
    clock = request.arrangement.timeline()
    return form2shape(request2form(request.arrangement, clock), clock, streams, seed=seed, **more)


def test_intro_builds_outro_thins_and_ends() -> None:
    for seed in range(6):
        shapes = shapes_of(seed=seed)
        intro, outro = shapes[0].bars, shapes[-1].bars
        counts = [len(b.streams) for b in intro]
        assert counts == sorted(counts)
        assert counts[0] < counts[-1]
        assert min(len(b.streams) for b in outro[:-1]) < len(outro[0].streams)
        assert [b.ending for b in outro] == [False] * 3 + [True]
        assert outro[-1].level == "ending"


def test_chorus_is_bigger_than_verse() -> None:
    shapes = shapes_of()
    verse, chorus = shapes[1].bars[0], shapes[2].bars[0]
    assert verse.streams < chorus.streams
    assert (verse.level, chorus.level) == ("verse", "chorus")
    assert chorus.crash
    assert chorus.drive > verse.drive


def test_fill_before_each_change_and_a_big_one_before_a_chorus() -> None:
    shapes = shapes_of()
    assert shapes[1].bars[-1].fill == "big"
    assert shapes[2].bars[-1].fill == "small"
    assert all(not b.fill for b in shapes[1].bars[:-1])
    assert not shapes[-1].bars[-1].fill


def test_break_drops_the_drums_and_leads_back_in() -> None:
    shapes = shapes_of((("Verse", "verse", 4), ("Break", "break", 4), ("Drop", "drop", 4)))
    on_break = shapes[1].bars
    assert all("drums" not in b.streams for b in on_break[:-1])
    assert on_break[-1].fill == "big"
    assert "drums" in on_break[-1].streams


def test_a_loop_has_no_ending() -> None:
    assert not any(b.ending for s in shapes_of(loop=True) for b in s.bars)
    assert not any(b.ending for s in shapes_of((("Loop", "verse", 8),)) for b in s.bars)


@pytest.mark.parametrize("words", ["no drums", "quiet, without drums please"])
def test_words_silence_a_stream(words: str) -> None:
    shapes = shapes_of((("Verse", "verse", 4), ("Chorus", "chorus", 4)), words=("", words))
    assert all("drums" not in b.streams for b in shapes[1].bars)
    assert all("drums" in b.streams for b in shapes[0].bars)


def test_only_words_leave_the_named_stream() -> None:
    shapes = shapes_of((("Verse", "verse", 4), ("Chorus", "chorus", 4)), words=("only piano and bass", ""))
    assert {s for b in shapes[0].bars for s in b.streams} == {"comp", "bass"}


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.tuples(st.sampled_from(LABELS), st.integers(1, 9)), min_size=1, max_size=8),
    streams=st.lists(st.sampled_from(STREAM_ORDER), min_size=1, unique=True),
    seed=st.integers(0, 2**63 - 1),
)
def test_every_wanted_stream_plays_and_no_section_is_empty(labels, streams, seed) -> None:
    sections = [(f"S{i}", label, bars) for i, (label, bars) in enumerate(labels)]
    shapes = shapes_of(sections, streams, seed)
    assert all(any(stream in b.streams for s in shapes for b in s.bars) for stream in streams)
    assert all(any(b.streams for b in s.bars) for s in shapes)
    assert all(b.streams <= set(streams) for s in shapes for b in s.bars)
    assert all("drums" in b.streams for s in shapes for b in s.bars if b.fill or b.crash)


def test_vocals_are_refused_by_name() -> None:
    with pytest.raises(RequestError) as refused:
        stems2seats((StemWanted("drums"), StemWanted("vocals")))
    assert (refused.value.code, refused.value.field) == ("stem.vocals", "stems[1]")


def test_stems_sit_on_their_streams() -> None:
    seats = {s.title: (s.stream, s.rank) for s in stems2seats([StemWanted(r) for r in ("brass", *ALL_ROLES[:6])])}
    assert seats["keys"] == ("comp", 0)
    assert seats["guitar"] == ("comp", 1)
    assert seats["brass"] == ("comp", 2)
    assert seats["strings"] == ("pad", 1)
    assert stems2seats([StemWanted("brass")])[0].rank == 0
