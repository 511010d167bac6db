"""Small sounds whose truth is plain: clicks, noise, something like speech, pink noise, a room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

RATE = 22050
Audio = NDArray[np.float32]


def clicks(times: Sequence[float] | NDArray[np.float64], seconds: float, *, rate: int = RATE, seed: int = 0) -> Audio:
    """A short burst of noise at each time, over quiet noise."""
    rng = np.random.default_rng(seed)
    out = 1e-4 * rng.normal(size=int(seconds * rate))
    length = int(0.03 * rate)
    burst = rng.normal(size=length) * np.exp(-np.arange(length) / (0.006 * rate))
    for t in times:
        first = round(t * rate)
        out[first : first + length] += 0.3 * burst[: max(0, len(out) - first)]
    return out.astype(np.float32)


def noise(seconds: float, *, rate: int = RATE, seed: int = 0) -> Audio:
    """White noise at -20 dBFS."""
    return (0.1 * np.random.default_rng(seed).normal(size=int(seconds * rate))).astype(np.float32)


def speech(seconds: float, *, seed: int = 0) -> Audio:
    """Something like speech at `RATE`: glottal pulses that glide through changing formants, syllables of 0.1 to 0.35 s,
    pauses between phrases."""
    rng = np.random.default_rng(seed)
    parts: list[NDArray[np.float64]] = []
    while sum(map(len, parts)) < seconds * RATE:
        for _ in range(int(rng.integers(4, 12))):
            count = int(rng.uniform(0.1, 0.35) * RATE)
            first, last = rng.uniform(90, 190, 2).tolist()
            pitch = np.linspace(first, last, count)
            pulses = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0.0)
            source = np.where(rng.random() < 0.25, rng.normal(size=count) * 0.1, pulses)
            for formant in rng.uniform((250, 800, 2000), (800, 2200, 3200)):
                radius = np.exp(-np.pi * 90 / RATE)
                source = lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * formant / RATE), radius**2], source)
            parts.append(source / (np.abs(source).max() + 1e-9) * np.hanning(count) * rng.uniform(0.1, 0.4))
        parts.append(np.zeros(int(rng.uniform(0.15, 0.9) * RATE)))
    return np.concatenate(parts)[: int(seconds * RATE)].astype(np.float32)


def in_room(dry: Audio, rt60: float, *, seed: int = 0) -> Audio:
    """A sound at `RATE` in a room of exponentially decaying noise."""
    time = np.arange(int(rt60 * RATE)) / RATE
    answer = np.random.default_rng(seed).normal(size=len(time)) * 10 ** (-3 * time / rt60)
    wet = dry + 0.5 * fftconvolve(dry, answer / np.sqrt((answer**2).sum()))[: len(dry)]
    return np.asarray(0.5 * wet / np.abs(wet).max(), dtype=np.float32)
