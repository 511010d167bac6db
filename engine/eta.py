"""How long a job will still take, from how long earlier jobs took and how fast they went over each part of the way.

Conventions: `work` is stem-seconds (seconds of music x stems x takes; 1 for an analysis); `fraction` is of the whole
job, 0-1; the way is cut into `BINS` equal parts. A kind of job takes `fixed + slope x work` seconds, fitted to the
last jobs by least squares of the relative error; newer ones count more.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import msgspec

BINS = 50
NEWEST = 0.4
"""Weight of the newest job in the running average of the way."""
REMEMBERED = 40
"""Jobs of a kind whose lengths are kept."""
FADING = 0.9
"""Weight of a job compared with the next newer one."""


class Speed(msgspec.Struct, frozen=True):
    """What was measured of one kind. `shares`: of the whole time, by part of the way; they sum to 1.
    `lengths`: (work, seconds) of the last jobs, newest last."""

    shares: tuple[float, ...]
    lengths: tuple[tuple[float, float], ...]

    def seconds(self, work: float) -> float:
        """How long a job of so much work takes as a whole."""
        fixed, slope = _fit(self.lengths)
        return fixed + slope * work


class Speeds:
    """What was measured, by kind of job ("render band guide", "listen")."""

    def __init__(self, known: dict[str, Speed] | None = None) -> None:
        self._known = dict(known or {})

    def learn(self, kind: str, work: float, marks: Sequence[tuple[float, float]]) -> Speed | None:
        """Takes the way of a finished job: (fraction, seconds since its start), both not decreasing.

        Returns what is known of the kind now; None where the way does not reach the end.
        """
        way = [(0.0, 0.0), *marks]
        seconds = way[-1][1]
        if work <= 0 or seconds <= 0 or way[-1][0] < 1.0:
            return None
        shares = [(_second_at(way, (i + 1) / BINS) - _second_at(way, i / BINS)) / seconds for i in range(BINS)]
        before = self._known.get(kind)
        lengths: tuple[tuple[float, float], ...] = ((work, seconds),)
        if before is not None:
            shares = [NEWEST * new + (1 - NEWEST) * old for new, old in zip(shares, before.shares, strict=True)]
            lengths = (*before.lengths, *lengths)[-REMEMBERED:]
        self._known[kind] = Speed(tuple(shares), lengths)
        return self._known[kind]

    def remaining(self, kind: str, work: float, fraction: float = 0.0, elapsed: float | None = None) -> float | None:
        """Seconds from `fraction` to the end, or None before any job of the kind was measured.

        Where `elapsed` seconds were spent so far, a job that goes slower or faster than usual scales what is left.
        """
        speed = self._known.get(kind)
        if speed is None:
            return None
        at = min(max(fraction, 0.0), 1.0) * BINS
        whole = min(int(at), BINS - 1)
        left = sum(speed.shares[whole + 1 :]) + speed.shares[whole] * (whole + 1 - at)
        total = speed.seconds(work)
        expected = (sum(speed.shares) - left) * total
        usual = 1.0
        if elapsed is not None and fraction > 0.1 and expected > 0:
            usual = min(max(elapsed / expected, 0.25), 4.0)
        return left * total * usual


@functools.lru_cache(maxsize=64)
def _fit(lengths: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    """(fixed, slope), neither negative, of seconds = fixed + slope x work. Jobs of one size are taken to scale."""
    rows = [(FADING**age / s**2, w, s) for age, (w, s) in enumerate(reversed(lengths))]
    weight = sum(k for k, _, _ in rows)
    mean_work, mean_seconds = (sum(k * row[i] for k, *row in rows) / weight for i in (0, 1))
    spread = sum(k * (w - mean_work) ** 2 for k, w, _ in rows) / weight
    together = sum(k * (w - mean_work) * (s - mean_seconds) for k, w, s in rows) / weight
    scaled = sum(k * w * s for k, w, s in rows) / sum(k * w * w for k, w, _ in rows)
    if spread < 1e-6 * mean_work**2:
        return 0.0, scaled
    slope = max(together / spread, 0.0)
    fixed = mean_seconds - slope * mean_work
    return (fixed, slope) if fixed >= 0 else (0.0, scaled)


def _second_at(way: Sequence[tuple[float, float]], fraction: float) -> float:
    """Linear between the marks."""
    for (f0, s0), (f1, s1) in itertools.pairwise(way):
        if f1 >= fraction:
            return s1 if f1 == f0 else s0 + (s1 - s0) * max(fraction - f0, 0.0) / (f1 - f0)
    return way[-1][1]
