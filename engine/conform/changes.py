"""When one note gives way to the next in a sound that swells: told by its pitches, not by its attacks.

Around every onset the spectrum before and the one after are compared. The bins that are new then rise from their level
before to their level after; the moments at which they have risen by 15 and by 50 % give, in a straight line, the one at
which they began. A window of 92 ms smears that by about a quarter of its length towards the past, which is added again:
the beginnings of some twenty sampled instruments, swelling or struck, then lie within 20 ms of their notes.

Where a note comes after silence its beginning is plainer still: the first moment at 36 dB below what it swells to.

Conventions: mono float32; places in samples; results in milliseconds from the place, NaN where nothing can be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.signal import resample_poly

from engine.conform.envelope import Audio

Floats = NDArray[np.float64]

WINDOW_MS, HOP_MS = 92.0, 5.0
USED_RATE = 11_025
"""Sound is brought down to about this rate first."""
LOW_HZ, HIGH_HZ = 120.0, 4000.0
SMEAR_MS = 14.0
BEFORE_MS, AFTER_MS = 260.0, 400.0
"""The change is looked for this far around its place, and no further than the neighbours."""
LEAST_GAP_MS = 200.0
"""Notes that stand closer are no change that could be told."""
PER_BAR = 3
"""So many of a bar's changes are looked at, those that stand freest."""
NEW, HEARD = 2.5, 0.03
"""A bin is new where it is so many times as strong as before, and at least this share of the strongest."""
LEAST_BINS = 3
LOW_RISE, HIGH_RISE = 0.15, 0.5
LEAST_RISE = 4.0
"""What is new must rise by so many times its own wavering before."""
SILENT_DB, BEGUN_DB = -46.0, -36.0
FLOOR_DB, RISES = -20.0, 1.4
"""What begins below this and does not soon rise by so much is a noise, and no note."""
LEVEL_MS = 4.0
SILENT_MS = 100.0


@dataclass(frozen=True)
class Spot:
    """A change that is looked for: its place, and the samples to the onsets before and after it."""

    at: float
    before: float
    after: float


@dataclass(frozen=True)
class Changes:
    """`begun` [K]: where the new notes begin, straight back from their rise; `low`, `high` [K]: where they have risen
    by 15 and by 50 %; `spoken` [K]: where the sound begins after silence. Milliseconds from the K spots, or NaN."""

    begun: Floats
    low: Floats
    high: Floats
    spoken: Floats


def onsets2spots(onsets: Floats, bars: Sequence[tuple[int, int]], samples: int, rate: int) -> tuple[Spot, ...]:
    """The changes worth looking at among clusters of onsets (samples, ascending), a few for each bar."""
    least = LEAST_GAP_MS / 1000 * rate
    first = [rate * 1.0] if len(onsets) else []
    before = np.concatenate([first, np.diff(onsets)])
    after = np.diff(onsets, append=samples)
    out: list[Spot] = []
    for start, end in bars:
        here = np.flatnonzero((onsets >= start - 0.05 * rate) & (onsets < end - 0.05 * rate))
        free = np.minimum(np.minimum(before[here], after[here]), rate)
        kept = np.sort(here[np.argsort(-free, kind="stable")][: int((np.sort(-free)[:PER_BAR] <= -least).sum())])
        out += [Spot(float(onsets[k]), float(before[k]), float(after[k])) for k in kept]
    return tuple(out)


