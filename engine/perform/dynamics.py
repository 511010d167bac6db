"""Loudness over a song: sections by their energy, phrases as arches, a rise into something bigger.

All factors multiply a note's own velocity (the accents of its pattern); 1 leaves it as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.score import FormSection

PHRASE_BARS = 4


def section_factor(energy: float, amount: float) -> float:
    """0.78 for a section of no energy, 1.08 for full energy, with `amount` 1; flat with `amount` 0."""
    return 1.0 + amount * (0.30 * energy - 0.22)


def phrase_factor(position: float, amount: float) -> float:
    """An arch over a phrase of four bars, +-7 %. `position` in bars from the section's start."""
    x = (position % PHRASE_BARS) / PHRASE_BARS
    return 1.0 + amount * 0.14 * (math.sin(math.pi * x) - 0.5)


def rise_factor(position: float, bars: int, rises: bool, amount: float) -> float:
    """A crescendo through the last bar before a louder section; `position` in bars from the section's start."""
    into = position - (bars - 1)
    return 1.0 + amount * (0.14 * into - 0.06) if rises and into > 0 else 1.0


def rises_after(form: Sequence[FormSection], index: int) -> bool:
    """Whether the section that follows at once has more energy."""
    if index + 1 >= len(form):
        return False
    here, after = form[index], form[index + 1]
    return after.start - here.end < 1e-6 and after.energy > here.energy + 0.05
