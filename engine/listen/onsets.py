"""Onset strength of a clip, band by band, and the times of its single onsets.

Levels of 36 bands, a third of an octave and less wide, are compressed, and a band's growth over two frames against the
loudest of its neighbours before is its strength (SuperFlux: S. Böck and G. Widmer, "Maximum filter vibrato suppression
for onset detection", DAFx 2013): a glide or a vibrato is no onset.

Conventions: mono float32 at `RATE`; frame i stands for the second `i / FRAMES` (delays of the analysis are taken off);
strengths are at least 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.ndimage import maximum_filter1d

from engine.listen.steps import each, unheard
from engine.report import Tick

Floats = NDArray[np.float64]
Audio = NDArray[np.float32]

RATE = 22050
HOP, SIZE = 220, 512
FRAMES = RATE / HOP
"""Frames a second."""
BANDS = 36
LOW_HZ, HIGH_HZ = 30.0, 10500.0
SPLITS_HZ = (180.0, 2500.0)
"""Where "low" ends and "high" begins."""
LAG = 2
SILENT = 1e-4
DELAY_FRAMES = -0.6
"""By how much later the growth peaks than the sound begins (a window sees what is ahead): a test holds it to 3 ms."""


@dataclass(frozen=True)
class Strength:
    """`bands` [frames, BANDS] and `hz` [BANDS] their centres; both empty for a clip without a full window."""

    bands: Floats
    hz: Floats

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.bands)

    def summed(self) -> Floats:
        """[frames] over all bands."""
        return np.asarray(self.bands.sum(axis=1))

    def split(self) -> Floats:
        """[frames, 3]: low, mid and high."""
        edges = np.searchsorted(self.hz, SPLITS_HZ)
        return np.stack([part.sum(axis=1) for part in np.split(self.bands, edges, axis=1)], axis=1)


def sound2strength(mono: Audio, tick: Tick = unheard) -> Strength:
    """Onset strength of a clip at `RATE`. Silence has none anywhere; a clip shorter than a window has no frames."""
    matrix, centres = _bands()
    if len(mono) < SIZE:
        return Strength(np.zeros((0, BANDS)), centres)
    padded = np.pad(mono, (SIZE // 2, SIZE // 2))
    views = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
    window = np.hanning(SIZE).astype(np.float32)
    starts = range(0, len(views), 1024)
    level = np.concatenate(
        [np.abs(rfft(views[i : i + 1024] * window, axis=1)) @ matrix for i in each(starts, len(starts), tick)]
    )
    usual, struck = np.percentile(level, (90, 98), axis=0)
    loud = np.maximum(usual, 0.5 * struck)
    if float(np.abs(mono).max()) < SILENT:
        return Strength(np.zeros(level.shape), centres)
    floor = 0.05 * np.maximum(loud, 0.03 * loud.max()) + 1e-6
    logs = np.log1p(level / floor)
    before = maximum_filter1d(logs[:-LAG], 3, axis=1)
    growth = np.maximum(logs[LAG:] - before, 0.0)
    centred = np.pad(growth, ((LAG // 2, LAG - LAG // 2), (0, 0)))
    return Strength(np.asarray(centred, dtype=float), centres)


def strength2times(strength: Floats, *, least: float = 0.12, apart: float = 0.05) -> tuple[Floats, Floats]:
    """(seconds, heights) of the onsets in a strength [frames]: its local peaks, above the local mean by `least` of the
    clip's high level, at least `apart` seconds from a higher one; times are read between frames."""
    if len(strength) < 3 or strength.max(initial=0.0) <= 0:
        return np.zeros(0), np.zeros(0)
    reach = max(1, round(apart * FRAMES))
    high = float(np.percentile(strength, 99))
    above = strength - moving_mean(strength, round(0.4 * FRAMES))
    peak = (strength >= maximum_filter1d(strength, 2 * reach + 1)) & (above > least * high)
    at = np.flatnonzero(peak)
    at = at[np.insert(np.diff(at) > 1, 0, True)] if len(at) else at
    return frame2second(strength, at), strength[at]


def frame2second(strength: Floats, at: NDArray[np.int64]) -> Floats:
    """Seconds of local peaks at the frames `at`, by the parabola through each and its neighbours."""
    inner = np.clip(at, 1, max(len(strength) - 2, 1))
    a, b, c = strength[inner - 1], strength[inner], strength[inner + 1]
    shift = np.clip(0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-9), -0.5, 0.5)
    return np.asarray(np.maximum((inner + shift - DELAY_FRAMES) / FRAMES, 0.0))


def moving_mean(values: Floats, width: int) -> Floats:
    """Mean of the `width` values around each, of those that are there at the ends."""
    width = max(1, min(width, len(values)))
    sums = np.convolve(values, np.ones(width), mode="same")
    return np.asarray(sums / np.convolve(np.ones(len(values)), np.ones(width), mode="same"))


def _bands() -> tuple[NDArray[np.float32], Floats]:
    """([bins, BANDS] triangles, [BANDS] centres), spaced evenly in Hz at the bottom and in octaves above."""
    frequency = np.arange(SIZE // 2 + 1) * RATE / SIZE
    mel = np.linspace(np.log1p(LOW_HZ / 300.0), np.log1p(HIGH_HZ / 300.0), BANDS + 2)
    edges = np.expm1(mel) * 300.0
    low, mid, high = edges[:-2], edges[1:-1], edges[2:]
    rise = (frequency[:, None] - low) / (mid - low)
    fall = (high - frequency[:, None]) / (high - mid)
    weight = np.maximum(np.minimum(rise, fall), 0.0)
    empty = weight.sum(axis=0) == 0
    weight[np.abs(frequency[:, None] - mid[None, :]).argmin(axis=0)[empty], np.flatnonzero(empty)] = 1.0
    return weight.astype(np.float32), mid
