"""A groove in bars that it was not written for: which of its pulses are played, and in which order.

A pulse is a quarter note, a dotted quarter in compound metres (6/8, 9/8, 12/8), or an eighth where either side counts
eighths (7/8). Triplet grooves in a compound metre keep their beats: a quarter of three triplets becomes a dotted
quarter of three eighths. Bars that are a whole multiple or part of the groove's (2/4 and 4/4, 6/8 and 12/8) are played
through as written. Else shorter bars keep the first pulses and the last (4/4 in three: one, three, four, so the
backbeat and the pick-up stay), and longer bars say the middle again (in five: one, two, three, three, four). A bar that
the next metre change cuts off is played and stops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from bridge.timeline import Bar, Metre
from engine.grooves.groove import Groove


@dataclass(frozen=True, slots=True)
class Span:
    """Source steps [`first`, `last`) of a pattern, played from beat `offset` of the bar; a step lasts `step_beats`."""

    first: int
    last: int
    offset: float
    step_beats: float


def is_compound(beats: int, unit: int) -> bool:
    """6/8, 9/8, 12/8 and the like: beats of three."""
    return unit >= 8 and beats >= 6 and beats % 3 == 0


def keeps_beats(groove: Groove, metre: Metre) -> bool:
    """A triplet groove in a compound metre: its beats become dotted quarters."""
    return (
        groove.feel == "triplet" and is_compound(metre.beats, metre.unit) and not is_compound(groove.beats, groove.unit)
    )


def fits(groove: Groove, metre: Metre) -> bool:
    """Whether bars of `metre` are played as written: of the same length (2/2 for 4/4), a whole multiple or part of it
    (2/4 and 4/4, 6/8 and 12/8), or triplets on as many beats."""
    return bar_ratio(groove, metre) is not None


def bar_ratio(groove: Groove, metre: Metre) -> Fraction | None:
    """Bars of the groove in a bar of `metre` where that is a whole number or one over a whole number, else None."""
    if keeps_beats(groove, metre):
        ratio = Fraction(metre.beats, 3 * groove.beats)
    elif is_compound(groove.beats, groove.unit) != is_compound(metre.beats, metre.unit):
        return None
    else:
        ratio = Fraction(metre.beats * groove.unit, metre.unit * groove.beats)
    whole = ratio.numerator == 1 or ratio.denominator == 1
    part = ratio.denominator == 1 or groove.steps % ratio.denominator == 0
    return ratio if whole and part else None


def pulse_map(source: int, target: int) -> list[int]:
    """Indices of the source's pulses that make a bar of `target` pulses."""
    if target <= 0:
        return []
    if target <= source:
        head = target if target == source else max(1, target // 2)
        return [*range(head), *range(source - (target - head), source)]
    if target * 2 >= source * 3:
        return [*range(source), *pulse_map(source, target - source)]
    head = (target + 1) // 2
    return [*range(head), *range(source - (target - head), source)]


def bar_spans(groove: Groove, bar: Bar, index: int | None) -> tuple[Span, ...]:
    """How the groove fills bar number `index` of a section, in order, without gaps, in steps from the pattern's start.

    `index` None is for fills and endings: one bar, squeezed or repeated by pulses. The last span may reach past a bar
    that is cut.
    """
    step = 1.0 / groove.steps_per_quarter
    metre = bar.metre
    ratio = bar_ratio(groove, metre)
    if ratio is not None and (index is not None or ratio == 1):
        first = int((index or 0) * ratio * groove.steps)
        return (
            Span(first, first + int(ratio * groove.steps), 0.0, step * (1.5 if keeps_beats(groove, metre) else 1.0)),
        )
    start = (index or 0) * groove.steps
    if keeps_beats(groove, metre):
        pulse_steps, step = 3, step * 1.5
        pulses = pulse_map(groove.beats, metre.beats // 3)
    else:
        pulse = _common_pulse(groove, metre)
        pulse_steps = round(pulse * groove.steps_per_quarter)
        source, target = groove.steps // pulse_steps, max(1, math.ceil(metre.bar_beats / pulse - 1e-9))
        cut = pulse == 0.5 and target < source
        pulses = list(range(target)) if cut else pulse_map(source, target)
    spans: list[Span] = []
    for i, p in enumerate(pulses):
        first = p * pulse_steps
        if spans and spans[-1].last == first:
            spans[-1] = Span(spans[-1].first, first + pulse_steps, spans[-1].offset, step)
        else:
            spans.append(Span(first, first + pulse_steps, i * pulse_steps * step, step))
    return tuple(replace(s, first=s.first + start, last=s.last + start) for s in spans)


def _common_pulse(groove: Groove, metre: Metre) -> float:
    """Length in beats of the pulse that both the groove's bar and the metre count in."""
    if is_compound(groove.beats, groove.unit) and is_compound(metre.beats, metre.unit):
        return 1.5
    if groove.feel == "triplet":
        return 1.0
    whole = groove.bar_beats == int(groove.bar_beats) and metre.bar_beats == int(metre.bar_beats)
    either_compound = is_compound(groove.beats, groove.unit) or is_compound(metre.beats, metre.unit)
    if whole and not either_compound:
        return 1.0
    return 0.5 if (metre.bar_beats * 2).is_integer() else 0.25
