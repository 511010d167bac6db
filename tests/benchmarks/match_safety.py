"""What matching must leave as it was, and what it costs: onsets, pitch, silence, sums, clicks, seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bridge.timeline import Clock
from engine.checks.onsets import measure_onsets
from engine.checks.pitch import measure_tuning
from engine.match.clicks import find_clicks
from engine.score import Score
from tests.benchmarks.match_material import RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.match import Tried


def report(clock: Clock, score: Score, tried: Sequence[Tried], minutes: float) -> list[str]:
    """Lines of the last table."""
    shifts, cents, clicks, errors = [], [], 0, []
    for one in tried:
        for part in score.parts:
            raw, new = one.matched.raw[part.name], one.matched.stems[part.name]
            shifts += _shifts(raw, new, part, clock)
            tunings = [measure_tuning(audio, part, clock, RATE, 0) for audio in (raw, new)]
            if part.role != "drums" and tunings[0] and tunings[1]:
                cents.append(abs(tunings[0][0].cents - tunings[1][0].cents))
            clicks += len(find_clicks(raw, new, RATE))
    seconds = [one.matched.seconds for one in tried]
    choose = [row["choose"] for row in seconds]
    match = [row["match"] / minutes for row in seconds]
    repaired = sum(one.matched.repaired for one in tried)
    late = np.abs(shifts)
    return [
        "what matching leaves as it was",
        f"  onsets moved: median {np.median(late):.2f} ms, 95 % within {np.percentile(late, 95):.2f} ms (n = {len(late)})",
        f"  pitch moved: median {np.median(cents):.2f}, at most {max(cents):.2f} cents (n = {len(cents)})",
        f"  clicks found: {clicks}; stems that the guide stands in for: {repaired}",
        f"  choosing: median {np.median(choose):.1f} s a song, at most {max(choose):.1f}",
        f"  matching: median {np.median(match):.1f} thread-seconds per minute of {len(score.parts)} stems",
        *errors,
    ]


def _shifts(raw, new, part, clock) -> list[float]:
    """ms by which onsets that are clear in both moved."""
    before, after = (measure_onsets(audio, part, clock, RATE, 0) for audio in (raw, new))
    known = dict(zip(before.times.tolist(), before.differences.tolist(), strict=True))
    pairs = zip(after.times.tolist(), after.differences.tolist(), strict=True)
    return [late - known[at] for at, late in pairs if at in known]
