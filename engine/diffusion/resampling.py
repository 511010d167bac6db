"""Between a project's sample rate and a model's: one resampler, in place to the sample.

soxr's whole-signal mode takes its filter's delay out: sample n of a clip at rate a lies at n * b / a afterwards.
"""

from __future__ import annotations

import math

import numpy as np
import soxr

from engine.rendering import Audio


def resample(audio: Audio, source: int, target: int, samples: int | None = None) -> Audio:
    """float32 [channels, n] at `source` Hz as [channels, samples] at `target` Hz.

    `samples` None means all of it (rounded up); else the end is cut, or filled with silence.
    """
    moved = soxr.resample(audio.T, source, target, quality="VHQ").T if source != target else audio
    length = math.ceil(audio.shape[1] * target / source) if samples is None else samples
    return fit_length(np.ascontiguousarray(moved, dtype=np.float32), length)


def fit_length(audio: Audio, samples: int) -> Audio:
    """The first `samples` of [channels, n], filled with silence where it is shorter; always a copy."""
    fitted = np.zeros((audio.shape[0], samples), np.float32)
    whole = min(samples, audio.shape[1])
    fitted[:, :whole] = audio[:, :whole]
    return fitted


def to_stereo(audio: Audio) -> Audio:
    """[channels, n] as [2, n]: mono on both sides; of more than two channels the first two."""
    return np.repeat(audio, 2, axis=0) if audio.shape[0] == 1 else audio[:2]
