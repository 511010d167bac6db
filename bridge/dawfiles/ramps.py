"""Tempo points of a project file as (beat, second) pairs of a clock.

A running DAW is asked for its own map; a file can only be read by the rules of its format:

- REAPER, and DAWproject in seconds (Cubase): a ramp's tempo is straight over time
- DAWproject in beats (Bitwig Studio): a ramp's tempo is straight over beats

Inside a ramp there are as many pairs as it takes for the line between two to miss the curve by 10 microseconds at most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Unit = Literal["beats", "seconds"]

MISS = 1e-5
"""Seconds: half a sample at 48 kHz."""
MOST_STEPS = 2000
"""Pairs in one ramp."""


@dataclass(frozen=True, slots=True)
class TempoPoint:
    """`bpm` quarter notes per minute from `at` (beats or seconds) on; `ramp`: it moves on to the next point's."""

    at: float
    bpm: float
    ramp: bool = False


def points2pairs(points: Sequence[TempoPoint], unit: Unit) -> list[tuple[float, float]]:
    """(beat, second) pairs from (0, 0) to one beat after the last point.

    `points` in order, at least one; the first tempo also reigns before its own position; of two points at one place the
    later counts.
    """
    ordered = [p for p, after in zip(points, [*points[1:], None], strict=True) if after is None or after.at > p.at]
    if ordered[0].at > 0:
        ordered.insert(0, TempoPoint(0.0, ordered[0].bpm))
    pairs = [(0.0, 0.0)]
    for point, after in zip(ordered, [*ordered[1:], None], strict=True):
        beat, second = pairs[-1]
        if after is None:
            pairs.append((beat + 1.0, second + 60.0 / point.bpm))
            continue
        length, change = after.at - max(point.at, 0.0), after.bpm - point.bpm if point.ramp else 0.0
        if length <= 0:
            continue
        for step in _steps(length, point.bpm, change, unit):
            if unit == "beats":
                pairs.append((beat + step, second + _ramp2seconds(step, length, point.bpm, change)))
            else:
                pairs.append((beat + step * (point.bpm + change * step / length / 2) / 60.0, second + step))
    return pairs


def _steps(length: float, bpm: float, change: float, unit: Unit) -> list[float]:
    """Where pairs stand in a stretch: its end, and inside a ramp as often as it bends."""
    if change == 0:
        return [length]
    slowest = min(bpm, bpm + change)
    # A chord over a step h misses the curve by h^2 / 8 times its second derivative.
    bend = 60.0 * abs(change) / (length * slowest**2) if unit == "beats" else abs(change) / (length * slowest)
    count = min(MOST_STEPS, max(1, math.ceil(length / math.sqrt(8 * MISS / bend))))
    return [length * (i + 1) / count for i in range(count)]


def _ramp2seconds(step: float, length: float, bpm: float, change: float) -> float:
    """Seconds from a stretch's start to `step` beats: the integral of 60 / tempo."""
    slope = change / length
    if abs(change) < 1e-9 * bpm:
        return step * 60.0 / bpm
    return 60.0 / slope * math.log1p(slope * step / bpm)
