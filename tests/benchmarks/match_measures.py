"""How far a mix is from a clip, measured by means of its own: third octaves, width, dynamics, loudness, and the judge's
embedding."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass

import numpy as np
import pyloudnorm
import scipy.signal
from numpy.typing import NDArray

from tests.benchmarks.musicnn_judge import audio2embedding, distance

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]
LOW_HZ, HIGH_HZ = 40.0, 16000.0
BLOCK_SECONDS = 0.1
NAMES = ("musicnn", "spectrum dB", "width dB", "dynamics dB", "loudness LU")


@dataclass(frozen=True)
class Measured:
    """`spectrum`, `width`: dB in third octaves; `dynamics`: crest of the whole and spread of 100 ms blocks in dB."""

    embedding: Floats
    spectrum: Floats
    width: Floats
    dynamics: Floats
    lufs: float


def measure(audio: Audio, rate: int) -> Measured:
    """Of a sound [2, samples]."""
    frequency, middle = scipy.signal.welch((audio[0] + audio[1]) / 2, rate, nperseg=8192)
    _, side = scipy.signal.welch((audio[0] - audio[1]) / 2, rate, nperseg=8192)
    edges = LOW_HZ * 2 ** (np.arange(0, 3 * np.log2(HIGH_HZ / LOW_HZ) + 1) / 3)
    inside = [(frequency >= a) & (frequency < b) for a, b in itertools.pairwise(edges)]
    inside = [band for band in inside if band.any()]
    mid_power = np.array([middle[band].mean() for band in inside])
    side_power = np.array([side[band].mean() for band in inside])
    spectrum = _db(mid_power + side_power)
    step = int(BLOCK_SECONDS * rate)
    blocks = audio[:, : audio.shape[1] // step * step].reshape(2, -1, step)
    level = _db(np.square(blocks, dtype=np.float64).mean(axis=(0, 2)))
    spread = float(level[level > level.max() - 30].std())
    crest = float(_db(np.abs(audio).max() ** 2) - _db(np.square(audio, dtype=np.float64).mean()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lufs = float(pyloudnorm.Meter(rate).integrated_loudness(audio.T.astype(np.float64)))
    width = np.maximum(_db(side_power) - _db(mid_power), -30.0)
    return Measured(audio2embedding(audio, rate), spectrum, width, np.array([crest, spread]), lufs)


def distances(ours: Measured, other: Measured) -> Floats:
    """[5], in the order of `NAMES`."""
    away = ours.spectrum - other.spectrum
    return np.array(
        [
            distance(ours.embedding, other.embedding),
            np.abs(away - away.mean()).mean(),
            np.abs(ours.width - other.width).mean(),
            np.abs(ours.dynamics - other.dynamics).mean(),
            abs(ours.lufs - other.lufs),
        ]
    )


def _db(power: Floats | float) -> Floats:
    return np.asarray(10 * np.log10(np.maximum(power, 1e-14)))
