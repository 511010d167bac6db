"""Beats to seconds as Live plays them.

Live looks at the tempo's automation once every sixteenth note and keeps that tempo until the next one; between two
break points the envelope is a straight line over beats. (Three public sources say so, one with measured times, which
the tests hold; see the README.) The clock that is sent is therefore exact pairs, one wherever the tempo changes.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import List, Sequence, Tuple

from .als import MetreEvent, TempoEvent
from .trouble import Trouble

STEP = 0.25
"""Beats between two looks at the automation: a sixteenth note."""
MAX_BEATS = 100_000.0
Pairs = List[Tuple[float, float]]


def steady(bpm: float, end: float) -> Pairs:
    """Pairs (beat, second) of one tempo from beat 0 to `end`."""
    return [(0.0, 0.0), (end, end * 60.0 / bpm)]


class Envelope:
    """The tempo's envelope: straight lines between break points; after a jump the later value."""

    def __init__(self, events: Sequence[TempoEvent]) -> None:
        self._events = events
        self._beats = [event.beat for event in events]

    def bpm_at(self, beat: float) -> float:
        """Its value at `beat`."""
        i = max(bisect_right(self._beats, beat) - 1, 0)
        a = self._events[i]
        if i + 1 == len(self._events) or a.beat < 0.0 or beat < a.beat:
            return a.bpm
        b = self._events[i + 1]
        return a.bpm + (b.bpm - a.bpm) * (beat - a.beat) / (b.beat - a.beat)

    def steps(self, end: float) -> list[int]:
        """Sixteenths before `end` at which the tempo may be another than at the one before."""
        found: set[int] = set()
        for a, b in zip(self._events, [*list(self._events[1:]), TempoEvent(end, 0.0, False)]):
            first, last = math.ceil(a.beat / STEP), math.ceil(min(b.beat, end) / STEP)
            ramp = b.bpm not in (0.0, a.bpm) and a.beat >= 0.0
            found.update(range(max(first, 1), last if ramp else min(first + 1, last)))
            if last * STEP < end:
                found.add(last)
        return sorted(i for i in found if i > 0)


def events2pairs(events: Sequence[TempoEvent], end: float) -> Pairs:
    """Pairs from beat 0 to `end`. Raises `Trouble` for a curved ramp, whose course is not known, and absurd lengths."""
    if end > MAX_BEATS:
        raise Trouble(f"The song is longer than {MAX_BEATS} beats.")
    for before, event in zip(events, events[1:]):
        if (event.curved or before.curved) and before.beat < end and event.beat > 0.0 and before.bpm != event.bpm:
            raise Trouble(
                f"The tempo ramp between beats {max(before.beat, 0.0):g} and {event.beat:g} is curved, and Live does "
                "not say how. Make it straight (Alt/Option-drag the line), save the set, then ask again."
            )
    pairs = [(0.0, 0.0)]
    envelope = Envelope(events)
    tempo, second, last = envelope.bpm_at(0.0), 0.0, 0.0
    for i in envelope.steps(end):
        bpm = envelope.bpm_at(i * STEP)
        if bpm != tempo:
            second += (i * STEP - last) * 60.0 / tempo
            last, tempo = i * STEP, bpm
            pairs.append((last, second))
    pairs.append((end, second + (end - last) * 60.0 / tempo))
    return pairs


def beat2second(pairs: Sequence[tuple[float, float]], beat: float) -> float:
    """Second of a beat; past the ends the first or last tempo goes on."""
    i = min(max(bisect_right([pair[0] for pair in pairs], beat) - 1, 0), len(pairs) - 2)
    (b0, s0), (b1, s1) = pairs[i], pairs[i + 1]
    return s0 + (beat - b0) * (s1 - s0) / (b1 - b0)


def second2beat(pairs: Sequence[tuple[float, float]], second: float) -> float:
    """Inverse of `beat2second`."""
    i = min(max(bisect_right([pair[1] for pair in pairs], second) - 1, 0), len(pairs) - 2)
    (b0, s0), (b1, s1) = pairs[i], pairs[i + 1]
    return b0 + (second - s0) * (b1 - b0) / (s1 - s0)


def metres2list(events: Sequence[MetreEvent], end: float) -> list[MetreEvent]:
    """The time signatures up to `end`, the first from beat 0, without those that change nothing."""
    found: list[MetreEvent] = []
    for event in events:
        at = max(event.beat, 0.0)
        if at >= end:
            break
        if found and found[-1].beat == at:
            found.pop()
        if not found or (found[-1].beats, found[-1].unit) != (event.beats, event.unit):
            found.append(MetreEvent(at, event.beats, event.unit))
    return found
