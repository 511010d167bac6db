"""Sound along a time map: stretches of one tempo by Signalsmith Stretch, joined before the beats.

The map is followed by as few stretches as keep every pulse within `TOLERANCE`; what already fits is copied as it is.
Every stretch is made with a margin on both sides and placed by the map alone, so that errors do not add up. Two
stretches meet shortly before a pulse, where the ear is about to be busy, at the place where both are most alike.
Attacks are kept as they came (`engine.song.attacks`).

Conventions: float32 [channels, samples]; seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.conform.warp import crossfade
from engine.report import Tick
from engine.song.align import Run
from engine.song.attacks import find_attacks, keep_attacks

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]

TOLERANCE = 0.003
STILL = 0.002
"""A stretch whose length is off by no more than this is copied."""
MARGIN = 0.2
FADE, SEARCH, GUARD = 0.024, 0.060, 0.004
"""Length of a join, how far before the pulse it may lie, and how long before the pulse it has ended."""
EDGE = 0.005
"""Fade where a run begins or ends in silence."""
SEED = 1


@dataclass(frozen=True)
class Piece:
    """One stretch: source [a, b] goes to target [start, end], in seconds."""

    a: float
    b: float
    start: float
    end: float

    @property
    def factor(self) -> float:
        """How much faster it becomes; 1 where it is only moved."""
        return (
            1.0
            if abs((self.b - self.a) - (self.end - self.start)) <= STILL
            else (self.b - self.a) / (self.end - self.start)
        )


def run2pieces(run: Run, tolerance: float = TOLERANCE) -> list[Piece]:
    """The run as stretches of one tempo; every pulse lies within `tolerance` of its place."""
    pieces, first = [], 0
    while first < len(run.source) - 1:
        last = first + 1
        while last + 1 < len(run.source) and _straight(run, first, last + 1, tolerance):
            last += 1
        pieces.append(
            Piece(*(float(v) for v in (run.source[first], run.source[last], run.target[first], run.target[last])))
        )
        first = last
    return pieces


def _straight(run: Run, first: int, last: int, tolerance: float) -> bool:
    source, target = run.source[first : last + 1], run.target[first : last + 1]
    line = target[0] + (source - source[0]) * ((target[-1] - target[0]) / (source[-1] - source[0]))
    return bool(np.abs(line - target).max() <= tolerance)


def warp(
    audio: Audio, runs: Sequence[Run], samples: int, rate: int, tick: Tick, *, voice: bool = False, semitones: int = 0
) -> Audio:
    """[channels, samples] the sound along the map, `semitones` higher. A `voice` rests in runs without one."""
    out = np.zeros((audio.shape[0], samples), np.float32)
    pieces = [piece for run in runs if run.voice or not voice for piece in run2pieces(run)]
    if not np.abs(audio).max(initial=0.0) > 0:
        return out
    previous: Piece | None = None
    for n, piece in enumerate(pieces):
        tick(n / len(pieces))
        follows = previous is not None and abs(previous.end - piece.start) < 1e-6
        goes_on = n + 1 < len(pieces) and abs(pieces[n + 1].start - piece.end) < 1e-6
        made, at = _stretch(audio, piece, rate, semitones)
        _place(out, made, at, piece, rate, follows=follows, goes_on=goes_on)
        previous = piece
    return out


def _stretch(audio: Audio, piece: Piece, rate: int, semitones: int) -> tuple[Audio, int]:
    """The piece with its margins, and the sample of the target at which it begins."""
    factor = piece.factor
    first = round((piece.a - MARGIN) * rate)
    last = round((piece.b + MARGIN) * rate)
    source = _cut(audio, first, last)
    at = round((piece.start - (piece.a - first / rate) / factor) * rate)
    if factor == 1.0 and semitones == 0:
        return source, at
    from python_stretch.Signalsmith import Stretch

    stretch = Stretch(SEED)
    stretch.preset(audio.shape[0], rate)
    stretch.setTimeFactor(factor)
    if semitones:
        stretch.setTransposeSemitones(semitones)
    made = np.array(stretch.process(np.ascontiguousarray(source)), dtype=np.float32)
    attacks = find_attacks(source, rate)
    keep_attacks(made, source, attacks, [round(attack / factor) for attack in attacks], rate, semitones)
    return made, at


def _cut(audio: Audio, first: int, last: int) -> Audio:
    """Samples [first, last), silence outside the sound."""
    inside = audio[:, max(first, 0) : max(min(last, audio.shape[1]), 0)]
    before = min(max(-first, 0), last - first)
    return np.pad(inside, ((0, 0), (before, last - first - before - inside.shape[1])))


def _place(out: Audio, made: Audio, at: int, piece: Piece, rate: int, *, follows: bool, goes_on: bool) -> None:
    """Puts a stretch into the target: joined to what is there where it `follows`, faded in where it does not."""
    samples = out.shape[1]
    start, end = round(piece.start * rate), min(round(piece.end * rate), samples)
    until = min(end + round((FADE if goes_on else 0.0) * rate), samples, at + made.shape[1])
    fade = round((FADE if follows else EDGE) * rate)
    guard = round(GUARD * rate) if follows else 0
    first = max(start - guard - fade, 0)
    if follows:
        places = range(max(start - round(SEARCH * rate), at, 0), first + 1, max(rate // 2000, 1))
        first = min(places, key=lambda p: _unlike(out, made, p, at, fade), default=first)
    fade = max(min(fade, until - first, samples - first), 0)
    if until <= first:
        return
    new = made[:, first - at : until - at]
    if follows:
        out[:, first : first + fade] = crossfade(out[:, first : first + fade], new[:, :fade])
    else:
        ramp = (np.arange(fade, dtype=np.float32) + 0.5) / max(fade, 1)
        out[:, first : first + fade] = new[:, :fade] * ramp
    out[:, first + fade : until] = new[:, fade:]
    if not goes_on:
        length = min(round(EDGE * rate), until - first)
        out[:, until - length : until] *= np.linspace(1.0, 0.0, length, dtype=np.float32)


def _unlike(out: Audio, made: Audio, place: int, at: int, fade: int) -> float:
    a, b = out[:, place : place + fade], made[:, place - at : place - at + fade]
    count = min(a.shape[1], b.shape[1])
    return float(np.square(a[:, :count] - b[:, :count], dtype=np.float64).sum())
