"""The clock as the tempo lists that files hold.

Conventions: beats are quarter notes, seconds are from the project's start, ticks are `TICKS` per quarter note
from the beat at which a file starts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from bridge.timeline import Clock

TICKS = 960
"""Ticks per quarter note in every MIDI file and REAPER item: 0.5 ms at 120 bpm."""

_SAME_LINE = 1e-7
"""Seconds by which a clock pair may miss the line of its neighbours and still be left out (0.005 samples at 48 kHz)."""
_KINK = 5e-5
"""Seconds of error beside a tempo change between two ticks above which both ticks get a tempo."""
_DRIFT = 250.0
"""Microseconds that whole-number tempos may drift from the clock before they are corrected in between."""
_PIECE = 64
"""Quarter notes between corrections, where they are needed."""
_CORRECTION = 1e-3
"""Part of a tempo by which a correction may bend it: nobody hears 0.1 %, and no file shows a spike."""


@dataclass(frozen=True, slots=True)
class Tempo:
    """`bpm` quarter notes per minute from `beat`, which lies at `second`, until the next tempo."""

    beat: float
    second: float
    bpm: float


def clock2tempos(clock: Clock) -> list[Tempo]:
    """One `Tempo` per straight stretch of the clock: pairs that lie on their neighbours' line are left out."""
    beats, seconds = clock.beats, clock.seconds
    knots = [0]
    while knots[-1] < len(beats) - 1:
        first = last = knots[-1]
        last += 1
        slope = (seconds[last] - seconds[first]) / (beats[last] - beats[first])
        while last + 1 < len(beats):
            told = seconds[first] + (beats[last + 1] - beats[first]) * slope
            if abs(told - seconds[last + 1]) > _SAME_LINE:
                break
            last += 1
        knots.append(last)
    return [
        Tempo(beats[a], seconds[a], 60.0 * (beats[b] - beats[a]) / (seconds[b] - seconds[a]))
        for a, b in pairwise(knots)
    ]


def clock2microseconds(clock: Clock, start: float, end: float) -> list[tuple[int, int]]:
    """Tempo events (tick, microseconds per quarter note) of a MIDI file that covers `start` to `end` beats.

    A file's tempos are whole numbers and its ticks are too, so each would drift a little. Here every tempo makes up
    for what the ones before it missed: at any tick the file's time stays within 0.3 ms of the clock, however long
    it is.
    """
    last = max(1, math.ceil((end - start) * TICKS - 1e-6))
    origin = clock.beat2second(start)

    def target(tick: int) -> float:
        return (clock.beat2second(start + tick / TICKS) - origin) * 1e6

    events: list[tuple[int, int]] = []
    spent = 0  # microseconds * TICKS since tick 0, exactly as a reader of the file sums them up
    for first, stop in pairwise(_knots(clock, start, last)):
        tick = first
        while tick < stop:
            upto = stop
            tempo = _whole_tempo(target(tick), target(upto), spent / TICKS, (upto - tick) / TICKS)
            if abs((spent + tempo * (upto - tick)) / TICKS - target(upto)) > _DRIFT and upto - tick > _PIECE * TICKS:
                upto = tick + _PIECE * TICKS
                tempo = _whole_tempo(target(tick), target(upto), spent / TICKS, (upto - tick) / TICKS)
            if not events or events[-1][1] != tempo:
                events.append((tick, tempo))
            spent += tempo * (upto - tick)
            tick = upto
    return events


def _whole_tempo(begin: float, end: float, spent: float, quarters: float) -> int:
    """Microseconds per quarter note from `begin` to `end` on the clock, bent to undo the drift `spent - begin`."""
    exact = (end - begin) / quarters
    most = max(1.0, exact * _CORRECTION)
    return round(exact + min(max((begin - spent) / quarters, -most), most))


def _knots(clock: Clock, start: float, last: int) -> list[int]:
    """Ticks between which the clock is straight: 0, the tempo changes, `last`."""
    knots = {0, last}
    tempos = clock2tempos(clock)
    for before, after in pairwise(tempos):
        tick = (after.beat - start) * TICKS
        if not 0 < tick < last:
            continue
        bend = abs(60.0 / after.bpm - 60.0 / before.bpm) * abs(tick - round(tick)) / TICKS
        knots |= {math.floor(tick), math.ceil(tick)} if bend > _KINK else {round(tick)}
    return sorted(knots)
