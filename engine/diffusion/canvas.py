"""What the parts model fills: a song's bars x six streams, some of them given, and its grid of steps.

Conventions: beats are quarter notes; a step is 1/`steps_per_quarter` of a beat (4 "straight", 3 "triplet"); steps are
counted over all bars of the form, one bar after the other, whatever gaps lie between sections.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Bar
from engine.score import Chord, FormSection, Key, Note

STREAMS = ("drums", "bass", "comp", "pad", "arp", "lead")


@dataclass(frozen=True)
class Canvas:
    """`notes` holds each stream's notes in project beats; `given[b, s]` says that bar b of stream s is fixed.

    A given bar without notes is a rest that stays. Notes of bars that are not given are thrown away.
    """

    sections: tuple[FormSection, ...]
    chords: tuple[Chord, ...]
    key: Key
    steps_per_quarter: int
    notes: Mapping[str, tuple[Note, ...]]
    given: NDArray[np.bool_]

    @cached_property
    def bars(self) -> tuple[Bar, ...]:
        """All bars of all sections, in order: the rows of `given`."""
        return tuple(bar for section in self.sections for bar in section.bars)

    @cached_property
    def grid(self) -> Grid:
        """The steps of the canvas."""
        return Grid.over(self)


@dataclass(frozen=True)
class Grid:
    """Arrays over T steps, and over B bars. `first[b]` is a bar's first step and `first[B]` is T.

    `bar`, `section`, `chord` [T]: indices into the canvas's bars, sections and chords (-1: no chord there).
    """

    first: NDArray[np.int64]
    bar_starts: tuple[float, ...]
    bar_ends: tuple[float, ...]
    bar: NDArray[np.int64]
    section: NDArray[np.int64]
    chord: NDArray[np.int64]

    @classmethod
    def over(cls, canvas: Canvas) -> Grid:
        """The grid of a canvas: every bar takes its whole number of steps, at least one."""
        bars = canvas.bars
        counts = [max(1, round((b.end - b.start) * canvas.steps_per_quarter)) for b in bars]
        first = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        bar = np.repeat(np.arange(len(bars)), counts)
        owner = np.repeat(np.arange(len(canvas.sections)), [len(s.bars) for s in canvas.sections])
        starts = np.array([b.start for b in bars])
        width = np.array([(b.end - b.start) / n for b, n in zip(bars, counts, strict=True)])
        beats = starts[bar] + (np.arange(len(bar)) - first[bar]) * width[bar] if len(bars) else np.zeros(0)
        at = np.searchsorted([c.beat for c in canvas.chords], beats + 1e-6, side="right") - 1
        return cls(first, tuple(starts), tuple(b.end for b in bars), bar, owner[bar], at.astype(np.int64))

    @property
    def steps(self) -> int:
        """T."""
        return len(self.bar)

    def beat2step(self, beat: float) -> int | None:
        """Nearest step to `beat`, or None outside the bars (a beat just before a bar rounds into it)."""
        b = bisect_right(self.bar_starts, beat + 1e-9) - 1
        if b >= 0 and beat < self.bar_ends[b] - 1e-9:
            return int(self.first[b]) + round((beat - self.bar_starts[b]) / self.step_beats(b))
        return None

    def step_beats(self, b: int) -> float:
        """Length of a step of bar b in beats."""
        return (self.bar_ends[b] - self.bar_starts[b]) / int(self.first[b + 1] - self.first[b])

    def step2beat(self, step: int) -> float:
        """Beat of a step; T gives the last bar's end."""
        if step >= self.steps:
            return self.bar_ends[-1]
        b = int(self.bar[step])
        return self.bar_starts[b] + (step - int(self.first[b])) * self.step_beats(b)

    def joins(self, step: int) -> bool:
        """Whether a step follows directly on the one before, in time too (sections may leave gaps)."""
        b = int(self.bar[step])
        return step > int(self.first[b]) or (b > 0 and abs(self.bar_starts[b] - self.bar_ends[b - 1]) < 1e-6)

    def end_beat(self, start: int, stop: int) -> float:
        """Beat at which a note that begins in step `start` and stops before step `stop` is released."""
        b = int(self.bar[stop - 1])
        return self.step2beat(stop - 1) + self.step_beats(b)