def find_changes(mono: Audio, spots: Sequence[Spot], rate: int) -> Changes:
    """Every spot's moments in a sound [samples]."""
    down = max(1, rate // USED_RATE)
    slow = np.asarray(resample_poly(mono, 1, down), np.float32) if down > 1 else mono
    rows = [_rise(slow, spot, rate, down) for spot in spots]
    low, high = np.array(rows, dtype=float).reshape(-1, 2).T
    begun = low - (high - low) * LOW_RISE / (HIGH_RISE - LOW_RISE) + SMEAR_MS
    return Changes(begun, low + SMEAR_MS, high, np.array([_spoken(mono, spot, rate) for spot in spots], dtype=float))


def _rise(slow: Audio, spot: Spot, rate: int, down: int) -> tuple[float, float]:
    """Moments (ms) at which what is new has risen by 15 and by 50 %."""
    unit = rate / 1000.0
    gone, left = spot.before / unit, spot.after / unit
    old = _frames(slow, spot.at, -gone + min(150.0, 0.4 * gone), -50.0, rate, down)
    new = _frames(slow, spot.at, min(200.0, 0.45 * left), left - 50.0, rate, down)
    start, end = -min(BEFORE_MS, 0.8 * gone), min(AFTER_MS, 0.9 * left)
    if len(new) < 3 or len(old) < 3:
        return np.nan, np.nan
    was, now = np.median(old, axis=0), np.median(new, axis=0)
    mask = (now > NEW * was) & (now > HEARD * max(float(now.max()), float(was.max())))
    if int(mask.sum()) < LEAST_BINS:
        return np.nan, np.nan
    weight = now[mask]
    around = _frames(slow, spot.at, start, end, rate, down)[:, mask] @ weight
    base, top = float(was[mask] @ weight), float(weight @ weight)
    risen = np.asarray((around - base) / (top - base))
    wavering = float(np.std(old[:, mask] @ weight)) / (top - base)
    if LEAST_RISE * wavering > 1.0:
        return np.nan, np.nan
    over = np.flatnonzero(risen >= HIGH_RISE)
    if not len(over):
        return np.nan, np.nan
    times: Floats = start + HOP_MS * np.arange(len(risen), dtype=np.float64)
    return _crossing(risen, times, int(over[0]), LOW_RISE), _crossing(risen, times, int(over[0]), HIGH_RISE)


def _crossing(risen: Floats, times: Floats, at: int, level: float) -> float:
    """The last time before the frame `at` that the curve passes `level` upwards."""
    while at > 0 and risen[at - 1] >= level:
        at -= 1
    if at == 0:
        return float("nan")
    share = (level - risen[at - 1]) / (risen[at] - risen[at - 1])
    return float(times[at - 1] + share * (times[at] - times[at - 1]))


def _frames(slow: Audio, at: float, start: float, end: float, rate: int, down: int) -> Floats:
    """[frames, bins] magnitudes every 5 ms from `start` to `end` ms around a place; silence outside the sound."""
    count = int((end - start) // HOP_MS) + 1
    if count < 1:
        return np.zeros((0, 1))
    size = round(WINDOW_MS / 1000 * rate / down)
    centres = (at + (start + HOP_MS * np.arange(count)) * rate / 1000) / down
    index = np.round(centres).astype(np.int64)[:, None] + np.arange(size) - size // 2
    inside = (index >= 0) & (index < len(slow))
    frames = np.where(inside, slow[np.clip(index, 0, len(slow) - 1)], np.float32(0.0))
    length = 1 << (size - 1).bit_length()
    frequency = np.arange(length // 2 + 1) * rate / down / length
    used = (frequency >= LOW_HZ) & (frequency <= HIGH_HZ)
    spectrum = rfft(frames * np.hanning(size).astype(np.float32), length, axis=1)[:, used]
    return np.asarray(np.abs(spectrum), dtype=np.float64)


def _spoken(mono: Audio, spot: Spot, rate: int) -> float:
    """Where the sound begins after silence (ms)."""
    block = max(round(LEVEL_MS / 1000 * rate), 1)
    ahead, behind = round(AFTER_MS / LEVEL_MS), round((SILENT_MS + 60.0) / LEVEL_MS)
    index = round(spot.at) - behind * block + np.arange((ahead + behind) * block)
    inside = (index >= 0) & (index < len(mono))
    sound = np.where(inside, mono[np.clip(index, 0, len(mono) - 1)], np.float32(0.0)).reshape(-1, block)
    level = np.sqrt(np.square(sound, dtype=np.float64).mean(axis=1))
    top = float(level.max())
    if top <= 1e-6 or float(level[: round(SILENT_MS / LEVEL_MS)].max()) > top * 10 ** (SILENT_DB / 20):
        return float("nan")
    first = int(np.argmax(level > top * 10 ** (BEGUN_DB / 20)))
    soon, later = float(np.median(level[first : first + 3])), float(level[first : first + 9].max())
    if soon < top * 10 ** (FLOOR_DB / 20) and later < RISES * soon:
        return float("nan")
    return float((first - behind) * LEVEL_MS)
