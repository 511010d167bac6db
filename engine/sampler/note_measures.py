"""Measures of single notes: how late they speak, how they are tuned, how loud they are. Audio is float32 [2, n]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Audio = NDArray[np.float32]

PEAK_SECONDS = 0.080
AFTER_SECONDS, BEFORE_SECONDS = 0.003, 0.010
RISE_FLOOR = 1e-4
"""What is 40 dB below the loudest three milliseconds is silence."""
SIZE = 1 << 18
REACH_CENTS = 80
STEADY_CENTS = 4.0
HARMONICS = 8
HEARD = 0.02
"""A harmonic's least power beside the strongest's."""
WHOLE, HALVES = (0.08, 1.12), ((0.08, 0.6), (0.6, 1.12))
"""Seconds of a note in which its pitch is read."""
LEAST_SAMPLES, LEAST_PEAK = 8000, 1e-4


def latency_ms(note: Audio, rate: int) -> float:
    """Milliseconds from index 0 until the envelope of the differences (+6 dB per octave, as onsets are heard in the
    upper spectrum) first reaches a third of its peak in the first 80 ms."""
    level = np.abs(np.diff(note[:, : int(PEAK_SECONDS * rate)], axis=1, prepend=np.float32(0))).max(axis=0, initial=0.0)
    if not level.any():
        return 0.0
    return float(np.argmax(level >= level.max() / 3) / rate * 1000)


def sound2rise(note: Audio, rate: int) -> tuple[int, float]:
    """(sample at which the energy rises most, by how many dB): three milliseconds after it against ten before it, of
    the differences (+6 dB per octave), in the first 80 ms of a sound with silence ahead of it. To the sample for what
    begins at once, whatever its wave does afterwards; (0, 0.0) for silence."""
    after, before = int(AFTER_SECONDS * rate), int(BEFORE_SECONDS * rate)
    reach = before + int(PEAK_SECONDS * rate) + after
    sound = np.zeros((2, reach))
    head = note[:, : reach - before]
    sound[:, before : before + head.shape[1]] = head
    total = np.concatenate([[0.0], np.cumsum((np.diff(sound, axis=1, prepend=0.0) ** 2).sum(axis=0))])
    at = np.arange(before, reach - after)
    new, old = (total[at + after] - total[at]) / after, (total[at] - total[at - before]) / before
    if not new.any():
        return 0, 0.0
    floor = RISE_FLOOR * new.max()
    rise = 10 * np.log10((new + floor) / (old + floor))
    first = int(rise.argmax())
    return first, float(rise[first])


def peak_db(note: Audio) -> float:
    """Peak level in dB, at least -120."""
    return float(20 * np.log10(max(float(np.abs(note).max(initial=0.0)), 1e-6)))


@dataclass(frozen=True)
class Tuning:
    """How held notes are tuned: `cents` too high, median over keys; `waver`: cents between a note's beginning and its
    end, median over keys (vibrato, detuned voices, bells). What wavers is heard where it is loudest (`loudest_cents`),
    what is steady as a whole."""

    cents: float
    waver: float


def tuning(notes: Sequence[tuple[int, Audio]], rate: int) -> Tuning:
    """Of (pitch, note) pairs; notes of 1.2 seconds say most."""
    rows = [[cents_off(note, pitch, rate, span) for span in (WHOLE, *HALVES)] for pitch, note in notes]
    whole = [row[0] for row in rows if row[0] is not None]
    waver = [abs(row[1] - row[2]) for row in rows if row[1] is not None and row[2] is not None]
    # A sound that is over before its second half has no pitch to hold.
    unsteady = float(np.median(waver)) if waver else float(REACH_CENTS)
    if unsteady > STEADY_CENTS:
        whole = [loudest_cents(note, pitch, rate) for pitch, note in notes if note.any()]
    return Tuning(float(np.median(whole)) if whole else 0.0, unsteady)


def loudest_cents(note: Audio, pitch: int, rate: int) -> float:
    """Cents between a note and its pitch: where, within 80 cents, the power at eight harmonics together is greatest."""
    steady = note.mean(axis=0)[int(WHOLE[0] * rate) : int(WHOLE[1] * rate)]
    spectrum = np.abs(scipy.fft.rfft(steady * np.hanning(len(steady)), SIZE)) ** 2
    cents = np.arange(-REACH_CENTS, REACH_CENTS + 1)
    fundamental = 440 * 2 ** ((pitch - 69 + cents / 100) / 12)
    power = np.zeros(len(cents))
    for harmonic in range(1, HARMONICS + 1):
        bins = np.round(fundamental * harmonic * SIZE / rate).astype(int)
        if bins[-1] < len(spectrum):
            power += spectrum[bins] * harmonic
    return float(cents[power.argmax()])


def cents_off(note: Audio, pitch: int, rate: int, span: tuple[float, float] = WHOLE) -> float | None:
    """Cents between a note and its pitch, in a span of seconds: the mean over eight harmonics, each weighted by its
    power and read between the bins of its peak within 80 cents. None where nothing sounds there."""
    steady = note.mean(axis=0)[int(span[0] * rate) : int(span[1] * rate)]
    if len(steady) < LEAST_SAMPLES or float(np.abs(steady).max()) < LEAST_PEAK:
        return None
    size = 1 << (4 * len(steady) - 1).bit_length()
    level = np.abs(scipy.fft.rfft(steady * np.hanning(len(steady)), size))
    fundamental = 440 * 2 ** ((pitch - 69) / 12)
    found = []
    for harmonic in range(1, HARMONICS + 1):
        low, high = (fundamental * harmonic * 2 ** (c / 1200) * size / rate for c in (-REACH_CENTS, REACH_CENTS))
        if int(high) + 2 >= len(level) - 1:
            break
        peak = int(low) + int(level[int(low) : int(high) + 2].argmax())
        if int(low) < peak < int(high) + 1:
            a, b, c = np.log(level[peak - 1 : peak + 2] + 1e-12)
            shift = 0.5 * (a - c) / (a - 2 * b + c) if a - 2 * b + c < 0 else 0.0
            hertz = (peak + shift) * rate / size
            found.append((1200 * np.log2(hertz / (fundamental * harmonic)), float(level[peak]) ** 2))
    strong = [(cents, power) for cents, power in found if power > HEARD * max(p for _, p in found)]
    return float(np.average([c for c, _ in strong], weights=[p for _, p in strong])) if strong else None
