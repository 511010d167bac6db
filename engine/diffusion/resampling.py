"""Between a project's sample rate and a model's: one resampler, in place to the sample.

soxr's whole-signal mode takes its filter's delay out: sample n of a clip at rate a lies at n * b / a afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import soxr

from engine.rendering import Audio

QUALITY = "HQ"
"""20 bits, beyond what a model's autoencoder keeps; a third faster than the next better."""
WORKERS = 4
Item = TypeVar("Item")
Result = TypeVar("Result")


def resample(audio: Audio, source: int, target: int, samples: int | None = None) -> Audio:
    """float32 [channels, n] at `source` Hz as [channels, samples] at `target` Hz.

    `samples` None means all of it (rounded up); else the end is cut, or filled with silence.
    """
    moved = soxr.resample(audio.T, source, target, quality=QUALITY).T if source != target else audio
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


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`work` done on every item, in threads: the resampler lets others run, and the device waits for it."""
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(WORKERS, len(items))) as pool:
        return list(pool.map(work, items))
