"""Songs for the tests of `engine.conform`: parts of seven roles, clocks, and their guides by the real sampler."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Clock
from engine.sampler import Bank, choose_instrument, render_part
from engine.score import Key, Note, Part

RATE = 48000
BARS = 4
KEY = Key(9, "minor", given=True)
ROLES = ("drums", "bass", "keys", "pad", "lead")
"""Those of the tests."""
ALL_ROLES = (*ROLES, "guitar", "arp")
"""Those of the benchmark."""
CHORDS = (
    (57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62), (50, 53, 57), (57, 60, 64), (52, 56, 59), (57, 60, 64),
)  # fmt: skip
MELODY = (69, 72, 71, 69, 67, 64, 65, 67, 72, 74, 76, 74, 72, 71, 69, 68)
Audio = NDArray[np.float32]


def make_clock(name: str, bars: int) -> Clock:
    """A steady tempo, or "ramp": 96 bpm, and from the third bar on a ramp to 132 bpm."""
    if name != "ramp":
        return Clock.steady(float(name), bars * 4.0)
    pairs, second = [(0.0, 0.0), (8.0, 5.0)], 5.0
    steps = (bars - 2) * 16
    for k in range(1, steps + 1):
        second += 0.25 * 60 / (96 + 36 * k / steps)
        pairs.append((8.0 + k / 4, second))
    return Clock.from_pairs(pairs)


CLOCKS = ("120", "87", "ramp")


@dataclass(frozen=True)
class Song:
    """One part, its clock (`time` names it) and its guide, float32 [2, samples] at `RATE`."""

    part: Part
    clock: Clock
    guide: Audio
    time: str = "120"

    @property
    def bars(self) -> tuple[tuple[int, int], ...]:
        """Bars in samples."""
        clock = self.clock
        return tuple((clock.beat2sample(b.start, RATE), clock.beat2sample(b.end, RATE)) for b in clock.bars())

    @property
    def onsets(self) -> NDArray[np.float64]:
        """Note starts in samples, ascending."""
        return np.sort([(self.clock.beat2second(n.start) + n.offset_ms / 1000) * RATE for n in self.part.notes])


def make_part(role: str, bars: int = BARS, seed: int = 0) -> Part:
    """Every bar of a role differs from its neighbours; notes lie up to some milliseconds beside the grid."""
    rng = np.random.default_rng(seed)
    notes: list[Note] = []

    def add(start: float, length: float, *pitches: int) -> None:
        late = float(rng.normal(0, 4)) if start else 0.0
        notes.extend(Note(start, length, p, int(rng.integers(70, 110)), late) for p in pitches)

    for bar in range(bars):
        at, chord = bar * 4.0, CHORDS[bar % len(CHORDS)]
        if role == "drums":
            for n in range(8):
                add(at + n / 2, 0.1, 42 if (n + bar) % 5 else 46)
            for k in ((0, 2.5), (0, 1.75, 2), (0, 2.25, 3.5), (0, 2, 2.75))[bar % 4]:
                add(at + k, 0.2, 36)
            for k in ((1, 3), (1, 3), (1, 3, 3.75), (1, 3, 3.25, 3.5, 3.75))[bar % 4]:
                add(at + k, 0.2, 38)
        elif role == "bass":
            for k in ((0, 1, 1.5, 2, 3, 3.5), (0, 0.75, 1.5, 2, 2.5, 3), (0, 1.5, 2, 3))[bar % 3]:
                add(at + k, 0.45, chord[0] - 24 + (7 if k == 3 else 0))
        elif role == "keys":
            for k in ((0, 1.5, 2.5, 3), (0, 1, 2.5), (0.5, 1.5, 2, 3.5))[bar % 3]:
                add(at + k, 0.45, *chord)
        elif role == "guitar":
            for k in ((0, 0.5, 1.5, 2, 3, 3.5), (0, 1, 1.5, 2.5, 3), (0, 0.5, 1, 2, 2.5, 3.5))[bar % 3]:
                add(at + k, 0.4, *(pitch - 12 for pitch in chord))
        elif role == "arp":
            for n in range(12):
                add(at + (n // 3 * 4 + n % 3) / 4, 0.22, chord[(n + bar) % 3] + 12 * (n % 2))
        elif role == "pad":
            add(at, 3.9, *chord)
        else:
            for n, k in enumerate(((0, 0.5, 1, 2, 3), (0, 1.5, 2, 2.5, 3), (0.5, 1, 2, 3.5))[bar % 3]):
                add(at + k, 0.45, MELODY[(bar * 3 + n * 5) % len(MELODY)])
    return Part(role, role, tuple(sorted(notes, key=lambda n: (n.start, n.pitch))))


@lru_cache(maxsize=1)
def bank() -> Bank:
    """The shipped sounds."""
    return Bank.open()


@lru_cache(maxsize=48)
def make_song(role: str, clock: str = "120", words: str = "", bars: int = BARS) -> Song:
    """The role's part over a clock of `make_clock`, played by the role's instrument or the one that `words` name."""
    part, time = make_part(role, bars), make_clock(clock, bars)
    samples = time.span2samples(0.0, bars * 4.0, RATE)
    instrument = choose_instrument(bank(), role, words, "")
    guide = render_part(bank(), part, instrument, time, RATE, 0, samples, 0, lambda fraction: None)
    return Song(part, time, guide, clock)
