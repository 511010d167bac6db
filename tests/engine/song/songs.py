"""Synthetic songs of known, moving tempo: drums, bass, chords and a voice of vowels, whose every beat is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]
RATE = 48_000


@dataclass(frozen=True)
class Plan:
    """A section as the song plays it: bars, whether it is sung, how bright it is 0-1, root of its chords (MIDI)."""

    bars: int
    sings: bool
    bright: float
    root: int = 57


@dataclass(frozen=True)
class Song:
    """`stems` float32 [2, samples] at `RATE`; `beats` [N + 1] seconds of each quarter note and the end."""

    stems: dict[str, Audio]
    beats: Floats


def tempo2beats(count: int, bpm: Callable[[float], float], start: float = 0.0) -> Floats:
    """[count + 1] seconds of beats whose tempo is `bpm` at each beat's share 0-1 of the song."""
    steps = np.array([60.0 / bpm(k / count) for k in range(count)])
    return start + np.concatenate([[0.0], np.cumsum(steps)])


def make_song(plans: Sequence[Plan], bpm: Callable[[float], float], *, start: float = 0.0, seed: int = 0) -> Song:
    """The song from its sections; `start` seconds of silence before it."""
    rng = np.random.default_rng(seed)
    beats = tempo2beats(4 * sum(plan.bars for plan in plans), bpm, start)
    samples = round((beats[-1] + 0.5) * RATE)
    bgm, vocal = np.zeros((2, samples), np.float32), np.zeros((2, samples), np.float32)
    beat = 0
    for plan in plans:
        for bar in range(plan.bars):
            root = plan.root + (0, -4, 3, -2)[bar % 4]
            for k in range(4):
                at, length = beats[beat], beats[beat + 1] - beats[beat]
                _add(bgm, at, _kick() if k in (0, 2) else _snare(rng))
                for half in (0.0, 0.5):
                    _add(bgm, at + half * length, 0.3 * (0.4 + plan.bright) * _hat(rng))
                _add(bgm, at, 0.25 * _tone([root - 24], length, 0.3))
                if k == 0:
                    span = beats[min(beat + 4, len(beats) - 1)] - at
                    chord = [root, root + 3 if bar % 4 == 0 else root + 4, root + 7]
                    _add(bgm, at, 0.12 * (0.5 + plan.bright) * _tone(chord, span, 0.1 + plan.bright))
                if plan.sings:
                    _add(
                        vocal, at + 0.02, 0.3 * _tone([plan.root + 12 + (0, 3, 5, 3)[k]], 0.9 * length, 0.6, slow=0.03)
                    )
                beat += 1
    return Song({"vocal": vocal, "bgm": bgm}, beats)


def _add(out: Audio, at: float, sound: Floats) -> None:
    first = round(at * RATE)
    count = min(len(sound), out.shape[1] - first)
    out[:, first : first + count] += sound[:count].astype(np.float32)


def _time(seconds: float) -> Floats:
    return np.arange(round(seconds * RATE)) / RATE


def _kick() -> Floats:
    t = _time(0.18)
    return 0.8 * np.sin(2 * np.pi * (50 * t + 90 * (1 - np.exp(-t / 0.02)) * 0.02)) * np.exp(-t / 0.06)


def _snare(rng: np.random.Generator) -> Floats:
    t = _time(0.15)
    return (0.35 * rng.standard_normal(len(t)) + 0.3 * np.sin(2 * np.pi * 190 * t)) * np.exp(-t / 0.04)


def _hat(rng: np.random.Generator) -> Floats:
    t = _time(0.04)
    return 0.4 * np.diff(rng.standard_normal(len(t) + 1)) * np.exp(-t / 0.01)


def _tone(pitches: Sequence[int], seconds: float, bright: float, slow: float = 0.004) -> Floats:
    t = _time(seconds)
    out = np.zeros(len(t))
    for pitch in pitches:
        hertz = 440.0 * 2 ** ((pitch - 69) / 12)
        for n in range(1, 7):
            out += bright ** (n - 1) / n * np.sin(2 * np.pi * hertz * n * t)
    edge = np.minimum(1.0, np.minimum(t / slow, (seconds - t) / 0.02))
    return out * np.clip(edge, 0.0, 1.0)
