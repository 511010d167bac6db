"""Levels of a stem: loudness, true peak, clipping, offset, silence where notes should sound.

Conventions: audio is [channels, samples] float32; dBFS re full scale 1.0; LUFS after ITU-R BS.1770-4 (pyloudnorm).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

Floats = NDArray[np.float64]
Audio = NDArray[np.float32]

SILENT_DBFS = -70.0
PEAK_BLOCK, PEAK_EDGE, PEAK_BLOCKS = 4096, 32, 400
NOTE_MS = 150.0
FLAT_RUN = 4


def db(value: float) -> float:
    """Decibels of an amplitude; -200 for silence."""
    return float(20.0 * np.log10(max(value, 1e-10)))


def audio2lufs(audio: Audio, rate: int) -> float | None:
    """Integrated loudness. None for silence and for less than the 0.4 s that the measure needs."""
    import pyloudnorm

    if audio.shape[1] < 0.4 * rate or not audio.any():
        return None
    with np.errstate(divide="ignore"):
        value = float(pyloudnorm.Meter(rate).integrated_loudness(audio.T))
    return value if np.isfinite(value) else None


def audio2true_peak(audio: Audio) -> float:
    """Greatest magnitude between samples, four times oversampled, in dBFS (-200 for silence).

    Only blocks whose sample peak is within 6 dB of the greatest are looked into, the 400 loudest at most: what lies
    between samples does not stand out further.
    """
    count = audio.shape[1] // PEAK_BLOCK + 1
    padded = np.zeros((audio.shape[0], count * PEAK_BLOCK + 2 * PEAK_EDGE), np.float32)
    padded[:, PEAK_EDGE : PEAK_EDGE + audio.shape[1]] = audio
    peaks = np.abs(padded[:, PEAK_EDGE:-PEAK_EDGE]).reshape(audio.shape[0], count, PEAK_BLOCK).max(axis=2)
    top = float(peaks.max(initial=0.0))
    if top == 0.0:
        return -200.0
    order = np.argsort(peaks, axis=None)[::-1][:PEAK_BLOCKS]
    chosen = [np.unravel_index(i, peaks.shape) for i in order if peaks.flat[i] >= 0.5 * top]
    blocks = np.stack([padded[c, k * PEAK_BLOCK : (k + 1) * PEAK_BLOCK + 2 * PEAK_EDGE] for c, k in chosen])
    between = resample_poly(blocks, 4, 1, axis=1)[:, 2 * PEAK_EDGE : -2 * PEAK_EDGE]
    return db(max(top, float(np.abs(between).max())))


def clipped_runs(audio: Audio) -> int:
    """How often the wave is cut flat: runs of at least four equal samples at the greatest magnitude of their channel,
    or at or beyond full scale."""
    runs = 0
    for channel in audio:
        level = np.abs(channel)
        top = float(level.max(initial=0.0))
        if top < 0.01:
            continue
        flat = (level >= min(top * (1 - 1e-6), 1.0)).astype(np.int8)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], flat, [0]))))
        runs += int(np.sum(edges[1::2] - edges[::2] >= FLAT_RUN))
    return runs


def dc_offset(audio: Audio) -> float:
    """Greatest |mean| of a channel."""
    return float(np.abs(audio.mean(axis=1, dtype=np.float64)).max(initial=0.0))


def silent_notes(audio: Audio, starts: Floats, rate: int) -> Floats:
    """Those of the note starts [N] (samples, ascending) after which nothing sounds for 150 ms: below -70 dBFS, or 60 dB
    below the stem's loud notes."""
    if not len(starts):
        return starts
    power = np.zeros(audio.shape[1] + 1)
    np.cumsum(np.einsum("cn,cn->n", audio, audio, dtype=np.float64), out=power[1:])
    first = np.clip(np.floor(starts).astype(np.int64), 0, audio.shape[1])
    last = np.clip(first + round(NOTE_MS / 1000 * rate), 0, audio.shape[1])
    mean = (power[last] - power[first]) / np.maximum(last - first, 1) / audio.shape[0]
    level = 10.0 * np.log10(np.maximum(mean, 1e-20))
    gate = max(SILENT_DBFS, float(np.percentile(level, 90)) - 60.0)
    return np.asarray(starts[(level < gate) & (last - first > 0.02 * rate)])
