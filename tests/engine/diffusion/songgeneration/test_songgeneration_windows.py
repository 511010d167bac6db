"""How a song's codes are cut into windows, whatever pieces they come in."""

from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from engine.diffusion.songgeneration.windows import count_windows, cut_windows
from tests.engine.diffusion.songgeneration.songs import random_codes


@given(frames=st.integers(1, 500), quarter=st.integers(1, 30), cuts=st.lists(st.integers(0, 500), max_size=5))
def test_windows_hold_the_song_once_around(frames: int, quarter: int, cuts: list[int]) -> None:
    size, hop = 4 * quarter, 3 * quarter
    codes = random_codes(frames)
    ends = [0, *sorted(min(cut, frames) for cut in cuts), frames]
    windows = list(cut_windows([codes[:, a:b] for a, b in itertools.pairwise(ends)], size))
    assert len(windows) == count_windows(frames, size) == max(1, math.ceil((frames - quarter) / hop))
    assert [w.number for w in windows] == list(range(len(windows)))
    assert [w.last for w in windows] == [False] * (len(windows) - 1) + [True]
    for window in windows:
        assert window.codes.shape == (3, size)
        places = [(window.number * hop + k) % frames for k in range(size)]
        assert window.codes.tolist() == codes[:, places].tolist()
    assert windows[-1].number * hop + windows[-1].end == frames
    assert all(window.end == size for window in windows[:-1])


def test_the_published_window() -> None:
    assert [count_windows(frames, 1000) for frames in (1, 1000, 1001, 1750, 1751, 6750)] == [1, 1, 2, 2, 3, 9]
