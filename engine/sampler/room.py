"""The room: a reverb of our own, a linear convolution, so that every stem carries its own return and stems still sum
to the mix.

The impulse response is decaying noise, fixed by a seed: two decay times (dark tail), a few early reflections, nothing
before the pre-delay, so no onset is smeared. Convolution is by partitions that lie on an absolute grid of
`BLOCK` samples: any range of a part comes out bit-identical to the same range of the whole.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

BLOCK = 32768
SECONDS = 1.4
PRE_DELAY = 0.018
DECAY_LOW, DECAY_HIGH = 1.3, 0.7
CROSSOVER_HZ = 2500.0
LOW_CUT_HZ, HIGH_CUT_HZ = 180.0, 9000.0
EARLY = ((0.0, 0.5), (0.0071, 0.4), (0.0127, 0.32), (0.0193, 0.27), (0.0307, 0.2))
SEED = 20231


@lru_cache(maxsize=4)
def impulse(rate: int) -> Audio:
    """float32 [2, n]: the room's response; unit energy per channel, silent for the pre-delay."""
    n = int(SECONDS * rate)
    rng = np.random.default_rng(SEED)
    time = np.arange(n) / rate
    noise = rng.standard_normal((2, n))
    split = scipy.signal.butter(2, CROSSOVER_HZ, fs=rate, output="sos")
    low = scipy.signal.sosfilt(split, noise)
    tail = low * 10 ** (-3 * time / DECAY_LOW) + (noise - low) * 10 ** (-3 * time / DECAY_HIGH)
    tail *= 1 - np.exp(-time / 0.012)
    for delay, gain in EARLY:
        for channel in (0, 1):
            tail[channel, int((delay + 0.0013 * channel) * rate)] += gain * 6 * (-1) ** channel
    band = scipy.signal.butter(2, [LOW_CUT_HZ, HIGH_CUT_HZ], btype="bandpass", fs=rate, output="sos")
    tail = scipy.signal.sosfilt(band, tail)
    fade = int(0.1 * rate)
    tail[:, -fade:] *= np.linspace(1, 0, fade) ** 2
    tail /= np.sqrt((tail**2).sum(axis=1, keepdims=True))
    whole = np.concatenate([np.zeros((2, int(PRE_DELAY * rate))), tail], axis=1)
    return whole.astype(np.float32)


def reach(rate: int) -> int:
    """How far back the room reaches: whole blocks, in samples."""
    return -(-len(impulse(rate)[0]) // BLOCK) * BLOCK


def add_room(into: Audio, send: Audio, first: int, rate: int, gain: float) -> None:
    """Adds the room's answer to a mono send [n], times `gain`, to `into` float32 [2, n].

    Sample 0 of both is project sample `first`, a multiple of `BLOCK`. What rings past n is left out.
    """
    if first % BLOCK:
        raise ValueError("the send must begin on the grid")
    Room(rate, gain).add(into, send)


class Room:
    """The room's answer to a send that comes in stretches, one after the other; all but the last are whole blocks."""

    def __init__(self, rate: int, gain: float) -> None:
        self._parts = _spectra(rate)
        self._scale = np.float32(gain)
        self._recent: list[Spectrum | None] = []
        self._window = np.zeros(2 * BLOCK, np.float32)

    def add(self, into: Audio, send: Audio) -> None:
        """Adds the answer to the next stretch [n] of the send, and to what came before it, to `into` float32 [2, n]."""
        parts, window = self._parts, self._window
        for at in range(0, len(send), BLOCK):
            # Overlap-save: a block with the one before it; the second half of the inverse transform is the answer.
            window[:BLOCK] = window[BLOCK:]
            piece = send[at : at + BLOCK]
            window[BLOCK:] = 0.0
            window[BLOCK : BLOCK + len(piece)] = piece
            spectrum = scipy.fft.rfft(window) if window.any() else None
            self._recent = [spectrum, *self._recent[: parts.shape[1] - 1]]
            heard = [(row, parts[:, p]) for p, row in enumerate(self._recent) if row is not None]
            if not heard:
                continue
            total = heard[0][0] * heard[0][1]
            for row, part in heard[1:]:
                total += row * part
            for channel in (0, 1):
                answer = scipy.fft.irfft(total[channel], overwrite_x=True)[BLOCK : BLOCK + len(piece)]
                into[channel, at : at + BLOCK] += answer * self._scale


@lru_cache(maxsize=4)
def _spectra(rate: int) -> NDArray[np.complex64]:
    """complex64 [2, partitions, BLOCK + 1]: the response's partitions."""
    response = impulse(rate)
    count = reach(rate) // BLOCK
    padded = np.zeros((2, count, 2 * BLOCK), np.float32)
    for p in range(count):
        piece = response[:, p * BLOCK : (p + 1) * BLOCK]
        padded[:, p, : piece.shape[1]] = piece
    return np.array([[scipy.fft.rfft(padded[c, p]) for p in range(count)] for c in (0, 1)], dtype=np.complex64)
