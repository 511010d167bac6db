"""Stems to mix: their exact sum, then a true-peak limiter at -1 dBTP that does nothing below it.

The limiter looks ahead by a symmetric window (offline: no delay). True peak is measured on a four times oversampled
signal as in ITU-R BS.1770-4 annex 2, with a longer interpolator. Gains are linear in [0, 1]; audio is float32 [2, n].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

Audio = NDArray[np.float32]

CEILING_DB = -1.0
OVERSAMPLING = 4
TAPS_PER_PHASE = 32
LOOK_SAMPLES = 96
RELEASE_SAMPLES = 2880
SAFETY_DB = 0.05
"""What the limiter stays below its ceiling by its own reading: another meter's interpolator reads some hundredths of a
decibel more."""
CHUNK = 1 << 14


@dataclass(frozen=True)
class LimiterReport:
    """What the limiter did: its ceiling, the deepest gain reduction (0: none) and for how long the mix was turned down.
    True peaks before and after in dBTP."""

    ceiling_dbfs: float
    max_reduction_db: float
    seconds_limited: float
    true_peak_before: float
    true_peak_after: float


def mix_stems(stems: Sequence[Audio], rate: int) -> tuple[Audio, LimiterReport]:
    """The sum of equally long stems (float64 inside, one rounding), limited. Raises ValueError for none or unequal
    ones."""
    if not stems or any(s.shape != stems[0].shape for s in stems):
        raise ValueError("stems must exist and be equally long")
    total = np.zeros(stems[0].shape, np.float64)
    for stem in stems:
        total += stem
    return limit(total.astype(np.float32), rate)


def limit(audio: Audio, rate: int) -> tuple[Audio, LimiterReport]:
    """Audio whose true peak is at most -1 dBTP. Below that, and away from peaks above it, samples are untouched."""
    ceiling = 10 ** (CEILING_DB / 20)
    peaks = true_peaks(audio)
    before = float(peaks.max(initial=0.0))
    if before <= ceiling:
        return audio, LimiterReport(CEILING_DB, 0.0, 0.0, _db(before), _db(before))
    out = audio.copy()
    lowest, turned = 1.0, 0
    for lo, hi in _stretches(peaks, ceiling):
        gain = _limit_stretch(out, peaks, lo, hi, ceiling)
        peaks[lo:hi] = true_peaks(out[:, max(lo - TAPS_PER_PHASE, 0) : hi + TAPS_PER_PHASE])[
            min(lo, TAPS_PER_PHASE) : min(lo, TAPS_PER_PHASE) + hi - lo
        ]
        lowest = min(lowest, float(gain.min()))
        turned += int((gain < 1.0).sum())
    after = float(peaks.max())
    return out, LimiterReport(CEILING_DB, -_db(lowest), turned / rate, _db(before), _db(after))


def _stretches(peaks: Audio, ceiling: float) -> list[tuple[int, int]]:
    """[first, last) of the parts to work on: everything that a peak above the ceiling can reach, joined where they
    touch."""
    high = np.flatnonzero(peaks > ceiling)
    deepest = _db(float(peaks.max())) - CEILING_DB + 2 * SAFETY_DB
    reach = int(deepest * RELEASE_SAMPLES / 6.0) + 4 * LOOK_SAMPLES + TAPS_PER_PHASE
    groups = np.split(high, np.flatnonzero(np.diff(high) > 2 * reach) + 1)
    return [(max(int(g[0]) - reach, 0), min(int(g[-1]) + reach, len(peaks))) for g in groups]


def _limit_stretch(out: Audio, peaks: Audio, lo: int, hi: int, ceiling: float) -> NDArray[np.float64]:
    """Turns down out[:, lo:hi] in place and returns the gain used.

    A gain that moves between two samples can leave a remainder between them: then the stretch is done again, a little
    lower.
    """
    original = out[:, lo:hi].copy()
    wanted_peak = ceiling * 10 ** (-SAFETY_DB / 20)
    target = wanted_peak * 10 ** (-SAFETY_DB / 20)
    while True:
        wanted = np.minimum(1.0, target / np.maximum(peaks[lo:hi].astype(np.float64), 1e-12))
        gain = _smooth(wanted)
        turned = gain < 1.0
        out[:, lo:hi][:, turned] = (original[:, turned] * gain[turned]).astype(np.float32)
        left = float(true_peaks(out[:, lo:hi]).max())
        if left <= wanted_peak:
            return gain
        target *= wanted_peak / left * 0.999


def true_peaks(audio: Audio) -> Audio:
    """float32 [n]: for each sample the highest level of any channel at it and at the three points between it and the
    next.

    A stretch is only interpolated where that could reach above the loudest sample (the interpolator's gain is bounded
    by the sum of its taps' magnitudes); elsewhere the samples' own levels stand.
    """
    phases = _interpolator()
    half = TAPS_PER_PHASE // 2
    n = audio.shape[1]
    peaks: Audio = np.abs(audio).max(axis=0, initial=0.0)
    quiet = float(peaks.max(initial=0.0)) / float(np.abs(phases).sum(axis=1).max())
    padded = np.pad(audio, ((0, 0), (half - 1, half)))
    for start in range(0, n, CHUNK):
        stop = min(start + CHUNK, n)
        piece = padded[:, start : stop + TAPS_PER_PHASE - 1]
        if float(np.abs(piece).max()) <= quiet:
            continue
        for phase in phases:
            for channel in piece:
                np.maximum(peaks[start:stop], np.abs(np.convolve(channel, phase[::-1], "valid")), out=peaks[start:stop])
    return peaks


@lru_cache(maxsize=1)
def _interpolator() -> Audio:
    """float32 [3, taps]: windowed-sinc filters for the points at 1/4, 2/4 and 3/4 between two samples."""
    k = np.arange(TAPS_PER_PHASE) - (TAPS_PER_PHASE // 2 - 1)
    rows = []
    for phase in range(1, OVERSAMPLING):
        x = k - phase / OVERSAMPLING
        window = np.kaiser(2001, 8.0)[np.round((x / TAPS_PER_PHASE + 0.5) * 2000).astype(int)]
        row = np.sinc(x) * window
        rows.append(row / row.sum())
    return np.array(rows, dtype=np.float32)


def _smooth(wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """A gain curve [n] nowhere above `wanted`: the minimum over the look-ahead, a release linear in dB, a mean over
    that window."""
    held = scipy.ndimage.minimum_filter1d(wanted, 2 * LOOK_SAMPLES + 1, mode="nearest")
    slope = 6.0 / RELEASE_SAMPLES
    ramp = slope * np.arange(len(held))
    carried = np.maximum.accumulate(-20 * np.log10(held) + ramp) - ramp
    depth = 1.0 - 10 ** (-np.where(carried > 1e-9, carried, 0.0) / 20)
    window = np.hanning(2 * LOOK_SAMPLES + 3)[1:-1]
    smooth = scipy.signal.oaconvolve(np.pad(depth, LOOK_SAMPLES, mode="edge"), window / window.sum(), mode="valid")
    active = scipy.ndimage.maximum_filter1d(depth, 2 * LOOK_SAMPLES + 1) > 0
    return np.asarray(np.where(active, np.clip(1.0 - smooth, 0.0, 1.0), 1.0), dtype=np.float64)


def _db(level: float) -> float:
    return float(20 * np.log10(max(level, 1e-9)))
