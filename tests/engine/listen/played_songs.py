"""Songs played by the real sampler whose tempo, bars, swing, accents and key are known: the truth of the tests and
benchmarks of listening to audio. Patterns are written here, not taken from the engine's grooves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Bar, Clock, Metre
from engine.perform import perform
from engine.sampler import Bank, choose_instrument, render_part
from engine.score import Chord, Feel, FormSection, Key, Note, Part, Score

RATE = 44100
Audio = NDArray[np.float32]
KICK, SNARE, HAT, OPEN = 36, 38, 42, 46
PATTERNS: dict[str, dict[int, str]] = {
    "rock": {KICK: "9.......8.7.....", SNARE: "....9.......9...", HAT: "8.6.8.6.8.6.8.6."},
    "sixteenths": {KICK: "9......7..8.....", SNARE: "....9.......9..4", HAT: "8464846484648464"},
    "house": {KICK: "9...9...9...9...", SNARE: "....8.......8...", OPEN: "..7...7...7...7.", HAT: "...5...5...5...5"},
    "half time": {KICK: "9.....7....7....", SNARE: "........9.......", HAT: "7575757575757575"},
}
"""Drum pitch -> sixteenths of a bar, a digit being a twelfth of the velocity."""
COMPS = {"rock": (0, 6, 8, 14), "sixteenths": (0, 3, 6, 10, 13), "house": (2, 6, 10, 14), "half time": (0, 8)}
LOOPS = {"major": ((0, ""), (9, "m"), (5, ""), (7, "")), "minor": ((0, "m"), (8, ""), (5, "m"), (7, "m"))}


@dataclass(frozen=True)
class Played:
    """`audio` [2, samples] at `RATE`; `beats`, `downbeats` in seconds; `hits`: drum pitch -> [16] velocities."""

    audio: Audio
    clock: Clock
    beats: NDArray[np.float64]
    downbeats: NDArray[np.float64]
    key: Key
    feel: Feel
    hits: dict[int, NDArray[np.float64]]

    @property
    def mono(self) -> Audio:
        """[samples] at the rate of listening."""
        import soxr

        return np.asarray(soxr.resample(self.audio.mean(axis=0), RATE, 22050, quality="MQ"), dtype=np.float32)


@lru_cache(maxsize=1)
def bank() -> Bank:
    """The shipped sounds."""
    return Bank.open()


@lru_cache(maxsize=8)
def play(
    clock: Clock,
    *,
    pattern: str = "rock",
    feel: Feel | None = None,
    tonic: int = 9,
    mode: str = "minor",
    roles: tuple[str, ...] = ("drums", "bass", "keys"),
    seed: int = 0,
) -> Played:
    """A song over the whole clock, in bars of its metre, every fourth bar with a fill."""
    feel = feel or Feel(loose_ms=3.0)
    bars = tuple(clock.bars(clock.start, clock.end))
    key = Key(tonic, mode, given=True)
    parts = tuple(_part(role, bars, pattern, tonic, mode) for role in roles)
    section = FormSection("A", "verse", clock.start, clock.end, 0.6, 0, bars)
    score = perform(Score(key, (Chord(0.0, clock.end, tonic, ""),), parts, (section,)), clock, feel, seed)
    samples = clock.span2samples(clock.start, clock.end, RATE)
    audio = np.zeros((2, samples), np.float32)
    for part in score.parts:
        instrument = choose_instrument(bank(), part.role, "", "")
        audio += render_part(bank(), part, instrument, clock, RATE, 0, samples, 0, lambda fraction: None)
    beats = np.array([clock.beat2second(b) for b in np.arange(clock.start, clock.end - 1e-6)])
    downbeats = np.array([clock.beat2second(bar.start) for bar in bars])
    hits = {p: np.array([row.get(k, 0.0) for k in range(16)]) for p, row in _velocities(pattern).items()}
    return Played(audio / max(1.0, float(np.abs(audio).max()) / 0.9), clock, beats, downbeats, key, feel, hits)


def steady(bpm: float, bars: int = 8, beats: int = 4) -> Clock:
    """Bars of so many quarters at one tempo."""
    return Clock.steady(bpm, float(bars * beats), metre=(beats, 4))


def drifting(first: float, last: float, bars: int = 16) -> Clock:
    """Bars of four from one tempo to another, as straight in bpm as a clock's pairs can say."""
    pairs, second = [(0.0, 0.0)], 0.0
    for k in range(bars * 4):
        second += 60.0 / (first + (last - first) * k / (bars * 4))
        pairs.append((k + 1.0, second))
    return Clock.from_pairs(pairs, [Metre(0.0, 4, 4)])


def _velocities(pattern: str) -> dict[int, dict[int, int]]:
    """Drum pitch -> sixteenth -> velocity."""
    return {p: {k: 12 * int(c) for k, c in enumerate(row) if c != "."} for p, row in PATTERNS[pattern].items()}


def _part(role: str, bars: tuple[Bar, ...], pattern: str, tonic: int, mode: str) -> Part:
    notes: list[Note] = []
    for index, bar in enumerate(bars):
        degree, quality = LOOPS[mode][index % 4]
        root = 36 + (tonic + degree - 36) % 12
        third = 3 if quality == "m" else 4
        length = bar.end - bar.start
        if role == "drums":
            steps = [(p, k, v) for p, row in _velocities(pattern).items() for k, v in row.items()]
            if index % 4 == 3:
                steps += [(SNARE, k, 70 + 8 * (k - 12)) for k in (13, 14)]
        elif role == "bass":
            kicks = sorted(_velocities(pattern)[KICK])
            steps = [(root if k < 8 else root + 7, k, 95) for k in kicks]
        else:
            steps = [(p, k, 78) for k in COMPS[pattern] for p in (root + 24, root + 24 + third, root + 31)]
        lasts = 0.1 if role == "drums" else 0.4
        notes += [Note(bar.start + k / 4, lasts, p, v) for p, k, v in steps if k / 4 < length]
    return Part(role, role, tuple(sorted(notes, key=lambda n: (n.start, n.pitch))))
