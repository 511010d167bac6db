"""What the band writes: where it plays, in which key, how it repeats, how it answers seeds and odd requests."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.arrangement import LABELS, MODES, TONICS, Arrangement, KeyAt, MetreAt, Section
from bridge.errors import RequestError
from bridge.messages import Render, StemWanted
from engine.compose.form import form2shape
from engine.compose.measure import (
    chord_tone_rate,
    in_key_rate,
    kick_bass_agreement,
    kick_on_one,
    onsets,
    overlap,
    root_rate,
    same_label_similarity,
)
from engine.compose.seats import RANGES, stems2seats
from engine.score import Score
from tests.engine.compose.songs import ALL_ROLES, SHORT, SONG, composed, inside, song


def bars_of(score: Score):
    return [bar for section in score.sections for bar in section.bars]


def assert_well_formed(score: Score, request: Render) -> None:
    assert [(p.name, p.role) for p in score.parts] == [(s.title, s.role) for s in request.stems]
    spans = [(f.start, f.end) for f in score.sections]
    for part in score.parts:
        assert list(part.notes) == sorted(part.notes, key=lambda n: (n.start, n.pitch))
        for note in part.notes:
            assert any(a - 1e-6 <= note.start and note.end <= b + 1e-6 for a, b in spans), (part.name, note)
            assert note.length > 0
            assert 1 <= note.velocity <= 127
            low, high = RANGES.get(part.role, (27, 87))
            assert low - 5 <= note.pitch <= high + 5
    for section in score.sections:
        covered = sum(c.beats for c in score.chords if section.start - 1e-6 <= c.beat < section.end - 1e-6)
        assert covered == pytest.approx(section.end - section.start, abs=1e-4)


def test_every_wanted_stem_plays_where_it_is_active() -> None:
    request = song()
    score = composed(request)
    assert_well_formed(score, request)
    clock = request.arrangement.timeline()
    seats = stems2seats(request.stems)
    shapes = form2shape(score.sections, clock, [s.stream for s in seats], words=[""] * 6, seed=request.seed)
    for seat in seats:
        notes = score.part(seat.title).notes
        for shape in shapes:
            bars = [b.bar for b in shape.bars if seat.stream in b.streams]
            silent = [b for b in bars if not inside(notes, b.start, b.end)]
            assert len(silent) <= len(bars) // 2, (seat.title, shape.section.name)
            absent = [b.bar for b in shape.bars if seat.stream not in b.streams]
            assert not any(inside(notes, b.start, b.end) for b in absent)


@pytest.mark.parametrize("style", ["pop", "funk", "swing jazz", "bossa nova", "trap", "metal", "reggae", "house"])
def test_it_is_music_by_the_numbers(style: str) -> None:
    score = composed(song(style=style, key=("A", "minor")))
    bars = bars_of(score)
    drums, bass, lead = (score.part(n).notes for n in ("drums", "bass", "lead"))
    assert root_rate(bass, bars, score.chords) > 0.6
    assert chord_tone_rate(lead, bars, score.chords) > 0.75
    assert same_label_similarity(lead, score.sections, score.chords) > 0.5
    assert kick_bass_agreement(drums, bass, bars) > 0.15
    assert kick_on_one(drums, bars) > 0.3
    for part in score.parts:
        if part.role != "drums":
            assert in_key_rate(part.notes, score.key) >= 0.98, part.name


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(sorted(TONICS)), st.sampled_from(MODES), st.integers(0, 1000))
def test_all_keys_and_modes_stay_in_key(tonic: str, mode: str, seed: int) -> None:
    score = composed(song(SHORT, key=(tonic, mode), stems=("bass", "keys", "lead", "pad", "arp"), seed=seed))
    assert (score.key.tonic, score.key.mode) == (TONICS[tonic], mode)
    for part in score.parts:
        assert in_key_rate(part.notes, score.key) >= 0.98, part.name
    for chord in score.chords:
        assert chord.pitch_classes <= score.key.scale


def test_chorus_has_more_notes_than_verse() -> None:
    score = composed(song(stems=("drums", "bass", "keys", "pad", "arp", "lead")))
    count = [sum(len(inside(p.notes, f.start, f.end)) for p in score.parts) for f in score.sections]
    assert count[2] > 1.2 * count[1]


def test_a_second_verse_is_the_first_with_small_changes() -> None:
    score = composed(song(style="pop", seed=5))
    first, second = score.sections[1], score.sections[3]
    for name in ("drums", "bass", "keys", "lead"):
        notes = score.part(name).notes
        pairs = zip(first.bars, second.bars, strict=True)
        likeness = [overlap(onsets(notes, a), onsets(notes, b)) for a, b in pairs]
        assert sum(likeness) / len(likeness) > 0.6, name
    shift = second.start - first.start
    as_first = [
        [(round(n.start - f.start, 4), n.pitch) for n in inside(p.notes, f.start, f.end)]
        for f in (first, second)
        for p in score.parts
    ]
    assert shift > 0
    assert as_first[: len(score.parts)] != as_first[len(score.parts) :]


def test_same_seed_same_score_and_another_seed_another() -> None:
    assert composed(song(seed=4)) == composed(song(seed=4))
    one, other = composed(song(seed=4, key=("C", "major"))), composed(song(seed=5, key=("C", "major")))
    for part in one.parts:
        assert part.notes != other.part(part.name).notes, part.name


def test_parts_of_one_role_differ() -> None:
    twins = [
        StemWanted(role, name)
        for role in ("guitar", "keys", "pad", "lead", "arp", "bass", "drums")
        for name in (role, f"{role} 2")
    ]
    score = composed(song(stems=twins))
    assert_well_formed(score, song(stems=twins))
    for role in ("guitar", "keys", "pad", "lead", "arp", "bass", "drums"):
        first, second = score.part(role).notes, score.part(f"{role} 2").notes
        assert second, role
        same = {(round(n.start, 3), n.pitch) for n in first} & {(round(n.start, 3), n.pitch) for n in second}
        assert len(same) < 0.5 * min(len(first), len(second)), role


@pytest.mark.parametrize("metre", [(4, 4), (3, 4), (6, 8), (12, 8), (5, 4), (7, 8), (2, 4), (9, 8), (2, 2)])
@pytest.mark.parametrize("style", ["pop", "shuffle blues"])
def test_metres(metre: tuple[int, int], style: str) -> None:
    request = song(SHORT, metre=metre, style=style, bpm=100.0)
    score = composed(request)
    assert_well_formed(score, request)
    for part in score.parts:
        assert part.notes, part.name
    assert kick_on_one(score.part("drums").notes, bars_of(score)) is not None


def test_metre_changes_and_gaps() -> None:
    arrangement = Arrangement(
        48000,
        ((0.0, 0.0), (60.0, 30.0)),
        metres=(MetreAt(0.0, 4, 4), MetreAt(16.0, 3, 4), MetreAt(30.0, 7, 8)),
        sections=(
            Section("A", "verse", 1.5, 16.0),
            Section("B", "chorus", 16.0, 29.0),
            Section("C", "bridge", 34.0, 55.25),
        ),
    )
    request = Render("job", arrangement, stems=tuple(StemWanted(r) for r in ALL_ROLES))
    score = composed(request)
    assert_well_formed(score, request)
    assert not any(29.0 <= n.start < 34.0 for p in score.parts for n in p.notes)


@pytest.mark.parametrize("bpm", [40.0, 220.0])
@pytest.mark.parametrize(
    "stems", [("drums",), ("lead",), ("bass",), ("pad",), ("brass",), ("strings", "arp"), ("guitar",)]
)
@pytest.mark.parametrize("bars", [0.5, 1, 2])
def test_degenerate_requests_still_play(bpm: float, stems: tuple[str, ...], bars: float) -> None:
    request = song((("Bit", "verse", bars),), stems=stems, bpm=bpm)
    score = composed(request)
    assert_well_formed(score, request)
    assert all(part.notes for part in score.parts)


@settings(max_examples=25, deadline=None)
@given(
    labels=st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from((0.5, 1, 2, 3, 4, 6))), min_size=1, max_size=5),
    stems=st.lists(st.sampled_from(ALL_ROLES), min_size=1, max_size=5, unique=True),
    metre=st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 4), (7, 8)]),
    bpm=st.floats(40, 220),
    seed=st.integers(0, 2**63 - 1),
    gap=st.sampled_from((0.0, 3.0)),
)
def test_any_arrangement_is_well_formed(labels, stems, metre, bpm, seed, gap) -> None:
    sections = [(f"S{i}", label, bars) for i, (label, bars) in enumerate(labels)]
    request = song(sections, stems=stems, metre=metre, bpm=bpm, seed=seed, gap=gap, style="")
    score = composed(request)
    assert_well_formed(score, request)
    assert all(part.notes for part in score.parts)


def test_no_sections_is_an_error_that_names_them() -> None:
    request = song()
    empty = replace_sections(request)
    with pytest.raises(RequestError) as refused:
        composed(empty)
    assert refused.value.field == "arrangement.sections"


def replace_sections(request: Render) -> Render:
    return msgspec.structs.replace(request, arrangement=msgspec.structs.replace(request.arrangement, sections=()))


def test_remarks_say_what_was_chosen() -> None:
    score = composed(song())
    text = "\n".join(score.remarks)
    for word in ("key:", "groove:", "feel:", "chords: Verse 1", "parts model: not loaded"):
        assert word in text
    assert "as in Verse 1" in text
    assert replace(score, remarks=()) == replace(composed(song()), remarks=())


def test_song_ends_on_the_tonic() -> None:
    score = composed(song(SONG, key=("D", "minor")))
    assert score.chords[-1].root == score.key.tonic
    last_bar = score.sections[-1].bars[-1]
    for part in score.parts:
        tail = inside(part.notes, last_bar.start, last_bar.end)
        assert len(tail) <= 16, part.name


def test_a_song_that_changes_key_goes_along() -> None:
    plain = song(SONG, key=("C", "major"))
    keys = (KeyAt(0.0, "C", "major"), KeyAt(112.0, "D", "major"))
    request = msgspec.structs.replace(plain, arrangement=msgspec.structs.replace(plain.arrangement, keys=keys))
    score = composed(request)
    assert [(beat, key.name) for beat, key in score.keys] == [(0.0, "C major"), (112.0, "D major")]
    for part in score.parts:
        if part.role == "drums":
            continue
        for start, end, key in ((0.0, 112.0, score.keys[0][1]), (112.0, 160.0, score.keys[1][1])):
            assert in_key_rate(inside(part.notes, start, end), key) >= 0.98, part.name
    first, second = (
        [c for c in score.chords if f.start <= c.beat < f.end] for f in (score.sections[2], score.sections[4])
    )
    assert [(c.root + 2) % 12 for c in first] == [c.root for c in second]
    assert composed(plain).keys == ()


@pytest.mark.parametrize(
    ("style", "metre"), [("pop", (4, 4)), ("ballad", (6, 8)), ("swing jazz", (4, 4)), ("seven", (7, 8))]
)
def test_a_second_comp_has_a_rhythm_of_its_own(style: str, metre: tuple[int, int]) -> None:
    score = composed(song(SONG, style=style, metre=metre, stems=("keys", "guitar", "drums")))
    keys, guitar = score.part("keys").notes, score.part("guitar").notes
    bars = [b for b in bars_of(score) if inside(keys, b.start, b.end) and inside(guitar, b.start, b.end)]
    alike = [overlap(onsets(keys, b), onsets(guitar, b)) for b in bars]
    assert sum(alike) / len(alike) < 0.7
