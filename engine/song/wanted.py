"""What the DAW's clock wants of a song: for every section where its pulses fall and whether somebody sings.

A pulse is what a listener taps: a quarter note, a dotted quarter in 6/8, 9/8 and 12/8, an eighth in metres such as 7/8.

Conventions: seconds from the take's first sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.arrangement import Section
from bridge.timeline import Clock, Metre
from engine.song.lyrics import SILENCE_SECONDS

Floats = NDArray[np.float64]
NEAR = 0.25
"""A pulse that lies nearer than this share of a pulse to the section's start or end is that."""


@dataclass(frozen=True)
class Wanted:
    """A section, or (`gap`) the silence between two. `pulses` [K + 1] seconds, the last one being its end."""

    name: str
    sings: bool
    pulses: Floats
    gap: bool = False

    @property
    def count(self) -> int:
        """Pulses in it."""
        return len(self.pulses) - 1


def metre2pulse(metre: Metre) -> float:
    """Length of a pulse in quarter notes."""
    if metre.unit == 8 and metre.beats % 3 == 0:
        return 1.5
    whole = abs(metre.bar_beats - round(metre.bar_beats)) < 1e-9
    return 1.0 if whole else 4.0 / metre.unit


def sections2wanted(sections: Sequence[Section], clock: Clock) -> list[Wanted]:
    """The sections in order, and the gaps between them that the lyric tells as silence."""
    ordered = sorted(sections, key=lambda section: section.start)
    zero = clock.beat2second(ordered[0].start)
    out: list[Wanted] = []
    for section in ordered:
        pulses = span2pulses(clock, section.start, section.end) - zero
        if out and pulses[0] - out[-1].pulses[-1] >= SILENCE_SECONDS:
            out.append(Wanted("", False, np.array([out[-1].pulses[-1], pulses[0]]), gap=True))
        out.append(Wanted(section.name, bool(section.lyrics.strip()), pulses))
    return out


def span2pulses(clock: Clock, start: float, end: float) -> Floats:
    """[K + 1] seconds of the pulses from beat `start` to beat `end`, both included."""
    beats = [start]
    for bar in clock.bars(start, end):
        step = metre2pulse(bar.metre)
        at = np.arange(bar.start, bar.end - 1e-9, step)
        beats += [float(b) for b in at if b > beats[-1] + NEAR * step and b < end - NEAR * step]
    return np.array([clock.beat2second(beat) for beat in (*beats, end)])


def pulse_bpm(wanted: Sequence[Wanted]) -> float:
    """Pulses per minute in the middle of all sections."""
    steps = np.concatenate([np.diff(w.pulses) for w in wanted if not w.gap])
    return 60.0 / float(np.median(steps))
