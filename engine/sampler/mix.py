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
CHUNK = 1 << 18


@dataclass(frozen=True)
class LimiterReport:
    """What the limiter did. `true_peak_before` and `_after` in dBTP, `reduction_db` the deepest gain reduction (0: none),
    `limited_samples` how many samples were turned down."""

    ceiling_dbtp: float
    true_peak_before: float
    true_peak_after: float
    reduction_db: float
    limited_samples: int


def mix_stems(stems: Sequence[Audio]) -> tuple[Audio, LimiterReport]:
    """The sum of equally long stems (float64 inside, one rounding), limited. Raises ValueError for none or unequal ones."""
    if not stems or any(s.shape != stems[0].shape for s in stems):
        raise ValueError("stems must exist and be equally long")
    total = np.zeros(stems[0].shape, np.float64)
    for stem in stems:
        total += stem
    return limit(total.astype(np.float32))


def limit(audio: Audio) -> tuple[Audio, LimiterReport]:
    """Audio whose true peak is at most -1 dBTP. Below that, and away from peaks above it, samples are untouched."""
    ceiling = 10 ** (CEILING_DB / 20)
    peaks = true_peaks(audio)
    before = float(peaks.max(initial=0.0))
    if before <= ceiling:
        return audio, LimiterReport(CEILING_DB, _db(before), _db(before), 0.0, 0)
    target = ceiling * 10 ** (-SAFETY_DB / 20)
    wanted = np.minimum(1.0, target / np.maximum(peaks, 1e-12))
    gain = _smooth(wanted)
    out = audio.copy()
    turned = gain < 1.0
    out[:, turned] = (audio[:, turned] * gain[turned]).astype(np.float32)
    after = float(true_peaks(out).max())
    if after > ceiling:
        # Gain that changes between samples can leave a remainder between them: one static trim of the limited stretch.
        out[:, turned] *= np.float32(target / after)
        after = float(true_peaks(out).max())
    return out, LimiterReport(CEILING_DB, _db(before), _db(after), -_db(float(gain.min())), int(turned.sum()))


def true_peaks(audio: Audio) -> NDArray[np.float64]:
    """float64 [n]: for each sample the highest level of any channel at it and in the three points between it and the next."""
    phases = _interpolator()
    half = TAPS_PER_PHASE // 2
    n = audio.shape[1]
    peaks = np.abs(audio).max(axis=0, initial=0.0).astype(np.float64)
    loud = np.flatnonzero(peaks > 0.35)
    if not len(loud):
        return peaks
    padded = np.pad(audio, ((0, 0), (half - 1, half)))
    for start in range(0, n, CHUNK):
        stop = min(start + CHUNK, n)
        if not np.any((loud >= start - half) & (loud < stop + half)):
            continue
        piece = padded[:, start : stop + TAPS_PER_PHASE - 1]
        for phase in phases:
            between = np.abs(scipy.signal.fftconvolve(piece, phase[None, ::-1], mode="valid", axes=1)).max(axis=0)
            np.maximum(peaks[start:stop], between, out=peaks[start:stop])
    return peaks


@lru_cache(maxsize=1)
def _interpolator() -> NDArray[np.float64]:
    """float64 [3, taps]: windowed-sinc filters for the points at 1/4, 2/4 and 3/4 between two samples."""
    k = np.arange(TAPS_PER_PHASE) - (TAPS_PER_PHASE // 2 - 1)
    rows = []
    for phase in range(1, OVERSAMPLING):
        x = k - phase / OVERSAMPLING
        window = np.kaiser(2001, 8.0)[np.round((x / TAPS_PER_PHASE + 0.5) * 2000).astype(int)]
        row = np.sinc(x) * window
        rows.append(row / row.sum())
    return np.array(rows)


def _smooth(wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """A gain curve that is nowhere above `wanted`, falls within the look-ahead and rises slowly; exactly 1 elsewhere."""
    held = scipy.ndimage.minimum_filter1d(wanted, 2 * LOOK_SAMPLES + 1, mode="nearest")
    released = _release(held)
    window = np.hanning(2 * LOOK_SAMPLES + 3)[1:-1]
    depth = 1.0 - released
    smooth = scipy.signal.oaconvolve(depth, window / window.sum(), mode="same")
    active = scipy.ndimage.maximum_filter1d(depth, 2 * LOOK_SAMPLES + 1) > 0
    return np.asarray(np.where(active, np.clip(1.0 - smooth, 0.0, 1.0), 1.0), dtype=np.float64)


def _release(held: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain reduction in dB that lets go linearly over `RELEASE_SAMPLES` per 6 dB, never less than `held` asks."""
    slope = 6.0 / RELEASE_SAMPLES
    reduction = -20 * np.log10(held)
    index = np.arange(len(held))
    carried = np.maximum.accumulate(reduction + slope * index) - slope * index
    return np.asarray(10 ** (-np.where(carried > 1e-9, carried, 0.0) / 20), dtype=np.float64)


def _db(level: float) -> float:
    return float(20 * np.log10(max(level, 1e-9)))
