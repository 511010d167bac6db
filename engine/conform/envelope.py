"""Where things begin in a stretch of sound: an onset envelope in bands, a thousand times a second.

The growth of log level in bands, as in "Maximum filter vibrato suppression for onset detection" (Böck and Widmer, DAFx
2013), with short windows, because moments are compared here and not found. Each band is seen against its own loud
moments, so that a darker or brighter sound of the same notes gives about the same envelope.

Conventions: mono float32; envelopes are float32 [bands, frames]; a frame lies every `hop(rate)` samples, frame `LEAD`
at sample 0 (`sample2frame`). Ahead of it is the silence that precedes a sound: what begins on sample 0 rises there, for
a window reaches it half its length before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

Audio = NDArray[np.float32]

WINDOW_MS = 11.0
GROWTH_FRAMES = 6
"""A moment is compared with the one so many milliseconds before it, half to each side."""
LEAD = 16
"""Frames ahead of sample 0: the rise of what begins there (half a window and half the growth, 9), and what is compared
ahead of an onset."""
BANDS = 20
LOW_HZ, HIGH_HZ = 110.0, 15000.0
OWN_LOUD, WHOLE_LOUD = 0.1, 0.003
"""Levels below these shares of the band's and of the whole sound's loud moments hardly count."""
CHUNK = 4096


def hop(rate: int) -> int:
    """Samples from one frame to the next: a millisecond, rounded down."""
    return rate // 1000


def sample2frame(sample: float, rate: int) -> int:
    """The frame of an envelope that lies nearest to a sample."""
    return round(sample / hop(rate)) + LEAD


def audio2mono(audio: Audio) -> Audio:
    """[channels, samples] -> [samples]; unequal shares, so that sides in antiphase do not vanish."""
    return np.asarray(audio[0] if len(audio) == 1 else audio[0] + np.float32(0.7) * audio[1])


def mono2envelope(mono: Audio, rate: int) -> Audio:
    """Growth of log level, never below 0. Silence gives zeros."""
    level = _levels(mono, rate)
    loud = np.percentile(level[:, LEAD:], 98, axis=1, keepdims=True)
    reference = np.maximum(OWN_LOUD * loud, WHOLE_LOUD * float(loud.max(initial=0.0))) + 1e-7
    logs = np.log1p(level / reference)
    out: Audio = np.zeros_like(logs)
    half = GROWTH_FRAMES // 2
    if logs.shape[1] > 2 * half:
        out[:, half:-half] = np.maximum(logs[:, 2 * half :] - logs[:, : -2 * half], 0.0)
    return out


def _levels(mono: Audio, rate: int) -> Audio:
    """[bands, LEAD + frames] root of the power in each band."""
    step, size = hop(rate), round(WINDOW_MS / 1000 * rate) // 2 * 2
    frames = LEAD - (-len(mono) // step)
    padded = np.pad(mono, (LEAD * step + size // 2, size // 2 + step))
    view = np.lib.stride_tricks.sliding_window_view(padded, size)[::step][:frames]
    shape = np.hanning(size).astype(np.float32)
    matrix = _bands(size, rate)
    out = np.empty((BANDS, frames), np.float32)
    for i in range(0, frames, CHUNK):
        spectrum = rfft(view[i : i + CHUNK] * shape, axis=1)
        out[:, i : i + CHUNK] = np.sqrt((spectrum.real**2 + spectrum.imag**2) @ matrix).T
    return out


def _bands(size: int, rate: int) -> Audio:
    """[bins, bands]; the bands are evenly wide in log frequency, the first reaches down to 0 Hz."""
    frequency = np.arange(size // 2 + 1) * rate / size
    edges = np.geomspace(LOW_HZ, min(HIGH_HZ, 0.45 * rate), BANDS)
    matrix = np.zeros((len(frequency), BANDS), np.float32)
    matrix[np.arange(len(frequency)), np.minimum(np.searchsorted(edges, frequency), BANDS - 1)] = 1.0
    return matrix
