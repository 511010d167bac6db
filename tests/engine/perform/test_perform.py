"""Performing: bounds, swing, dynamics, what is the user's own, and draws that belong to a bar."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.timeline import Clock, Metre
from engine.perform import perform
from engine.perform.performer import BOUND_MS
from engine.perform.swing import swing_ms, swung_beat
from engine.score import Chord, Feel, FormSection, Key, Note, Part, Score

PUSHES = (("bass", 8.0), ("snare", 9.0), ("keys", -4.0), ("pad", -8.0))


def form(clock: Clock, *sections: tuple[str, float, float, float]) -> tuple[FormSection, ...]:
    return tuple(
        FormSection(label, label, start, end, energy, 0, tuple(clock.bars(start, end)))
        for label, start, end, energy in sections
    )


def score(clock: Clock, parts: tuple[Part, ...], *sections: tuple[str, float, float, float]) -> Score:
    spans = sections or (("verse", clock.start, clock.end, 0.5),)
    return Score(Key(0, "major"), (Chord(0.0, clock.end, 0, ""),), parts, form(clock, *spans))


def groove(beats: int = 32) -> tuple[Part, ...]:
    drums = [Note(b / 2, 0.25, 42, 80) for b in range(beats * 2)] + [
        Note(float(b), 0.25, (36, 38)[b % 2], 100) for b in range(beats)
    ]
    keys = [Note(b + 0.5, 0.4, p, 80) for b in range(beats) for p in (60, 64, 67)]
    bass = [Note(b * 0.75, 0.7, 40, 90) for b in range(int(beats / 0.75))]
    return (
        Part("drums", "drums", tuple(sorted(drums, key=lambda n: (n.start, n.pitch)))),
        Part("keys", "keys", tuple(keys)),
        Part("bass", "bass", tuple(bass)),
        Part("pad", "pad", tuple(Note(4.0 * b, 4.0, 60, 70) for b in range(beats // 4))),
    )


CLOCK = Clock.steady(120.0, 32.0)


@pytest.mark.parametrize("bpm", [40.0, 96.0, 220.0])
@pytest.mark.parametrize("swing", [0.5, 0.58, 0.66])
def test_offsets_are_swing_plus_a_bounded_human_part(bpm: float, swing: float) -> None:
    clock = Clock.steady(bpm, 32.0)
    feel = Feel(swing=swing, swing_unit=16, push_ms=PUSHES, loose_ms=8.0)
    played = perform(score(clock, groove()), clock, feel, 3)
    human = [n.offset_ms - swing_ms(n.start, feel, clock) for p in played.parts for n in p.notes]
    assert max(abs(h) for h in human) <= BOUND_MS + 1e-9
    assert np.std(human) > 1.0
    assert all(1 <= n.velocity <= 127 for p in played.parts for n in p.notes)


def test_notes_and_their_order_stay() -> None:
    before = score(CLOCK, groove())
    after = perform(before, CLOCK, Feel(push_ms=PUSHES), 3)
    for old, new in zip(before.parts, after.parts, strict=True):
        assert [(n.start, n.pitch) for n in new.notes] == [(n.start, n.pitch) for n in old.notes]
        assert all(b.length <= a.length for a, b in zip(old.notes, new.notes, strict=True))


def test_swing_moves_the_off_beats_by_the_local_tempo() -> None:
    clock = Clock.from_pairs([(0.0, 0.0), (4.0, 2.0), (8.0, 6.0)])
    feel = Feel(swing=2 / 3, swing_unit=8)
    assert swing_ms(1.0, feel, clock) == 0.0
    assert swing_ms(1.5, feel, clock) == pytest.approx(500.0 / 6)
    assert swing_ms(5.5, feel, clock) == pytest.approx(1000.0 / 6)
    assert swing_ms(1.25, feel, clock) == pytest.approx(500.0 / 12)
    assert swing_ms(1 + 2 / 3, feel, clock) == 0.0
    assert swing_ms(1.5, Feel(swing=0.5), clock) == 0.0


def test_swing_counts_pairs_from_the_bar_line() -> None:
    clock = Clock.from_pairs([(0.5, 0.0), (10.5, 5.0)], [Metre(0.5, 7, 8), Metre(4.0, 4, 4)])
    feel = Feel(swing=0.6, swing_unit=8)
    assert swing_ms(1.0, feel, clock) > 0
    assert swing_ms(1.5, feel, clock) == 0.0
    assert swing_ms(4.5, feel, clock) > 0


@given(st.floats(0, 64), st.floats(0.5, 0.75), st.sampled_from((8, 16)))
def test_swing_stays_inside_its_pair(beat: float, swing: float, unit: int) -> None:
    pair = 8.0 / unit
    moved = swung_beat(beat, 0.0, Feel(swing=swing, swing_unit=unit))
    assert beat - 1e-9 <= moved <= (beat // pair + 1) * pair + 1e-9


def test_on_average_the_bass_lies_back_and_the_keys_push() -> None:
    played = perform(score(CLOCK, groove()), CLOCK, Feel(push_ms=PUSHES), 5)
    mean = {p.name: np.mean([n.offset_ms for n in p.notes]) for p in played.parts}
    assert mean["bass"] > 5.0
    assert mean["pad"] < -3.0
    drums = played.part("drums").notes
    snare = np.mean([n.offset_ms for n in drums if n.pitch == 38])
    kick = np.mean([n.offset_ms for n in drums if n.pitch == 36])
    assert snare > kick + 4.0


def test_strings_of_a_chord_are_spread() -> None:
    strummed = (
        Part("guitar", "guitar", tuple(Note(float(b), 0.9, p, 80) for b in range(8) for p in (48, 55, 60, 64))),
    )
    played = perform(score(CLOCK, strummed), CLOCK, Feel(), 1).parts[0].notes
    for b in range(8):
        chord = [n.offset_ms for n in played if n.start == b]
        assert max(chord) - min(chord) == pytest.approx(15.0)


def test_nothing_sounds_before_the_first_sample() -> None:
    pad = (Part("pad", "pad", (Note(0.0, 4.0, 60, 80), Note(8.0, 4.0, 60, 80))),)
    feel = Feel(push_ms=(("pad", -20.0),))
    played = perform(score(CLOCK, pad), CLOCK, feel, 1).parts[0].notes
    assert played[0].offset_ms >= 0.0
    assert played[1].offset_ms < 0.0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(60, 220), st.sampled_from((0.02, 0.03, 0.05)), st.sampled_from((38, 45)))
def test_a_flam_keeps_its_order(seed: int, bpm: float, gap: float, second: int) -> None:
    clock = Clock.steady(bpm, 32.0)
    hits = tuple(n for b in range(1, 30) for n in (Note(b - gap, 0.1, 38, 50), Note(float(b), 0.1, second, 110)))
    feel = Feel(swing=0.6, swing_unit=16, push_ms=PUSHES, loose_ms=8.0)
    played = perform(score(clock, (Part("drums", "drums", hits),)), clock, feel, seed).parts[0].notes
    for grace, main in zip(played[::2], played[1::2], strict=True):
        times = [clock.beat2second(n.start) * 1000 + n.offset_ms for n in (grace, main)]
        assert times[0] < times[1]


def test_a_louder_section_is_louder_and_the_bar_before_it_rises() -> None:
    parts = (Part("keys", "keys", tuple(Note(float(b), 0.9, 60, 80) for b in range(32))),)
    song = score(CLOCK, parts, ("verse", 0.0, 16.0, 0.3), ("chorus", 16.0, 32.0, 0.9))
    played = perform(song, CLOCK, Feel(loose_ms=0.0), 1).parts[0].notes
    loud = [np.mean([n.velocity for n in played if a <= n.start < b]) for a, b in ((0, 12), (16, 32), (14, 16))]
    assert loud[1] > loud[0] + 6
    assert loud[2] > loud[0]
    flat = perform(song, CLOCK, Feel(dynamics=0.0), 1).parts[0].notes
    assert abs(np.mean([n.velocity for n in flat]) - 80) < 3


def test_what_the_user_played_stays_untouched() -> None:
    parts = groove()
    mine = tuple(replace(n, offset_ms=-33.0) if 8.0 <= n.start < 16.0 else n for n in parts[1].notes)
    song = score(CLOCK, (parts[0], replace(parts[1], notes=mine)))
    feel = Feel(swing=0.6, push_ms=PUSHES, as_played=(("keys", 8.0, 16.0),))
    played = perform(song, CLOCK, feel, 9).part("keys").notes
    assert [n for n in played if 8.0 <= n.start < 16.0] == [n for n in mine if 8.0 <= n.start < 16.0]
    assert all(a != b for a, b in zip(played, mine, strict=True) if not 8.0 <= a.start < 16.0)


@settings(max_examples=20, deadline=None)
@given(bar=st.integers(0, 7), seed=st.integers(0, 2**63 - 1))
def test_writing_one_bar_anew_leaves_the_others_as_played(bar: int, seed: int) -> None:
    parts = groove()
    start, end = 4.0 * bar, 4.0 * bar + 4.0
    fresh = tuple(Note(start + 0.25 * i, 0.25, 41 + i, 88) for i in range(16))
    bass = tuple(sorted((*(n for n in parts[2].notes if not start <= n.start < end), *fresh), key=lambda n: n.start))
    feel = Feel(swing=0.55, swing_unit=16, push_ms=PUSHES)
    one = perform(score(CLOCK, parts), CLOCK, feel, seed)
    other = perform(score(CLOCK, (*parts[:2], replace(parts[2], notes=bass), parts[3])), CLOCK, feel, seed)
    for name in ("drums", "keys", "pad"):
        assert one.part(name) == other.part(name)
    kept = [[n for n in s.part("bass").notes if n.start < start - 1.0 or n.start >= end] for s in (one, other)]
    assert kept[0] == kept[1]


def test_same_seed_same_notes_other_seed_others() -> None:
    song = score(CLOCK, groove())
    assert perform(song, CLOCK, Feel(), 1) == perform(song, CLOCK, Feel(), 1)
    assert perform(song, CLOCK, Feel(), 1) != perform(song, CLOCK, Feel(), 2)


def test_a_note_is_released_before_its_pitch_is_struck_again() -> None:
    feel = Feel(swing=0.66, swing_unit=8, push_ms=PUSHES, loose_ms=8.0)
    legato = (Part("bass", "bass", tuple(Note(b / 2, 0.5, 40, 90) for b in range(64))),)
    for seed in range(5):
        notes = perform(score(CLOCK, legato), CLOCK, feel, seed).parts[0].notes
        for a, b in itertools.pairwise(notes):
            assert (
                CLOCK.beat2second(a.end) + a.offset_ms / 1000 <= CLOCK.beat2second(b.start) + b.offset_ms / 1000 + 1e-9
            )
