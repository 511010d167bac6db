"""From pattern and chords to notes: harmony, registers, ties, approach notes, voice leading, other metres."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import JobError
from bridge.timeline import Bar, Clock, Metre
from engine.grooves import (
    LANES,
    STREAMS,
    book,
    ending,
    fill,
    groove,
    groove2chords,
    last_voicing,
    realise,
    realise_bars,
)
from engine.grooves.groove import ROOTED, SHAPES
from engine.grooves.rebar import bar_spans, fits, keeps_beats, pulse_map
from engine.grooves.validate import groove_bars
from engine.grooves.voicing import Voicing, chord2pitches
from engine.score import QUALITIES, SCALES, Chord, Key, Note

C = Key(0, "major")
GROOVES = st.sampled_from([g.name for g in book()]).map(groove)
KEYS = st.builds(Key, st.integers(0, 11), st.sampled_from(sorted(SCALES)))
METRES = st.sampled_from(
    [(4, 4), (3, 4), (2, 4), (5, 4), (6, 4), (7, 4), (2, 2), (6, 8), (9, 8), (12, 8), (7, 8), (5, 8), (11, 8), (1, 4)]
)


def metre_bars(beats: int, unit: int, count: int, start: float = 0.0) -> tuple[Bar, ...]:
    metre = Metre(start, beats, unit)
    return tuple(Bar(i, start + i * metre.bar_beats, start + (i + 1) * metre.bar_beats, metre) for i in range(count))


def steady_chords(bars: tuple[Bar, ...], symbols: list[tuple[int, str]]) -> tuple[Chord, ...]:
    return tuple(Chord(b.start, b.end - b.start, *symbols[i % len(symbols)]) for i, b in enumerate(bars))


@settings(max_examples=80, deadline=None)
@given(g=GROOVES, key=KEYS, metre=METRES, level=st.sampled_from(["intro", "verse", "chorus", "bridge", "ending"]))
def test_any_groove_in_any_metre_stays_in_its_bars(g, key, metre, level) -> None:  # type: ignore[no-untyped-def]
    bars = metre_bars(*metre, 3, start=2.0)
    chords = groove2chords(g, level, key, bars)
    for stream in STREAMS:
        for i, bar in enumerate(bars):
            notes = realise(g, level, stream, bar, i, chords, key)
            assert notes == sorted(notes, key=lambda n: (n.start, n.pitch))
            assert notes == realise(g, level, stream, bar, i, chords, key)
            for note in notes:
                assert bar.start <= note.start < bar.end
                assert note.length > 0
                assert 1 <= note.velocity <= 127
                assert note.offset_ms == 0.0
                if stream == "bass":
                    assert 28 <= note.pitch <= 55
                if stream == "drums":
                    assert note.pitch in LANES.values()


@settings(max_examples=40, deadline=None)
@given(g=GROOVES, key=KEYS, metre=METRES)
def test_single_lines_are_single_and_nothing_outlives_its_repeat(g, key, metre) -> None:  # type: ignore[no-untyped-def]
    bars = metre_bars(*metre, 4)
    parts = realise_bars(g, "chorus", bars, groove2chords(g, "chorus", key, bars), key, fill_at_end=True)
    for stream in ("bass", "lead", "arp"):
        assert all(a.end <= b.start + 1e-6 for a, b in pairwise(parts[stream]))
    for stream in ("comp", "pad", "drums"):
        by_pitch: dict[int, Note] = {}
        for note in parts[stream]:
            if note.pitch in by_pitch:
                assert by_pitch[note.pitch].end <= note.start + 1e-6
            by_pitch[note.pitch] = note


@settings(max_examples=40, deadline=None)
@given(g=GROOVES, key=KEYS)
def test_comp_pad_and_arp_play_the_chord(g, key) -> None:  # type: ignore[no-untyped-def]
    bars = groove_bars(g, 4)
    chords = groove2chords(g, "chorus", key, bars)
    parts = realise_bars(g, "chorus", bars, chords, key)
    allowed = {(c.root + d) % 12 for c in chords for d in (*QUALITIES[c.quality], 2, 5, 7)} | key.scale
    for stream in ("comp", "pad", "arp"):
        for note in parts[stream]:
            assert note.pitch % 12 in allowed


def test_a_held_chord_follows_a_change_inside_the_bar() -> None:
    bar = metre_bars(4, 4, 1)[0]
    chords = (Chord(0.0, 2.0, 0, ""), Chord(2.0, 2.0, 5, ""))
    notes = realise(groove("folk"), "verse", "pad", bar, 0, chords, C)
    first = {n.pitch % 12 for n in notes if n.start == 0.0}
    second = {n.pitch % 12 for n in notes if n.start <= 2.0 < n.end}
    assert first == {0, 4, 7}
    assert second == {5, 9, 0}
    assert [n.length for n in notes if n.pitch % 12 == 0] == [4.0]
    assert all(n.end <= 2.0 for n in notes if n.pitch % 12 in (4, 7))


def test_a_held_bass_note_moves_with_the_chord() -> None:
    bar = metre_bars(4, 4, 1)[0]
    chords = (Chord(0.0, 1.0, 0, ""), Chord(1.0, 3.0, 9, "m"))
    notes = realise(groove("power-ballad"), "ending", "bass", bar, 0, chords, C)
    assert [(n.start, n.pitch % 12) for n in notes] == [(0.0, 0), (1.0, 9)]


def test_approach_notes_resolve_by_step() -> None:
    found = 0
    for g in book():
        pattern = g.levels["verse"].streams["bass"]
        bars = groove_bars(g, pattern.bars + 1)
        chords = groove2chords(g, "verse", C, bars)
        for i in range(pattern.bars):
            notes = realise(g, "verse", "bass", bars[i], i, chords, C)
            following = realise(g, "verse", "bass", bars[i + 1], i + 1, chords, C)
            events = pattern.bar(i)
            if not events or events[-1].symbol not in "/\\" or len(notes) != len(events) or not following:
                continue
            found += 1
            step = abs(notes[-1].pitch - following[0].pitch) % 12
            assert min(step, 12 - step) in (1, 2), (g.name, i)
            if events[-1].symbol == "/":
                assert (following[0].pitch - notes[-1].pitch) % 12 == 1
    assert found > 8


def test_a_note_tied_over_the_bar_line_takes_the_next_chord() -> None:
    bars = metre_bars(4, 4, 4)
    chords = steady_chords(bars, [(0, ""), (5, ""), (7, "7"), (0, "")])
    bass = realise_bars(groove("salsa"), "verse", bars, chords, C, streams=("bass",))["bass"]
    pushes = [n for n in bass if n.start % 4.0 == 3.0]
    assert [n.pitch % 12 for n in pushes[:3]] == [5, 7, 0]
    assert all(n.length > 1.0 for n in pushes[:3])
    assert bass[0].start == 0.0, "the tie into the first bar is struck where the section begins"


def test_slash_chords_reach_the_bass() -> None:
    bar = metre_bars(4, 4, 1)[0]
    notes = realise(groove("pop"), "verse", "bass", bar, 0, (Chord(0.0, 4.0, 0, "", 4),), C)
    assert notes[0].pitch % 12 == 4
    assert {n.pitch % 12 for n in notes} <= {4, 7}


def test_voices_move_less_than_root_positions() -> None:
    bars = metre_bars(4, 4, 8)
    chords = steady_chords(bars, [(0, ""), (7, ""), (9, "m"), (5, "")])
    led = realise_bars(groove("folk"), "verse", bars, chords, C, streams=("pad",))["pad"]
    tops = [max(n.pitch for n in led if n.start <= b.start < n.end) for b in bars]
    assert max(abs(a - b) for a, b in pairwise(tops)) <= 4
    roots = [tuple(48 + c.root + t for t in QUALITIES[c.quality]) for c in chords]
    sounding = [sorted(n.pitch for n in led if n.start <= b.start < n.end) for b in bars]
    assert all(len(v) == 3 for v in sounding)
    assert moved(sounding) < 0.5 * moved(roots)


def moved(voicings: Sequence[Sequence[int]]) -> int:
    """Semitones that all voices together travel."""
    return sum(abs(p - q) for a, b in pairwise(voicings) for p, q in zip(a, b, strict=True))


@settings(max_examples=200, deadline=None)
@given(
    root=st.integers(0, 11), quality=st.sampled_from(sorted(QUALITIES)), key=KEYS,
    shape=st.sampled_from(SHAPES),
    low=st.integers(48, 64),
)  # fmt: skip
def test_voicings_fit_their_register(root, quality, key, shape, low) -> None:  # type: ignore[no-untyped-def]
    chord = Chord(0.0, 4.0, root, quality)
    pitches = chord2pitches(chord, key, shape, low, low + 20, None)
    assert pitches == tuple(sorted(set(pitches)))
    assert low <= pitches[0]
    assert pitches[-1] <= low + 20
    third = (root + QUALITIES[quality][1]) % 12
    if shape not in ROOTED:
        assert third in {p % 12 for p in pitches}


def test_last_voicing_is_the_last_full_chord() -> None:
    notes = [Note(0.0, 1.0, p, 80) for p in (60, 64, 67)] + [Note(1.0, 1.0, 67, 80)]
    assert last_voicing(notes) == Voicing((60, 64, 67))
    assert last_voicing([]) is None


def test_a_lead_takes_the_nearest_chord_tone() -> None:
    bars = metre_bars(4, 4, 2)
    chords = steady_chords(bars, [(5, ""), (0, "")])
    first, second = (
        realise(groove("pop"), "chorus", "lead", bars[i], i, chords, C, voice)
        for i, voice in ((0, None), (1, Voicing((77,))))
    )
    assert first[0].pitch % 12 == 0
    assert second[0].pitch == 76


def test_a_lead_steps_through_the_scale_and_stays_in_its_register() -> None:
    for g in book():
        for level in ("verse", "chorus"):
            pattern = g.levels[level].streams["lead"]
            bars = groove_bars(g, 4)
            lead = realise_bars(g, level, bars, groove2chords(g, level, C, bars), C, streams=("lead",))["lead"]
            assert all(pattern.low <= n.pitch <= pattern.high for n in lead)


def test_a_crash_marks_a_section_and_frees_the_hand() -> None:
    bar = metre_bars(4, 4, 1)[0]
    chords = (Chord(0.0, 4.0, 0, ""),)
    first = realise(groove("pop"), "chorus", "drums", bar, 0, chords, C)
    later = realise(groove("pop"), "chorus", "drums", bar, 1, chords, C)
    assert [n.pitch for n in first if n.start == 0.0] == [36, 49]
    assert [n.pitch for n in later if n.start == 0.0] == [36, 51]


def test_accents_and_ghosts_are_louder_and_softer() -> None:
    bar = metre_bars(4, 4, 1)[0]
    notes = realise(groove("funk"), "verse", "drums", bar, 0, (Chord(0.0, 4.0, 0, "m"),), C)
    snare = {n.start: n.velocity for n in notes if n.pitch == 38}
    assert snare[1.0] > 100 > 60 > snare[0.25]


@pytest.mark.parametrize("stream", STREAMS)
def test_a_fill_changes_what_it_writes_and_leaves_the_rest(stream: str) -> None:
    pop, bar = groove("pop"), metre_bars(4, 4, 4)[3]
    chords = (Chord(0.0, 16.0, 0, ""),)
    filled = fill(pop, stream, bar, chords, C, level="verse", bar_in_section=3)
    plain = realise(pop, "verse", stream, bar, 3, chords, C)
    assert (filled == plain) == (stream not in pop.fills[0].streams)
    if stream == "drums":
        assert filled != fill(pop, stream, bar, chords, C, variant=1)


def test_an_ending_rings_through_its_bar() -> None:
    for g in book():
        bar = groove_bars(g, 1)[0]
        chords = groove2chords(g, "ending", C, [bar])
        drums = ending(g, "drums", bar, chords, C)
        assert any(n.pitch == 36 and n.start == 0.0 for n in drums)
        assert chords[0].root == 0
        bass = ending(g, "bass", bar, chords, C)
        assert bass[-1].pitch % 12 == 0, g.name


def test_no_chords_is_an_error() -> None:
    with pytest.raises(JobError, match="at least one chord"):
        realise(groove("pop"), "verse", "bass", metre_bars(4, 4, 1)[0], 0, (), C)


@settings(max_examples=80, deadline=None)
@given(g=GROOVES, key=KEYS, level=st.sampled_from(["verse", "chorus", "bridge", "ending"]), metre=METRES)
def test_default_chords_fill_the_bars(g, key, level, metre) -> None:  # type: ignore[no-untyped-def]
    bars = metre_bars(*metre, 5, start=8.0)
    chords = groove2chords(g, level, key, bars)
    assert chords[0].beat == bars[0].start
    assert chords[-1].end == pytest.approx(bars[-1].end)
    assert all(a.end == pytest.approx(b.beat) for a, b in pairwise(chords))


def test_default_chords_in_a_key_and_its_other_modes() -> None:
    bars = metre_bars(4, 4, 4)
    assert [c.symbol for c in groove2chords(groove("pop"), "verse", Key(7, "major"), bars)] == ["G", "D", "Em", "C"]
    assert [c.symbol for c in groove2chords(groove("pop"), "verse", Key(9, "minor"), bars)] == ["Am", "F", "C", "G"]
    dorian = groove2chords(groove("funk"), "verse", Key(2, "dorian"), bars)
    assert [c.symbol for c in dorian] == ["Dm7", "G7"]


@pytest.mark.parametrize(
    ("source", "target", "pulses"),
    [
        (4, 4, [0, 1, 2, 3]), (4, 3, [0, 2, 3]), (4, 2, [0, 3]), (4, 1, [0]), (4, 5, [0, 1, 2, 2, 3]),
        (4, 7, [0, 1, 2, 3, 0, 2, 3]), (3, 5, [0, 1, 2, 0, 2]), (2, 6, [0, 1, 0, 1, 0, 1]),
    ],
)  # fmt: skip
def test_pulses(source: int, target: int, pulses: list[int]) -> None:
    assert pulse_map(source, target) == pulses


@settings(max_examples=150, deadline=None)
@given(g=GROOVES, metre=METRES, index=st.one_of(st.none(), st.integers(0, 9)))
def test_spans_cover_the_bar_without_gaps(g, metre, index) -> None:  # type: ignore[no-untyped-def]
    bar = metre_bars(*metre, 1)[0]
    spans = bar_spans(g, bar, index)
    at = 0.0
    for span in spans:
        assert span.offset == pytest.approx(at)
        assert span.last > span.first >= 0
        at += (span.last - span.first) * span.step_beats
    assert at >= bar.end - 1e-6


def test_rock_in_three_keeps_its_backbeat() -> None:
    bar = metre_bars(3, 4, 1)[0]
    drums = realise(groove("indie-rock"), "verse", "drums", bar, 0, (Chord(0.0, 3.0, 0, ""),), C)
    assert [n.start for n in drums if n.pitch == 38] == [2.0]
    assert any(n.pitch == 36 and n.start == 0.0 for n in drums)


def test_two_four_plays_half_bars_and_four_four_two_of_them() -> None:
    g = groove("reggae")
    chords = (Chord(0.0, 16.0, 0, ""),)
    whole = [realise(g, "verse", "bass", b, i, chords, C) for i, b in enumerate(metre_bars(4, 4, 2))]
    halves = [realise(g, "verse", "bass", b, i, chords, C) for i, b in enumerate(metre_bars(2, 4, 4))]
    assert [n.start for bar in whole for n in bar] == [n.start for bar in halves for n in bar]
    samba = groove("samba")
    assert fits(samba, Metre(0.0, 4, 4))
    twos = [realise(samba, "verse", "drums", b, i, chords, C) for i, b in enumerate(metre_bars(2, 4, 4))]
    fours = [realise(samba, "verse", "drums", b, i, chords, C) for i, b in enumerate(metre_bars(4, 4, 2))]
    assert [(n.start, n.pitch) for bar in twos for n in bar] == [(n.start, n.pitch) for bar in fours for n in bar]


def test_triplets_become_eighths_in_twelve_eight() -> None:
    g = groove("gospel")
    bar = metre_bars(12, 8, 1)[0]
    assert keeps_beats(g, bar.metre)
    drums = realise(g, "verse", "drums", bar, 0, (Chord(0.0, 6.0, 0, ""),), C)
    assert [n.start for n in drums if n.pitch == 42] == [i * 0.5 for i in range(12)]
    assert [n.start for n in drums if n.pitch == 37] == [1.5, 4.5]


def test_a_bar_cut_by_a_metre_change_is_played_and_stops() -> None:
    clock = Clock.from_pairs([(0.0, 0.0), (9.0, 4.5)], [Metre(0.0, 4, 4), Metre(6.0, 3, 4)])
    bars = tuple(clock.bars())
    assert [b.end - b.start for b in bars] == [4.0, 2.0, 3.0]
    chords = (Chord(0.0, 9.0, 0, ""),)
    for stream in STREAMS:
        notes = realise(groove("pop"), "chorus", stream, bars[1], 1, chords, C)
        assert notes
        assert all(4.0 <= n.start < 6.0 for n in notes)
        assert all(n.end <= 6.0 + 1e-6 or stream == "drums" for n in notes)
