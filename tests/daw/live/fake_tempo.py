"""How the fake Live keeps time: its tempo's automation looked at once each sixteenth, counted step by step.

Written without the script's own conversion: no shortcuts, one addition for every sixteenth note.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

SIXTEENTH = 0.25


def bpm_at(points: Sequence[tuple[float, float]], beat: float) -> float:
    """Value of straight lines through (beat, bpm) `points`; before the first and after the last it is flat."""
    value = points[0][1]
    for (b0, v0), (b1, v1) in itertools.pairwise(points):
        if b0 <= beat < b1:
            return v0 + (v1 - v0) * (beat - b0) / (b1 - b0)
        if beat >= b1:
            value = v1
    return value


def beat2second(points: Sequence[tuple[float, float]], beat: float) -> float:
    """Seconds from beat 0 to `beat`."""
    second, step = 0.0, 0
    while (step + 1) * SIXTEENTH <= beat:
        second += SIXTEENTH * 60.0 / bpm_at(points, step * SIXTEENTH)
        step += 1
    return second + (beat - step * SIXTEENTH) * 60.0 / bpm_at(points, step * SIXTEENTH)


def second2beat(points: Sequence[tuple[float, float]], second: float) -> float:
    """Beat at `second`."""
    at, step = 0.0, 0
    while True:
        length = SIXTEENTH * 60.0 / bpm_at(points, step * SIXTEENTH)
        if at + length > second:
            return (step + (second - at) / length) * SIXTEENTH
        at, step = at + length, step + 1
