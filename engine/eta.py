"""How long a job will still take, from how fast earlier jobs went over each part of the way.

Conventions: `work` is stem-seconds (seconds of music x stems x takes; 1 for an analysis); `fraction` is of the whole
job, 0-1; the way is cut into `BINS` equal parts and each keeps its seconds per unit of work, newer jobs counting more.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

BINS = 50
NEWEST = 0.4
"""Weight of the newest job in the running average."""


class Speeds:
    """What was measured, by kind of job ("render band guide", "listen")."""

    def __init__(self) -> None:
        self._pace: dict[str, list[float]] = {}

    def learn(self, kind: str, work: float, marks: Sequence[tuple[float, float]]) -> None:
        """Takes the way of a finished job: (fraction, seconds since its start), both not decreasing."""
        way = [(0.0, 0.0), *marks]
        if work <= 0 or way[-1][0] < 1.0:
            return
        pace = [(_second_at(way, (i + 1) / BINS) - _second_at(way, i / BINS)) / work for i in range(BINS)]
        before = self._pace.get(kind)
        self._pace[kind] = (
            pace
            if before is None
            else [NEWEST * new + (1 - NEWEST) * old for new, old in zip(pace, before, strict=True)]
        )

    def remaining(self, kind: str, work: float, fraction: float = 0.0, elapsed: float | None = None) -> float | None:
        """Seconds from `fraction` to the end, or None before any job of the kind was measured.

        Where `elapsed` seconds were spent so far, a job that goes slower or faster than usual scales what is left.
        """
        pace = self._pace.get(kind)
        if pace is None:
            return None
        at = min(max(fraction, 0.0), 1.0) * BINS
        whole = min(int(at), BINS - 1)
        left = sum(pace[whole + 1 :]) + pace[whole] * (whole + 1 - at)
        expected = (sum(pace) - left) * work
        usual = 1.0
        if elapsed is not None and fraction > 0.1 and expected > 0:
            usual = min(max(elapsed / expected, 0.25), 4.0)
        return left * work * usual


def _second_at(way: Sequence[tuple[float, float]], fraction: float) -> float:
    """Linear between the marks."""
    for (f0, s0), (f1, s1) in itertools.pairwise(way):
        if f1 >= fraction:
            return s1 if f1 == f0 else s0 + (s1 - s0) * max(fraction - f0, 0.0) / (f1 - f0)
    return way[-1][1]
