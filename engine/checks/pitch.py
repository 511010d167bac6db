"""Is a stem in key, and does it sound at the pitches that its score says?

The score is judged by the key. The audio is judged by the score: spectra of up to 96 moments are folded onto the octave
in steps of 25 cents and turned against what the sounding notes and their overtones should give; the turn that fits best
must be none.

Conventions: audio is [2, samples] float32, in memory or on disk; frames last 170 ms; cents are audio - score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from bridge.timeline import Clock
from engine.score import Chord, Key, Part
from engine.tape import Sounding

Floats = NDArray[np.float64]

STEPS = 48
"""Steps of 25 cents on the octave's circle."""
FRAME_SECONDS = 0.17
FRAMES = 96
GROUPS = 8
KEY_EARLY = 0.5
"""A note so many beats ahead of a change of key may belong to the new one."""
OFF_CENTS, FAR_CENTS, OFF_SHARE = 40.0, 250.0, 0.36
LOW_HZ, HIGH_HZ = 150.0, 3000.0
OVERTONES = tuple((h, 0.7 ** (h - 1)) for h in range(1, 9))


@dataclass(frozen=True)
class Tuning:
    """How a stretch that begins at `second` of the stem sounds: `cents` higher than written (within half an octave),
    with a `fit` there (correlation, -1 to 1), and `fit_written` where it should be, give or take 25 cents."""

    second: float
    cents: float
    fit: float
    fit_written: float

    @property
    def off(self) -> bool:
        """Whether it sounds at other pitches than written. Bell-like overtones may fit better a fourth or a fifth away,
        so that far off it must also fit badly as written."""
        if abs(self.cents) < FAR_CENTS:
            return abs(self.cents) >= OFF_CENTS
        return self.fit_written < OFF_SHARE * self.fit


def in_key_rate(
    part: Part, key: Key, chords: Sequence[Chord] = (), keys: Sequence[tuple[float, Key]] = ()
) -> float | None:
    """Share of the notes' duration that lies in the key, or in a given chord; None for drums and empty parts.

    `keys`: (beat, key) from which each of a song's several keys is in force; `key` before the first.
    """
    if part.role == "drums" or not part.notes:
        return None
    given = [c for c in chords if c.given]
    good = total = 0.0
    scales = [(float("-inf"), key.scale), *((beat - KEY_EARLY, later.scale) for beat, later in keys)]
    for note in part.notes:
        total += note.length
        pitch = note.pitch % 12
        scale = next(scale for beat, scale in reversed(scales) if note.start >= beat)
        if pitch in scale or any(c.beat - 0.5 <= note.start < c.end and pitch in c.pitch_classes for c in given):
            good += note.length
    return good / total if total else None


