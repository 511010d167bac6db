"""A reference's groove in the band's hands: how far it goes, what it leaves alone, and that it is heard again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.timeline import Clock, Metre
from engine.perform import perform
from engine.perform.performer import BOUND_MS
from engine.perform.swing import swing_ms
from engine.perform.template import ACCENT_BOUND, band_of, beat2step, part2lesson
from engine.score import BandTemplate, Feel, GrooveTemplate, Note, Part, Score
from tests.engine.perform.test_perform import CLOCK, groove, score

STILL = Feel(loose_ms=0.0, dynamics=0.0)
BACKBEAT = tuple(1.0 if k in (4, 12) else 0.5 if k % 2 == 0 else 0.0 for k in range(16))
LATE_BACKBEAT = tuple(0.1 if k in (4, 12) else 0.0 for k in range(16))
BANDS = tuple(BandTemplate(name, BACKBEAT, LATE_BACKBEAT) for name in ("low", "mid", "high"))


def template(weight: float = 1.0, **changes: object) -> GrooveTemplate:
    return replace(GrooveTemplate("ref.wav", weight, swing=0.62, swing_unit=16, bands=BANDS), **changes)  # type: ignore[arg-type]


def played(song: Score, feel: Feel, clock: Clock = CLOCK, seed: int = 3) -> Score:
    return perform(song, clock, feel, seed)


def eighths(velocity: int = 80) -> Part:
    return Part("keys", "keys", tuple(Note(b / 2, 0.4, 60, velocity) for b in range(64)))


def test_no_weight_is_no_reference() -> None:
    song = score(CLOCK, groove())
    plain = played(song, Feel(swing=0.55, swing_unit=16))
    with_it = played(song, Feel(swing=0.55, swing_unit=16, templates=(template(0.0),)))
    assert [p.notes for p in plain.parts] == [p.notes for p in with_it.parts]


@pytest.mark.parametrize("weight", [0.25, 0.5, 1.0])
def test_swing_goes_as_far_as_the_weight(weight: float) -> None:
    """The second of two sixteenths at 120 bpm: 0.58 of the pair delays it 20 ms, 0.66 of a pair of eighths others."""
    own = Feel(swing=0.58, swing_unit=16)
    other = Feel(swing=0.66, swing_unit=8)
    between = template(weight, swing=0.66, swing_unit=8)
    for beat in (0.25, 0.5, 0.75, 1.0, 1.25, 3.5):
        a, b = swing_ms(beat, own, CLOCK), swing_ms(beat, other, CLOCK)
        assert swing_ms(beat, own, CLOCK, between) == pytest.approx(a + weight * (b - a))
    assert swing_ms(0.25, own, CLOCK, template(weight, swing=None)) == swing_ms(0.25, own, CLOCK)


@settings(max_examples=60, deadline=None)
@given(
    weight=st.floats(0, 1),
    swing=st.floats(0.5, 0.72),
    units=st.tuples(st.sampled_from((8, 16)), st.sampled_from((8, 16))),
    bpm=st.floats(50, 220),
)
def test_a_blend_of_swings_keeps_the_notes_in_order(
    weight: float, swing: float, units: tuple[int, int], bpm: float
) -> None:
    clock = Clock.steady(bpm, 8.0)
    feel = Feel(swing=0.66, swing_unit=units[0])
    between = template(weight, swing=swing, swing_unit=units[1])
    beats = np.arange(0, 8, 0.25)
    times = [clock.beat2second(b) * 1000 + swing_ms(float(b), feel, clock, between) for b in beats]
    assert min(np.diff(times)) > 0


def test_accents_take_the_references_shape_and_keep_the_mean() -> None:
    song = score(CLOCK, (eighths(),))
    soft = played(song, replace(STILL, templates=(template(1.0),))).parts[0].notes
    by_step = {k: np.mean([n.velocity for n in soft if beat2step(n.start, CLOCK)[1] == k]) for k in range(0, 16, 2)}  # type: ignore[index]
    assert by_step[4] > by_step[0] + 15
    assert by_step[12] > by_step[2] + 15
    assert np.mean([n.velocity for n in soft]) == pytest.approx(80, abs=1.5)
    moves = []
    for weight in (0.2, 0.4):
        lesson = part2lesson(eighths(), replace(STILL, templates=(template(weight),)), CLOCK)
        assert lesson is not None
        moves.append([lesson.velocity(n) - n.velocity for n in eighths().notes])
    assert np.allclose(moves[1], 2 * np.array(moves[0]))


def test_lean_is_in_shares_of_a_sixteenth() -> None:
    """A tenth of a sixteenth is 12.5 ms at 120 bpm and 6.25 ms at 240; never more than 15."""
    for bpm, expected in ((120.0, 12.5), (240.0, 6.25), (60.0, 15.0)):
        clock = Clock.steady(bpm, 32.0)
        notes = (
            played(score(clock, (eighths(),)), replace(STILL, templates=(template(swing=None),)), clock).parts[0].notes
        )
        for note in notes:
            late = expected if note.start % 2 == 1 else 0.0
            assert note.offset_ms == pytest.approx(late, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    bpm=st.floats(50, 220),
    shares=st.lists(st.floats(-0.45, 0.45), min_size=16, max_size=16),
)
def test_offsets_stay_within_the_bounds(seed: int, bpm: float, shares: list[float]) -> None:
    clock = Clock.steady(bpm, 32.0)
    wild = template(bands=tuple(BandTemplate(n, (1.0,) * 16, tuple(shares)) for n in ("low", "mid", "high")))
    feel = Feel(push_ms=(("snare", 9.0), ("keys", -8.0)), loose_ms=8.0, templates=(wild,))
    for before, after in zip(groove(), played(score(clock, groove()), feel, clock, seed).parts, strict=True):
        for old, new in zip(before.notes, after.notes, strict=True):
            human = new.offset_ms - swing_ms(new.start, feel, clock, wild)
            floor = -clock.beat2second(new.start) * 1000
            assert max(-BOUND_MS, floor) - 1e-6 <= human <= BOUND_MS + 1e-6 or new.offset_ms == pytest.approx(floor)
            assert 1 <= new.velocity <= 127
            assert (new.start, new.pitch) == (old.start, old.pitch)


def test_an_accent_moves_no_note_further_than_its_bound() -> None:
    loud = template(bands=(BandTemplate("mid", tuple(1.0 if k == 4 else 0.01 for k in range(16)), (0.0,) * 16),))
    lesson = part2lesson(eighths(100), replace(STILL, templates=(loud,)), CLOCK)
    assert lesson is not None
    moves = [abs(lesson.velocity(n) - n.velocity) for n in eighths(100).notes if beat2step(n.start, CLOCK)]
    assert max(moves) == ACCENT_BOUND


def test_named_stems_alone_are_taught() -> None:
    song = score(CLOCK, groove())
    plain, taught = played(song, STILL), played(song, replace(STILL, templates=(template(stems=("bass",)),)))
    for name in ("drums", "keys", "pad"):
        assert plain.part(name) == taught.part(name)
    assert plain.part("bass") != taught.part("bass")
    first, second = template(stems=("bass",), swing=0.7), template(swing=None, bands=())
    both = played(song, replace(STILL, templates=(first, second)))
    assert both.part("bass") == played(song, replace(STILL, templates=(first,))).part("bass")
    assert both.part("keys") == plain.part("keys")


def test_what_the_user_played_and_other_metres_are_left_alone() -> None:
    song = score(CLOCK, (eighths(),))
    feel = replace(STILL, as_played=(("keys", 0.0, 32.0),), templates=(template(),))
    assert played(song, feel).parts[0].notes == eighths().notes
    waltz = Clock.from_pairs([(0.0, 0.0), (30.0, 15.0)], [Metre(0.0, 3, 4)])
    three = Part("keys", "keys", tuple(Note(b / 2, 0.4, 60, 80) for b in range(60)))
    alone = replace(STILL, templates=(template(swing=None),))
    assert played(score(waltz, (three,)), alone, waltz).parts == played(score(waltz, (three,)), STILL, waltz).parts


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), gap=st.sampled_from((0.02, 0.03, 0.05)), second=st.sampled_from((36, 38, 42, 45)))
def test_a_flam_keeps_its_order_in_any_groove(seed: int, gap: float, second: int) -> None:
    rng = np.random.default_rng(seed)
    bands = tuple(
        BandTemplate(n, (1.0,) * 16, tuple(float(v) for v in rng.uniform(-0.4, 0.4, 16)))
        for n in ("low", "mid", "high")
    )
    hits = tuple(n for b in range(1, 30) for n in (Note(b - gap, 0.1, 38, 50), Note(float(b), 0.1, second, 110)))
    feel = Feel(templates=(template(bands=bands, swing=None),))
    notes = played(score(CLOCK, (Part("drums", "drums", hits),)), feel, seed=seed).parts[0].notes
    for grace, main in zip(notes[::2], notes[1::2], strict=True):
        times = [CLOCK.beat2second(n.start) * 1000 + n.offset_ms for n in (grace, main)]
        assert times[0] < times[1]
        assert abs(grace.velocity - 50) < 20


def test_writing_one_bar_anew_leaves_the_others_as_played() -> None:
    parts = groove()
    fresh = tuple(Note(8.0 + k / 4, 0.2, 41 + k, 60 + k) for k in range(16))
    bass = tuple(sorted((*(n for n in parts[2].notes if not 8.0 <= n.start < 12.0), *fresh), key=lambda n: n.start))
    feel = Feel(templates=(template(),))
    one = played(score(CLOCK, parts), feel)
    other = played(score(CLOCK, (*parts[:2], replace(parts[2], notes=bass), parts[3])), feel)
    kept = [[n for n in s.part("bass").notes if n.start < 7.0 or n.start >= 12.0] for s in (one, other)]
    assert kept[0] == kept[1]


def test_registers() -> None:
    assert [band_of(p, "drums") for p in (36, 38, 42, 45, 51)] == ["low", "mid", "high", "low", "high"]
    assert (band_of(40, "bass"), band_of(40, "lead")) == ("low", "mid")
