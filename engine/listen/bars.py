"""Where the bars of a clip begin, among its beats."""

from __future__ import annotations

from dataclasses import dataclass

from engine.listen.onsets import Floats, Strength


@dataclass(frozen=True)
class Bars:
    """`downbeats` indices of beats, `metre` beats to the bar, `confidence` 0-1."""

    downbeats: tuple[int, ...]
    metre: int
    confidence: float


def beats2bars(strength: Strength, seconds: Floats) -> Bars:
    """Bars of four from the first beat, without confidence."""
    return Bars(tuple(range(0, len(seconds), 4)), 4, 0.0)
