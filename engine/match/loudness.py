"""How loud a sound is, moment by moment, by ITU-R BS.1770-4: exact at any sample rate and under any gain curve.

What is kept is the weighted power of every millisecond. A gain that changes from one millisecond to the next can be
put on it afterwards, so a limiter's answer is known without making its sound.

Conventions: audio float32 [2, samples]; power float64 [milliseconds], both channels together; loudness in LUFS, -inf
for silence.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from engine.match.frames import Audio

Power = NDArray[np.float64]

BLOCK_SECONDS, STEP_SECONDS = 0.4, 0.1
OFFSET = -0.691
SHELF = (1681.974450955533, 3.999843853973347, 0.7071752369554196, 0.4996667741545416)
HIGH_PASS = (38.13547087602444, 0.5003270373238773)
"""The recommendation's two filters as analogue ones: Hz, dB, quality, the shelf's share of its middle."""


class Meter:
    """Reads a sound in pieces, one after the other; the filters go on from piece to piece."""

    def __init__(self, rate: int, step: int) -> None:
        """`step`: samples of a millisecond."""
        self._step = step
        self._filters = k_filters(rate)
        self._state = np.zeros((len(self._filters), 2, 2))

    def read(self, audio: Audio) -> Power:
        """Power of every whole step of a piece, and of what is left over."""
        weighted, self._state = scipy.signal.sosfilt(self._filters, audio, axis=1, zi=self._state)
        power = np.square(weighted).sum(axis=0)
        edges = np.arange(0, len(power), self._step)
        return np.asarray(np.add.reduceat(power, edges) / self._step)


def audio2power(audio: Audio, rate: int, step: int) -> Power:
    """Of a whole sound."""
    return Meter(rate, step).read(audio)


def power2lufs(power: Power, each: float) -> float:
    """Integrated loudness, with both gates; `each`: seconds of one value."""
    blocks = _means(power, BLOCK_SECONDS, each)
    loud = blocks[blocks > 10 ** ((-70.0 - OFFSET) / 10)]
    if not len(loud):
        return float("-inf")
    gated = loud[loud >= loud.mean() * 0.1]
    return float(OFFSET + 10 * np.log10(gated.mean()))


def _means(power: Power, seconds: float, each: float) -> Power:
    """Mean power of stretches of `seconds`, one every 100 ms; of the whole where it is shorter."""
    count, step = round(seconds / each), max(1, round(STEP_SECONDS / each))
    if len(power) <= count:
        return np.asarray(power.mean(keepdims=True))
    total = np.concatenate([[0.0], np.cumsum(power)])
    return np.asarray(((total[count:] - total[:-count]) / count)[::step])


@lru_cache(maxsize=8)
def k_filters(rate: int) -> NDArray[np.float64]:
    """[2, 6] second-order sections of the K weighting at this rate; at 48 kHz the recommendation's own numbers."""
    hertz, gain, quality, middle = SHELF
    k, high = np.tan(np.pi * min(hertz / rate, 0.49)), 10 ** (gain / 20)
    band = high**middle
    a0 = 1 + k / quality + k * k
    b = (high + band * k / quality + k * k, 2 * (k * k - high), high - band * k / quality + k * k)
    shelf = [*(x / a0 for x in b), 1.0, 2 * (k * k - 1) / a0, (1 - k / quality + k * k) / a0]
    hertz, quality = HIGH_PASS
    k = np.tan(np.pi * hertz / rate)
    a0 = 1 + k / quality + k * k
    return np.array([shelf, [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / quality + k * k) / a0]])
