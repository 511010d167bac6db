"""Swing: where the even half of a pair of notes is played.

A feel's `swing` s is the share of a pair that its first note takes. Inside a pair time is bent in two straight pieces
(0 to 1/2 becomes 0 to s, 1/2 to 1 becomes s to 1), so sixteenths inside swung eighths go along. Notes on triplets are
even thirds already and stay.
"""

from __future__ import annotations

import math
from dataclasses import replace

from bridge.timeline import Clock
from engine.score import Feel, GrooveTemplate

NEAR = 0.02
"""Beats within which a start counts as lying on a grid."""


def swung_beat(beat: float, pair_start: float, feel: Feel) -> float:
    """The beat at which a note written at `beat` is played. A pair begins at `pair_start` (a bar line before it)."""
    pair = 8.0 / feel.swing_unit
    place = (beat - pair_start) / pair
    x = place - math.floor(place)
    if abs(feel.swing - 0.5) < 1e-6 or x < NEAR or _is_third(x, pair) or x > 1 - NEAR:
        return beat
    bent = x * feel.swing / 0.5 if x <= 0.5 else feel.swing + (x - 0.5) * (1.0 - feel.swing) / 0.5
    return beat + (bent - x) * pair


def swing_ms(beat: float, feel: Feel, clock: Clock, template: GrooveTemplate | None = None) -> float:
    """Milliseconds by which swing delays a note written at `beat`, at its tempo; pairs are counted from bar lines.

    The swing of a reference's `template` takes its weight's share of the way; both keep the notes' order, and so does
    what lies between them."""
    own = _swing_ms(beat, feel, clock)
    if template is None or template.swing is None:
        return own
    other = _swing_ms(beat, replace(feel, swing=template.swing, swing_unit=template.swing_unit), clock)
    return own + template.weight * (other - own)


def _swing_ms(beat: float, feel: Feel, clock: Clock) -> float:
    metre = clock.metre_at(beat)
    origin = max(metre.beat, clock.start)
    bar_start = origin + math.floor((beat - origin) / metre.bar_beats + 1e-9) * metre.bar_beats
    played = swung_beat(beat, bar_start, feel)
    return 0.0 if played == beat else (clock.beat2second(played) - clock.beat2second(beat)) * 1000.0


def _is_third(x: float, pair: float) -> bool:
    """Whether place `x` of a pair is a triplet's: a third of a beat, and no binary place."""
    beats = x * pair
    third = abs(beats * 3 - round(beats * 3)) < NEAR * 3
    binary = abs(beats * 8 - round(beats * 8)) < NEAR * 8
    return third and not binary
