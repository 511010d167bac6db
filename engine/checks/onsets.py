"""Where the notes of a stem really begin, against where the score says they do.

Only onsets that stand alone are measured, and of those the ones that are clear in the audio: a bow or a breath that
swells over what rings on has no moment that could be measured.

Conventions: audio is [2, samples] float32, in memory or on disk; score times are samples from the stem's start;
differences are audio - score in ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Clock
from engine.checks.detect import find_onsets
from engine.score import Part
from engine.tape import Sounding

Floats = NDArray[np.float64]

CLUSTER_MS = 4.0
"""A note that begins so soon after another belongs to the same onset: a chord, or a strum."""
STRUM_MS = 8.0
"""An onset whose notes are spread wider than this has no moment that could be measured."""
ALONE_MS = 40.0
"""An onset is measured when no other one begins this close to it."""
CLEAR = 12.0
"""Growth (nepers over 40 bands) from which an onset is clear."""
RELEASED_MS = (16.0, 2.0)
"""Nor is an onset measured when a note ends between these times before it."""
GAP_MS, GAP_AFTER_MS, GAP_BEFORE_MS = 60.0, 80.0, 20.0
"""Between notes at least so much must remain, so long after one and so long before the next."""
MAX_GAPS = 80
MAX_MEASURED = 250
MIN_VELOCITY = 30
PERIODS = 1.6
WINDOW_MS = (16.0, 24.0)


@dataclass(frozen=True)
class Onsets:
    """`scored`: onsets of the score inside the stem; `alone`: those tried; `times` [n] (seconds in the stem) and
    `differences` [n] (ms) of those that were clear. `gaps`: places tried between notes, where nothing begins in the
    score; `strays`: seconds of those where something does."""

    scored: int
    alone: int
    times: Floats
    differences: Floats
    gaps: int = 0
    strays: tuple[float, ...] = ()

    @property
    def clear(self) -> int:
        """How many onsets were measured."""
        return len(self.differences)

    @property
    def median_ms(self) -> float | None:
        """Median of |difference|, None where nothing was clear."""
        return float(np.median(np.abs(self.differences))) if self.clear else None

    @property
    def p99_ms(self) -> float | None:
        """99th percentile of |difference|, None where nothing was clear."""
        return float(np.percentile(np.abs(self.differences), 99)) if self.clear else None


def score2times(part: Part, clock: Clock, rate: int, start_sample: int) -> tuple[Floats, Floats]:
    """(time [N] in samples from the stem's start, velocity [N]) of all notes, in order of time."""
    rows = sorted(
        ((clock.beat2second(n.start) + n.offset_ms / 1000.0) * rate - start_sample, n.velocity) for n in part.notes
    )
    table = np.array(rows, dtype=float).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def times2clusters(times: Floats, velocities: Floats, rate: int) -> tuple[Floats, Floats, Floats]:
    """(first time, last time, greatest velocity) of notes that begin together; times in samples, ascending."""
    if not len(times):
        return times, times, velocities
    first = np.flatnonzero(np.diff(times, prepend=-np.inf) > CLUSTER_MS / 1000 * rate)
    last = np.append(first[1:], len(times)) - 1
    return times[first], times[last], np.maximum.reduceat(velocities, first)


def measure_onsets(
    audio: Sounding, part: Part, clock: Clock, rate: int, start_sample: int, *, attack_ms: float = 0.0
) -> Onsets:
    """Measures a stem's onsets against its performed part.

    `attack_ms`: how late the instrument speaks when a note is rendered alone (0 for the sampler); it is taken off every
    difference. At most `MAX_MEASURED` onsets, evenly chosen, are tried.
    """
    times, velocities = score2times(part, clock, rate, start_sample)
    inside = (times >= -0.5) & (times < audio.shape[1] - 0.02 * rate)
    first, last, loud = times2clusters(times[inside], velocities[inside], rate)
    before, after = np.diff(first, prepend=-np.inf), np.diff(first, append=np.inf)
    alone = ALONE_MS / 1000 * rate
    good = np.flatnonzero(
        (before > alone) & (after > alone) & (loud >= MIN_VELOCITY) & (last - first < STRUM_MS / 1000 * rate)
    )
    ends = np.sort([clock.beat2second(n.end) * rate - start_sample for n in part.notes])
    good = good[~_just_released(first[good], ends, rate)]
    if len(good) > MAX_MEASURED:
        good = good[np.linspace(0, len(good) - 1, MAX_MEASURED).round().astype(int)]
    window = _window_ms(part)
    found, strength = find_onsets(audio, first[good], before[good], after[good], ends, rate, window)
    clear = np.isfinite(found) & (strength >= CLEAR)
    middle, reach = _gaps(first, last, rate)
    stray, strength = find_onsets(audio, middle, reach, reach, ends, rate, window)
    strays = middle[np.isfinite(stray) & (strength >= CLEAR)] / rate
    at, late = first[good][clear] / rate, found[clear] - attack_ms
    # A strum begins with its first note, but its loudest may be what is found: anywhere within the strum is in time.
    late -= np.clip(late, 0.0, (last - first)[good][clear] / rate * 1000.0)
    return Onsets(len(first), len(good), at, late, len(middle), tuple(strays.tolist()))


def _gaps(first: Floats, last: Floats, rate: int) -> tuple[Floats, Floats]:
    """(middle [G], samples to either side that stay clear of the notes [G]) of the longer stretches between onsets."""
    start, end = last[:-1] + GAP_AFTER_MS / 1000 * rate, first[1:] - GAP_BEFORE_MS / 1000 * rate
    wide = end - start > GAP_MS / 1000 * rate
    middle, reach = (start + end)[wide] / 2, (end - start)[wide] / 2
    if len(middle) > MAX_GAPS:
        chosen = np.linspace(0, len(middle) - 1, MAX_GAPS).round().astype(int)
        middle, reach = middle[chosen], reach[chosen]
    return middle, reach


def _just_released(times: Floats, ends: Floats, rate: int) -> NDArray[np.bool_]:
    """[K] whether a note ends shortly before each time, so that its fade could be taken for the onset."""
    low, high = (times - ms / 1000 * rate for ms in RELEASED_MS)
    return np.asarray(np.searchsorted(ends, high) > np.searchsorted(ends, low))


def _window_ms(part: Part) -> float:
    """Long enough for the periods of the part's low notes; drums need no more than the least."""
    if part.role == "drums" or not part.notes:
        return WINDOW_MS[0]
    low = float(np.percentile([n.pitch for n in part.notes], 10))
    period = 1000.0 / (440.0 * 2 ** ((low - 69.0) / 12))
    return float(np.clip(PERIODS * period, *WINDOW_MS))
