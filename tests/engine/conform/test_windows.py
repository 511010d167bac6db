"""Windows of whole bars: they cover the stem, fit the renderer, and join without a trace."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.conform import TooLong, cut_windows, edit_windows, join_windows
from engine.conform.warp import crossfade, slide_onsets

RATE = 48_000
lengths = st.lists(st.integers(20_000, 120_000), min_size=1, max_size=24)


def bars_of(sizes: list[int]) -> list[tuple[int, int]]:
    ends = np.cumsum([0, *sizes]).tolist()
    return list(pairwise(ends))


@given(lengths, st.integers(0, 60_000), st.integers(240_000, 900_000))
def test_windows_cover_the_stem_and_share_a_bar(sizes: list[int], ringing: int, longest: int) -> None:
    bars = bars_of(sizes)
    samples = bars[-1][1] + ringing
    try:
        windows = cut_windows(bars, samples, longest)
    except TooLong:
        pairs = [b[1] - a[0] for a, b in pairwise(bars)]
        assert max([*pairs, bars[-1][1] - bars[0][0] if len(bars) == 1 else 0]) + ringing > longest
        return
    assert (windows[0].start, windows[-1].end) == (0, samples)
    for window in windows:
        assert window.end - window.start <= longest
        assert window.start == bars[window.first][0]
    for before, after in pairwise(windows):
        assert after.first == before.last - 1
        assert after.last > before.last


@given(lengths, st.data())
def test_an_edit_s_windows_cover_its_spans(sizes: list[int], data: st.DataObject) -> None:
    bars = bars_of(sizes)
    first = data.draw(st.integers(0, len(bars) - 1))
    last = data.draw(st.integers(first, len(bars) - 1))
    span = (bars[first][0], bars[last][1])
    windows = edit_windows(bars, [span], bars[-1][1], 600_000)
    assert min(w.start for w in windows) <= span[0]
    assert max(w.end for w in windows) >= span[1]
    assert all(w.end - w.start <= 600_000 for w in windows)


@settings(deadline=None, max_examples=30)
@given(lengths, st.integers(300_000, 700_000), st.integers(0, 2**31))
def test_pieces_of_one_sound_join_to_that_sound(sizes: list[int], longest: int, seed: int) -> None:
    bars = bars_of(sizes)
    samples = bars[-1][1]
    whole = np.random.default_rng(seed).normal(0, 0.1, (2, samples)).astype(np.float32)
    windows = cut_windows(bars, samples, longest)
    onsets = np.array([start + 3.0 for start, _ in bars])
    joined = join_windows([(w, whole[:, w.start : w.end]) for w in windows], samples, onsets, RATE)
    assert np.abs(joined - whole).max() < 1e-5


def test_sounds_that_have_nothing_in_common_join_with_equal_power() -> None:
    rng = np.random.default_rng(1)
    old, new = (rng.normal(0, 0.1, (2, 48_000)).astype(np.float32) for _ in range(2))
    faded = crossfade(old, new)
    power = np.square(faded).reshape(2, 10, -1).mean(axis=(0, 2))
    assert power == pytest.approx(np.full(10, 0.01), rel=0.1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-1400, 1400), min_size=2, max_size=12), st.integers(0, 2**31))
def test_slices_are_moved_whole_and_the_length_stays(lags: list[int], seed: int) -> None:
    """Just after every onset the result is the rendering's own samples, moved by that onset's lag and no other."""
    rng = np.random.default_rng(seed)
    onsets = np.cumsum(rng.integers(9_600, 30_000, len(lags))).astype(float)
    audio = rng.normal(0, 0.1, (2, int(onsets[-1]) + 20_000)).astype(np.float32)
    out = slide_onsets(audio, onsets, np.array(lags, dtype=float), RATE, 0.0)
    assert out.shape == audio.shape
    for onset, lag in zip(onsets.astype(int), lags, strict=True):
        assert np.array_equal(out[:, onset : onset + 480], audio[:, onset + lag : onset + lag + 480])
