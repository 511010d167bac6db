"""Stems to mix: their exact sum, then a true-peak limiter at -1 dBTP that does nothing below it.

The limiter looks ahead by a symmetric window (offline: no delay). True peak is measured on a four times oversampled
signal as in ITU-R BS.1770-4 annex 2, with a longer interpolator. Gains are linear in [0, 1]; audio is float32 [2, n].
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

from engine.hands import in_turn
from engine.tape import Audio, Changing, Held, Sounding, Tape, loudest, stretch, windows

CEILING_DB = -1.0
OVERSAMPLING = 4
TAPS_PER_PHASE = 32
LOOK_SAMPLES = 96
RELEASE_SAMPLES = 2880
SAFETY_DB = 0.05
"""What the limiter stays below its ceiling by its own reading: another meter's interpolator reads some hundredths of a
decibel more."""
CHUNK = 1 << 14
LEAST_REACH = 4 * LOOK_SAMPLES + TAPS_PER_PHASE
STRETCH = 1 << 19
"""Longer stretches are turned down in windows of so many samples."""
HANDS = 2
"""Windows whose peaks are read at the same time."""


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
    out = Held(audio)
    report = limit_in_place(out, rate)
    return out.audio, report


def limit_in_place(sound: Changing, rate: int) -> LimiterReport:
    """The same for a sound that is changed where it lies, read in windows."""
    ceiling = 10 ** (CEILING_DB / 20)
    top = loudest(sound)
    before, high = _peaks_above(sound, ceiling, top)
    if before <= ceiling:
        return LimiterReport(CEILING_DB, 0.0, 0.0, _db(before), _db(before))
    reach = int((_db(before) - CEILING_DB + 2 * SAFETY_DB) * RELEASE_SAMPLES / 6.0) + LEAST_REACH
    lowest, turned = 1.0, 0
    for lo, hi in _stretches(high, reach, sound.shape[1]):
        depth, count = _limit_stretch(sound, lo, hi, reach, top)
        lowest = min(lowest, depth)
        turned += count
    after, _ = _peaks_above(sound, ceiling, loudest(sound))
    return LimiterReport(CEILING_DB, -_db(lowest), turned / rate, _db(before), _db(after))


def _peaks_above(sound: Sounding, ceiling: float, top: float) -> tuple[float, list[tuple[int, int]]]:
    """(true peak, [first, last] of what lies above the ceiling, joined where any reach joins it) of a sound whose
    loudest sample is `top`."""
    greatest, found = 0.0, list[tuple[int, int]]()

    def read(window: tuple[int, int]) -> tuple[float, NDArray[np.int64]]:
        peaks = _window_peaks(sound, *window, top)
        return float(peaks.max(initial=0.0)), window[0] + np.flatnonzero(peaks > ceiling)

    with ThreadPoolExecutor(HANDS, thread_name_prefix="peaks") as pool:
        for highest, high in in_turn(pool, read, windows(sound.shape[1]), HANDS):
            greatest = max(greatest, highest)
            if len(high):
                edges = np.flatnonzero(np.diff(high) > 2 * LEAST_REACH)
                firsts, lasts = high[np.insert(edges + 1, 0, 0)], high[np.append(edges, -1)]
                found += zip(firsts.tolist(), lasts.tolist(), strict=True)
    return greatest, found


def _stretches(high: Sequence[tuple[int, int]], reach: int, samples: int) -> list[tuple[int, int]]:
    """[first, last) of the parts to work on: everything that a peak above the ceiling can reach, joined where they
    touch."""
    joined = [high[0]]
    for first, last in high[1:]:
        if first - joined[-1][1] > 2 * reach:
            joined.append((first, last))
        else:
            joined[-1] = (joined[-1][0], last)
    return [(max(first - reach, 0), min(last + reach, samples)) for first, last in joined]


def _limit_stretch(sound: Changing, lo: int, hi: int, reach: int, top: float) -> tuple[float, int]:
    """Turns down samples [lo, hi) in place; the lowest gain used, and how many samples were turned down.

    A gain that moves between two samples can leave a remainder between them: then the stretch is done again, a little
    lower. A long one is worked on in windows, each with what reaches into its gain.
    """
    wanted_peak = 10 ** (CEILING_DB / 20) * 10 ** (-SAFETY_DB / 20)
    target = wanted_peak * 10 ** (-SAFETY_DB / 20)
    peaks = _keep_peaks(sound, lo, hi, top)
    while True:
        left = 0.0
        for start, stop in windows(hi - lo, STRETCH):
            first, last = max(start - TAPS_PER_PHASE, 0), min(stop + TAPS_PER_PHASE, hi - lo)
            turned = _turned(sound[:, lo + first : lo + last], _gain(peaks, first, last, reach, target))
            left = max(left, float(true_peaks(turned)[start - first : stop - first].max()))
        if left <= wanted_peak:
            break
        target *= wanted_peak / left * 0.999
    lowest, count = 1.0, 0
    for start, stop in windows(hi - lo, STRETCH):
        gain = _gain(peaks, start, stop, reach, target)
        sound.write(lo + start, _turned(sound[:, lo + start : lo + stop], gain))
        lowest = min(lowest, float(gain.min()))
        count += int((gain < 1.0).sum())
    return lowest, count


def _keep_peaks(sound: Sounding, lo: int, hi: int, top: float) -> Sounding:
    """[1, hi - lo] true peaks of a stretch as it was; of a long one on disk."""
    if hi - lo <= STRETCH:
        return _window_peaks(sound, lo, hi, top)[None]
    tape = Tape(hi - lo, 1)
    for start, stop in windows(hi - lo):
        tape.write(start, _window_peaks(sound, lo + start, lo + stop, top)[None])
    return tape


def _gain(peaks: Sounding, start: int, stop: int, reach: int, target: float) -> NDArray[np.float64]:
    """Gains [stop - start] of a stretch with these peaks."""
    whole = peaks.shape[1] <= STRETCH
    first, last = (0, peaks.shape[1]) if whole else (max(start - reach, 0), min(stop + reach, peaks.shape[1]))
    around = peaks[:, first:last][0].astype(np.float64)
    return _smooth(np.minimum(1.0, target / np.maximum(around, 1e-12)))[start - first : stop - first]


def _turned(audio: Audio, gain: NDArray[np.float64]) -> Audio:
    """The samples with their gains; where that is 1 they are untouched."""
    out = audio.copy()
    turned = gain < 1.0
    out[:, turned] = (audio[:, turned] * gain[turned]).astype(np.float32)
    return out


def true_peaks(audio: Audio) -> Audio:
    """float32 [n]: for each sample the highest level of any channel at it and at the three points between it and the
    next.

    A stretch is only interpolated where that could reach above the loudest sample (the interpolator's gain is bounded
    by the sum of its taps' magnitudes); elsewhere the samples' own levels stand.
    """
    return _window_peaks(audio, 0, audio.shape[1], float(np.abs(audio).max(initial=0.0)))


def _window_peaks(sound: Sounding, start: int, stop: int, top: float) -> Audio:
    """The same of samples [start, stop) of a sound whose loudest sample is `top`."""
    phases = _interpolator()
    half = TAPS_PER_PHASE // 2
    quiet = top / float(np.abs(phases).sum(axis=1).max())
    padded = stretch(sound, start - half + 1, stop + half)
    peaks: Audio = np.abs(padded[:, half - 1 : padded.shape[1] - half]).max(axis=0, initial=0.0)
    for low in range(0, stop - start, CHUNK):
        high = min(low + CHUNK, stop - start)
        piece = padded[:, low : high + TAPS_PER_PHASE - 1]
        if float(np.abs(piece).max()) <= quiet:
            continue
        for phase in phases:
            for channel in piece:
                np.maximum(peaks[low:high], np.abs(np.convolve(channel, phase[::-1], "valid")), out=peaks[low:high])
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
