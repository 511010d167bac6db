"""Measures of single notes: how late they speak, how they are tuned, how loud they are. Audio is float32 [2, n]."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]

PEAK_SECONDS = 0.080
SIZE = 1 << 18
REACH_CENTS = 80
HARMONICS = 8


def latency_ms(note: Audio, rate: int) -> float:
    """Milliseconds from index 0 until the envelope of the differences (+6 dB per octave, as onsets are heard in the
    upper spectrum) first reaches a third of its peak in the first 80 ms."""
    level = np.abs(np.diff(note[:, : int(PEAK_SECONDS * rate)], axis=1, prepend=np.float32(0))).max(axis=0, initial=0.0)
    if not level.any():
        return 0.0
    return float(np.argmax(level >= level.max() / 3) / rate * 1000)


def peak_db(note: Audio) -> float:
    """Peak level in dB, at least -120."""
    return float(20 * np.log10(max(float(np.abs(note).max(initial=0.0)), 1e-6)))


def tuning(notes: Iterable[tuple[int, Audio]], rate: int) -> float:
    """Median cents by which (pitch, note) pairs sound too high."""
    found = [cents_off(note, pitch, rate) for pitch, note in notes if note.any()]
    return float(np.median(found)) if found else 0.0


def cents_off(note: Audio, pitch: int, rate: int) -> float:
    """Cents between a note and its pitch: where, within 80 cents, the power at eight harmonics is greatest."""
    steady = note.mean(axis=0)[int(0.08 * rate) : int(1.1 * rate)]
    if len(steady) < 256 or not steady.any():
        return 0.0
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady)), SIZE)) ** 2
    cents = np.arange(-REACH_CENTS, REACH_CENTS + 1)
    fundamental = 440 * 2 ** ((pitch - 69 + cents / 100) / 12)
    power = np.zeros(len(cents))
    for harmonic in range(1, HARMONICS + 1):
        bins = np.round(fundamental * harmonic * SIZE / rate).astype(int)
        if bins[-1] < len(spectrum):
            power += spectrum[bins] * harmonic
    return float(cents[power.argmax()])
