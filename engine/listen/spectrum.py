"""The long-term spectrum of a clip in third octaves, and how wide each of them is.

Mid is half the sum of left and right, side half the difference. Power is that of Hann-windowed frames of 8192 samples
that lie within 60 dB of the loudest frame: pauses have no sound.

Conventions: dB; levels are beside the clip's whole power; bands are the 31 of IEC 61260 from 20 Hz to 20 kHz.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from engine.listen.onsets import Audio, Floats

SIZE = 8192
CENTRES = tuple(float(1000.0 * 2 ** (k / 3)) for k in range(-17, 14))
GATE_DB = 60.0
FLOOR_DB = -120.0
MONO_DB = -60.0
"""Width of a band whose side is nothing."""


@dataclass(frozen=True)
class Spectrum:
    """`centres` Hz; `levels` dB of each band's power (mid and side) beside the whole; `side` dB of the side beside the
    mid (0: as much side as mid, `MONO_DB`: none). A clip of silence has no bands."""

    centres: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    side: tuple[float, ...] = ()

    @property
    def width(self) -> float:
        """dB of the whole side beside the whole mid, `MONO_DB` for mono."""
        power = 10.0 ** (np.array(self.levels) / 10.0)
        ratio = 10.0 ** (np.array(self.side) / 10.0)
        mid = float((power / (1.0 + ratio)).sum())
        return _decibel(float(power.sum()) - mid, mid, MONO_DB) if mid > 0 else MONO_DB


def blocks2spectrum(blocks: Iterable[Audio], rate: int) -> Spectrum:
    """Spectrum of blocks [samples, 1 or 2] at `rate`; frames overlap by half inside a block and do not cross blocks."""
    edges = np.searchsorted(np.arange(SIZE // 2 + 1) * rate / SIZE, [c * 2 ** (-1 / 6) for c in CENTRES] + [1e9])
    window = np.hanning(SIZE).astype(np.float32)
    mids: list[Floats] = []
    sides: list[Floats] = []
    for block in blocks:
        if len(block) < SIZE:
            block = np.pad(block, ((0, SIZE - len(block)), (0, 0)))
        left, right = block[:, 0], block[:, -1]
        for half, rows in (((left + right) / 2, mids), ((left - right) / 2, sides)):
            views = np.lib.stride_tricks.sliding_window_view(half, SIZE)[:: SIZE // 2]
            if rows is sides and block.shape[1] == 1:
                rows.append(np.zeros((len(views), len(CENTRES))))
                continue
            frames = (views - views.mean(axis=1, keepdims=True)) * window
            power = (np.abs(rfft(frames, axis=1)) ** 2).astype(float)
            sums = np.pad(np.cumsum(power, axis=1), ((0, 0), (1, 0)))
            ends = np.minimum(edges, power.shape[1])
            rows.append(sums[:, ends[1:]] - sums[:, ends[:-1]])
    return _spectrum(np.concatenate(mids), np.concatenate(sides)) if mids else Spectrum()


def sound2spectrum(audio: Audio, rate: int) -> Spectrum:
    """Spectrum of an array [samples, channels] at 44.1 or 48 kHz."""
    return blocks2spectrum((audio[i : i + (1 << 17), :2] for i in range(0, len(audio), 1 << 17)), rate)


def _spectrum(mid: NDArray[np.float64], side: Floats) -> Spectrum:
    """From powers [frames, bands] of all frames."""
    loud = (mid + side).sum(axis=1)
    if loud.max() <= SIZE**2 * 1e-12:
        return Spectrum()
    kept = loud > loud.max() * 10 ** (-GATE_DB / 10)
    mids, sides = mid[kept].mean(axis=0), side[kept].mean(axis=0)
    whole = float((mids + sides).sum())
    levels = tuple(_decibel(float(m + s), whole, FLOOR_DB) for m, s in zip(mids, sides, strict=True))
    widths = tuple(_decibel(float(s), float(m), MONO_DB) for m, s in zip(mids, sides, strict=True))
    return Spectrum(tuple(round(c, 1) for c in CENTRES), levels, widths)


def _decibel(power: float, beside: float, floor: float) -> float:
    """10 log10 of a ratio, to a hundredth, from `floor` to its negative."""
    if beside <= 0:
        return floor
    return round(float(np.clip(10.0 * np.log10(max(power / beside, 1e-20)), floor, -floor)), 2)
