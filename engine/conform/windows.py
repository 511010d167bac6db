"""A stem cut into windows of whole bars for renderers that cannot hear all of it at once, and put together again.

Neighbouring windows share a bar: the later one has had it to settle in when it takes over at the bar line that ends it.
Positions are samples from the stem's start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.conform.envelope import Audio
from engine.conform.warp import crossfade

Floats = NDArray[np.float64]
Bars = Sequence[tuple[int, int]]

JOIN_MS = 20.0
GUARD_MS = 4.0
"""A join ends so long before the first onset that it could blur."""
NEAR_MS = 60.0
"""A note so close to a bar line belongs to it, early as it may be played."""
CONTEXT_BARS = 4
"""An edit is heard with so many bars around it, where the window has room."""


@dataclass(frozen=True)
class Window:
    """Bars [first, last) of the stem, samples [start, end); the last window ends with what rings on."""

    first: int
    last: int
    start: int
    end: int


class TooLong(ValueError):
    """A bar is longer than the window."""


def cut_windows(bars: Bars, samples: int, longest: int) -> list[Window]:
    """Windows of at most `longest` samples over all bars [start, end); the last one reaches to `samples`.

    Raises `TooLong` where two bars (one, where there is but one) do not fit into a window.
    """
    windows: list[Window] = []
    first = 0
    while not windows or windows[-1].last < len(bars):
        last = first + 1
        while last < len(bars) and _end(bars, last + 1, samples) - bars[first][0] <= longest:
            last += 1
        stuck = windows and last <= windows[-1].last
        if stuck or _end(bars, last, samples) - bars[first][0] > longest:
            raise TooLong
        windows.append(Window(first, last, bars[first][0], _end(bars, last, samples)))
        first = last - 1
    return windows


def edit_windows(bars: Bars, spans: Sequence[tuple[int, int]], samples: int, longest: int) -> list[Window]:
    """Windows that cover the spans [start, end) of an edit, with some bars around each. Raises `TooLong`."""
    out: list[Window] = []
    for start, end in spans:
        touched = [k for k, bar in enumerate(bars) if bar[0] < end and bar[1] > start]
        first, last = touched[0], touched[-1] + 1
        if _end(bars, last, samples) - bars[first][0] > longest:
            inner = [(bars[k][0], bars[k][1]) for k in range(first, last)]
            stop = _end(bars, last, samples)
            out += [Window(first + w.first, first + w.last, w.start, w.end) for w in cut_windows(inner, stop, longest)]
            continue
        for _ in range(CONTEXT_BARS):
            if first > 0 and _end(bars, last, samples) - bars[first - 1][0] <= longest:
                first -= 1
            if last < len(bars) and _end(bars, last + 1, samples) - bars[first][0] <= longest:
                last += 1
        out.append(Window(first, last, bars[first][0], _end(bars, last, samples)))
    return out


def _end(bars: Bars, last: int, samples: int) -> int:
    return samples if last == len(bars) else bars[last - 1][1]


def join_windows(pieces: Sequence[tuple[Window, Audio]], samples: int, onsets: Floats, rate: int) -> Audio:
    """The windows' sounds as one of `samples`; silence where no window lies. `onsets`: the notes' starts, ascending."""
    out = np.zeros((2, samples), np.float32)
    reached = 0
    for window, audio in pieces:
        if window.start >= reached:
            out[:, window.start : window.end] = audio
        else:
            _take_over(out, audio, window, reached, onsets, rate)
        reached = window.end
    return out


def _take_over(out: Audio, audio: Audio, window: Window, line: int, onsets: Floats, rate: int) -> None:
    """Fades with equal power (equal gain for what is alike) from what is there into `audio`, just before the bar line
    `line`."""
    near = onsets[np.abs(onsets - line) <= NEAR_MS / 1000 * rate]
    end = int(min([line, *near])) - round(GUARD_MS / 1000 * rate)
    end = min(max(end, window.start + 1), line)
    start = max(end - round(JOIN_MS / 1000 * rate), window.start)
    new = audio[:, start - window.start :]
    out[:, start:end] = crossfade(out[:, start:end], new[:, : end - start])
    out[:, end : window.end] = new[:, end - start :]
