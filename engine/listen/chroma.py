"""How much each pitch class sounds in a clip, frame by frame.

Peaks of long spectra, read between bins, are laid on the octave's circle in thirds of a semitone; the clip's own tuning
is found there and taken off. Strengths are square roots of magnitudes, so that a loud voice does not hide the others.
A second chromagram holds the low peaks alone: what the bass plays.

Conventions: mono float32 at `RATE`; frame i is centred on the second `(i * HOP + SIZE / 2) / RATE`; pitch class 0 is C.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from engine.listen.key import KeyGuess, profile2key
from engine.listen.onsets import RATE, SILENT, Audio, Floats
from engine.listen.steps import each, unheard
from engine.report import Tick

SIZE, HOP = 8192, 2048
LOW_HZ, BASS_HZ, HIGH_HZ = 52.0, 250.0, 2100.0
STEPS = 36
OVER_MEDIAN = 8.0
"""A peak is this many times its spectrum's median."""


@dataclass(frozen=True)
class Chroma:
    """`frames`, `bass` [frames, 12]: every frame's loudest peak has 1; silent frames are 0. `tuning`: semitones by
    which the clip is above 440 Hz; `tonal` 0-1: how much of the energy above the bass is tones, 0 for
    noise and drums."""

    frames: Floats
    bass: Floats
    tuning: float
    tonal: float

    @property
    def seconds(self) -> Floats:
        """[frames] their centres."""
        return np.asarray((np.arange(len(self.frames)) * HOP + SIZE / 2) / RATE)

    @property
    def sounding(self) -> int:
        """Number of frames that are not silent."""
        return int((self.frames.max(axis=1, initial=0.0) > 0).sum())

    def between(self, first: Floats, last: Floats) -> tuple[Floats, Floats]:
        """([spans, 12] frames, [spans, 12] bass): means over the spans `first` to `last` (seconds). A span shorter than
        a hop takes the frame nearest to it. There must be frames."""
        at = self.seconds
        a = np.clip(np.searchsorted(at, first), 0, len(at) - 1)
        b = np.clip(np.searchsorted(at, last), a + 1, len(at))
        rows = []
        for values in (self.frames, self.bass):
            sums = np.vstack([np.zeros(12), np.cumsum(values, axis=0)])
            rows.append(np.asarray((sums[b] - sums[a]) / (b - a)[:, None]))
        return rows[0], rows[1]


def sound2chroma(mono: Audio, tick: Tick = unheard) -> Chroma:
    """Chromagram of a clip at `RATE`; without a full window or any sound it has no frames."""
    if len(mono) < SIZE or float(np.abs(mono).max(initial=0.0)) < SILENT:
        return Chroma(np.zeros((0, 12)), np.zeros((0, 12)), 0.0, 0.0)
    views = np.lib.stride_tricks.sliding_window_view(mono, SIZE)[::HOP]
    starts = range(0, len(views), 256)
    blocks = [_block(views[i : i + 256]) for i in each(starts, len(starts), tick)]
    whole, low = (np.concatenate([b[k] for b in blocks]) for k in (0, 1))
    shares = np.concatenate([b[2] for b in blocks])
    circle = whole.sum(axis=0)
    turn = np.angle(np.sum(circle * np.exp(2j * np.pi * np.arange(STEPS) * 12 / STEPS))) / (2 * np.pi)
    offset = round(float(turn) * STEPS / 12)
    tonal = float(np.clip((np.mean(shares) - 0.25) / 0.45, 0.0, 1.0)) if len(shares) else 0.0
    return Chroma(_fold(whole, offset), _fold(low, offset), float(turn), tonal)


def _fold(circle: Floats, offset: int) -> Floats:
    """[frames, 12] from [frames, STEPS], the tuning taken off; what lies between two semitones counts little."""
    near = np.roll(circle, -offset, axis=1).reshape(len(circle), 12, 3)
    return np.asarray(near[:, :, 0] + 0.5 * near[:, :, 1] + 0.5 * np.roll(near[:, :, 2], 1, axis=1))


def _block(views: NDArray[np.float32]) -> tuple[Floats, Floats, Floats]:
    """([frames, STEPS] peaks, the same of low ones, [sounding frames] share of energy in peaks)."""
    frequency = np.arange(SIZE // 2 + 1) * RATE / SIZE
    used = np.flatnonzero((frequency >= LOW_HZ) & (frequency <= HIGH_HZ))
    window = np.hanning(SIZE).astype(np.float32)
    level = np.abs(rfft(views * window, axis=1)).astype(float)[:, used[0] - 1 : used[-1] + 2]
    loudest = level.max(axis=1, keepdims=True)
    sounding = loudest[:, 0] > SILENT * SIZE / 8
    middle = level[:, 1:-1]
    peak = (
        (middle >= level[:, :-2])
        & (middle > level[:, 2:])
        & (middle > OVER_MEDIAN * np.median(level, axis=1, keepdims=True))
        & sounding[:, None]
    )
    row, column = np.nonzero(peak)
    a, b, c = (np.log(level[row, column + k] + 1e-9) for k in (0, 1, 2))
    shift = np.clip(0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-9), -0.5, 0.5)
    exact = frequency[used[column]] + shift * RATE / SIZE
    step = np.round(STEPS * np.log2(exact / 440.0) + STEPS * 9 / 12).astype(int) % STEPS
    strength = np.sqrt(middle[row, column] / loudest[row, 0])
    whole, low = np.zeros((len(views), STEPS)), np.zeros((len(views), STEPS))
    np.add.at(whole, (row, step), strength)
    deep = exact < BASS_HZ
    np.add.at(low, (row[deep], step[deep]), strength[deep])
    # A drum rings on a pitch at the bottom only; tones have peaks above it too.
    energy = middle**2 * (frequency[used] >= BASS_HZ)
    wide = peak | np.roll(peak, 1, axis=1) | np.roll(peak, -1, axis=1)
    share = (energy * wide).sum(axis=1) / np.maximum(energy.sum(axis=1), 1e-12)
    return whole, low, share[sounding]


def chroma2profile(chroma: Chroma) -> Floats:
    """[12] weights of the pitch classes over the clip, what always sounds (noise, overtones) taken off."""
    total = chroma.frames.sum(axis=0)
    return np.asarray(np.maximum(total - 0.7 * np.median(total), 0.0))


def chroma2key(chroma: Chroma, tonics: Floats | None = None) -> KeyGuess:
    """Key of a clip; noise and silence get a confidence near 0. `tonics` [12]: what its chords say of each tonic."""
    if not chroma.sounding or chroma.frames.sum() <= 0:
        return profile2key(np.zeros(12), 0.0)
    seconds = chroma.sounding * HOP / RATE
    guess = profile2key(chroma2profile(chroma), min(12.0 + seconds * 2.7, 40.0) * chroma.tonal, tonics)
    return KeyGuess(guess.key, guess.confidence * chroma.tonal, guess.ranking)