def measure_tuning(
    audio: Sounding, part: Part, clock: Clock, rate: int, start_sample: int
) -> tuple[Tuning, tuple[Tuning, ...]] | None:
    """(the whole stem's, those of up to eight successive stretches): the audio's pitch classes against the score's.
    None for drums and where no note lasts long enough."""
    if part.role == "drums":
        return None
    size = round(FRAME_SECONDS * rate)
    notes = np.array(
        [
            (
                clock.beat2second(n.start) + n.offset_ms / 1000.0,
                clock.beat2second(n.end) + n.offset_ms / 1000.0,
                n.pitch,
            )
            for n in part.notes
        ]
    ).reshape(-1, 3)
    notes[:, :2] = notes[:, :2] * rate - start_sample
    long = notes[notes[:, 1] - notes[:, 0] >= 0.7 * size]
    late = np.clip(0.6 * (long[:, 1] - long[:, 0] - size), 0.02 * rate, 1.0 * rate)  # let what was before ring off
    starts = np.unique(np.floor(long[:, 0] + late).astype(np.int64))
    starts = starts[(starts >= 0) & (starts + size <= audio.shape[1])]
    if not len(starts):
        return None
    if len(starts) > FRAMES:
        starts = starts[np.linspace(0, len(starts) - 1, FRAMES).round().astype(int)]
    frames = np.empty((len(starts), size), np.float32)
    for frame, s in zip(frames, starts.tolist(), strict=True):
        left, right = audio[:, s : s + size]
        frame[:] = left + np.float32(0.7) * right
    heard = _circle(frames, rate)
    written = np.stack([_written(notes, s, s + size) for s in starts])
    turns = _turns(heard, written)
    parts = np.array_split(np.arange(len(starts)), max(1, min(GROUPS, len(starts) // 4)))
    at = starts / rate
    return _best(at, turns), tuple(_best(at[group], turns[group]) for group in parts)


def _circle(frames: NDArray[np.float32], rate: int) -> Floats:
    """[F, STEPS] spectral peaks of each frame on the octave's circle (step 0: C), mean 0 and norm 1; silence is 0."""
    size = 1 << (2 * frames.shape[1] - 1).bit_length()
    level = np.abs(rfft(frames * np.hanning(frames.shape[1]).astype(np.float32), size, axis=1)).astype(float)
    frequency = np.arange(level.shape[1]) * rate / size
    used = (frequency >= LOW_HZ) & (frequency <= HIGH_HZ)
    level, frequency = level[:, used], frequency[used]
    inner = (level[:, 1:-1] >= level[:, :-2]) & (level[:, 1:-1] > level[:, 2:])
    peaks = np.where(inner, level[:, 1:-1], 0.0)
    a, b, c = (np.log(level[:, i : level.shape[1] - 2 + i] + 1e-12) for i in range(3))
    shift = np.clip(0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-9), -0.5, 0.5)
    exact = frequency[1:-1] + shift * rate / size
    step = np.round(STEPS * np.log2(exact / 440.0) + STEPS * 9 / 12).astype(int) % STEPS
    out = np.zeros((len(frames), STEPS))
    row = np.broadcast_to(np.arange(len(frames))[:, None], step.shape)
    np.add.at(out, (row, step), np.sqrt(peaks))
    return _normal(_blur(out))


def _written(notes: Floats, start: int, end: int) -> Floats:
    """[STEPS] what the notes that sound in [start, end) samples should give, with overtones in the band."""
    overlap = np.minimum(notes[:, 1], end) - np.maximum(notes[:, 0], start)
    out = np.zeros(STEPS)
    for pitch, share in zip(notes[overlap > 0, 2], overlap[overlap > 0], strict=True):
        for overtone, weight in OVERTONES:
            hertz = 440.0 * 2 ** ((pitch - 69) / 12) * overtone
            if LOW_HZ <= hertz <= HIGH_HZ:
                step = round(STEPS * (pitch % 12) / 12 + STEPS * np.log2(overtone)) % STEPS
                out[step] += weight * share / (end - start)
    return np.asarray(_normal(_blur(np.sqrt(out)[None]))[0])


def _blur(circle: Floats) -> Floats:
    return np.asarray(0.5 * circle + 0.25 * np.roll(circle, 1, axis=1) + 0.25 * np.roll(circle, -1, axis=1))


def _normal(circle: Floats) -> Floats:
    centred = circle - circle.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(np.where(norm > 1e-9, centred / np.maximum(norm, 1e-9), 0.0))


def _turns(heard: Floats, written: Floats) -> Floats:
    """[F, STEPS] correlation of heard with written turned by each number of steps."""
    return np.asarray(irfft(rfft(heard, axis=1) * np.conj(rfft(written, axis=1)), STEPS, axis=1))


def _best(at: Floats, turns: Floats) -> Tuning:
    """The turn that fits best over frames, against none."""
    mean = turns.mean(axis=0)
    best = int(mean.argmax())
    cents = ((best + STEPS // 2) % STEPS - STEPS // 2) * 1200.0 / STEPS
    return Tuning(float(at[0]), cents, float(mean[best]), float(mean[[-1, 0, 1]].max()))
