"""The clock: exact there and back, whatever the tempo map; bars under changing metres."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RequestError
from bridge.timeline import MAX_BARS, Clock, Metre, second2sample

RATES = st.sampled_from([8000, 22050, 44100, 48000, 88200, 96000, 192000])


@st.composite
def clocks(draw: st.DrawFn) -> Clock:
    """Any tempo map of up to 30 segments between 20 and 400 bpm, starting anywhere within an hour."""
    beat = draw(st.floats(-64.0, 1000.0))
    second = draw(st.floats(0.0, 3600.0))
    pairs = [(beat, second)]
    for _ in range(draw(st.integers(1, 30))):
        beats = draw(st.floats(0.25, 64.0))
        second += beats * 60.0 / draw(st.floats(20.0, 400.0))
        beat += beats
        pairs.append((beat, second))
    return Clock.from_pairs(pairs)


@given(clocks(), RATES, st.floats(0.0, 1.0))
def test_sample_to_beat_and_back_is_exact(clock: Clock, rate: int, where: float) -> None:
    sample = second2sample(clock.seconds[0] + where * (clock.seconds[-1] - clock.seconds[0]), rate)
    assert clock.beat2sample(clock.sample2beat(sample, rate), rate) == sample


@given(clocks(), RATES, st.lists(st.floats(0.0, 1.0), min_size=2, max_size=20))
def test_beats_in_order_are_samples_in_order(clock: Clock, rate: int, places: list[float]) -> None:
    beats = sorted(clock.start + p * (clock.end - clock.start) for p in places)
    samples = [clock.beat2sample(b, rate) for b in beats]
    assert samples == sorted(samples)


@given(clocks(), RATES, st.floats(0.0, 1.0))
def test_neighbours_join_without_a_gap(clock: Clock, rate: int, where: float) -> None:
    middle = clock.start + where * (clock.end - clock.start)
    whole = clock.span2samples(clock.start, clock.end, rate)
    assert clock.span2samples(clock.start, middle, rate) + clock.span2samples(middle, clock.end, rate) == whole


def test_every_pair_is_met_exactly() -> None:
    pairs = [(0.0, 0.0), (64.0, 40.0), (68.0, 42.4), (132.0, 79.05714285714285)]
    clock = Clock.from_pairs(pairs)
    assert [clock.beat2second(b) for b, _ in pairs] == [s for _, s in pairs]
    assert [clock.second2beat(s) for _, s in pairs] == [b for b, _ in pairs]
    assert clock.beat2sample(132.0, 48000) == 3794743
    assert clock.bpm_at(63.9) == pytest.approx(96.0)
    assert clock.bpm_at(64.0) == pytest.approx(100.0)


def test_time_goes_on_outside_the_timeline_at_the_outer_tempi() -> None:
    clock = Clock.from_pairs([(0.0, 1.0), (4.0, 3.0), (8.0, 4.0)])
    assert clock.beat2second(-2.0) == pytest.approx(0.0)
    assert clock.beat2second(10.0) == pytest.approx(4.5)


def test_halves_are_rounded_upwards() -> None:
    assert [second2sample(s, 2) for s in (0.25, 0.75, 1.25)] == [1, 2, 3]


def test_bars_follow_the_metres() -> None:
    clock = Clock.from_pairs(
        [(0.0, 0.0), (30.0, 15.0)], [Metre(0.0, 4, 4), Metre(8.0, 6, 8), Metre(16.0, 7, 8), Metre(23.0, 3, 4)]
    )
    bars = list(clock.bars())
    assert [(b.start, b.end) for b in bars] == [
        (0.0, 4.0), (4.0, 8.0), (8.0, 11.0), (11.0, 14.0), (14.0, 16.0), (16.0, 19.5), (19.5, 23.0),
        (23.0, 26.0), (26.0, 29.0), (29.0, 30.0),
    ]  # fmt: skip
    assert [b.index for b in bars] == list(range(10))
    assert [b.index for b in clock.bars(9.0, 16.0)] == [2, 3, 4]


@given(clocks(), st.integers(1, 12), st.sampled_from([2, 4, 8]))
def test_bars_cover_the_timeline_without_holes(clock: Clock, beats: int, unit: int) -> None:
    metred = Clock.from_pairs(list(zip(clock.beats, clock.seconds, strict=True)), [Metre(clock.start, beats, unit)])
    bars = list(metred.bars())
    assert bars[0].start == metred.start
    assert bars[-1].end == metred.end
    assert all(a.end == b.start for a, b in itertools.pairwise(bars))


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([], "clock.too_short"),
        ([(0.0, 0.0)], "clock.too_short"),
        ([(0.0, 0.0), (4.0, 2.0), (4.0, 3.0)], "clock.not_increasing"),
        ([(0.0, 0.0), (4.0, 2.0), (8.0, 2.0)], "clock.not_increasing"),
        ([(0.0, 0.0), (4.0, math.nan)], "clock.not_finite"),
        ([(0.0, 0.0), (math.inf, 2.0)], "clock.not_finite"),
        ([(0.0, 0.0), (4.0, 0.001)], "clock.tempo"),
        ([(0.0, 0.0), (0.001, 40.0)], "clock.tempo"),
        ([(0.0, 0.0), (1e9, 1e5)], "clock.out_of_range"),
        ([(0.0, 0.0), (60_000.0, 30_000.0)], "clock.too_long"),
    ],
)
def test_an_impossible_clock_is_refused(pairs: list[tuple[float, float]], code: str) -> None:
    with pytest.raises(RequestError) as caught:
        Clock.from_pairs(pairs)
    assert caught.value.code == code
    assert caught.value.field.startswith("arrangement.clock")


@pytest.mark.parametrize(
    ("metres", "code"),
    [
        ([Metre(0.0, 0, 4)], "metre.impossible"),
        ([Metre(0.0, 4, 3)], "metre.impossible"),
        ([Metre(4.0, 4, 4)], "metre.late"),
        ([Metre(0.0, 4, 4), Metre(0.0, 3, 4)], "metre.not_increasing"),
        ([Metre(0.0, 4, 4), Metre(90_000.0, 3, 4)], "metre.outside"),
        ([Metre(math.nan, 4, 4)], "metre.not_finite"),
        ([Metre(0.0, 1, 32)], "metre.too_many_bars"),
    ],
)
def test_an_impossible_metre_is_refused(metres: list[Metre], code: str) -> None:
    pairs = [(0.0, 0.0), (MAX_BARS / 4.0, MAX_BARS / 8.0)]
    with pytest.raises(RequestError) as caught:
        Clock.from_pairs(pairs, metres)
    assert caught.value.code == code
    assert caught.value.field.startswith("arrangement.metres")
