"""A sound in numbers: the vector by which instruments are compared, and the measures that a list shows.

The vector is 48 band levels (dB, their mean taken off) on the mel scale from 40 Hz to 16 kHz, of the frames within 45
dB of the loudest, and then brightness (octaves from 1 kHz), attack (log2 of ms), fall (dB/s) and width (dB, side to
mid). Everything is independent of level and sampling rate. Audio is float32 [2, n].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]

BANDS = 48
LOW_HZ, HIGH_HZ = 40.0, 16000.0
WINDOW_SECONDS, HOP_SECONDS = 0.0464, 0.01
LOUD_DB = 45.0
FLOOR_DB = -70.0
MIN_WIDTH_DB = -60.0


@dataclass(frozen=True)
class Sound:
    """`bands` [48] dB without their mean; `brightness_hz`: the power-weighted mean frequency; `fall`: dB lost per
    second after the loudest moment (0: none); `width_db`: side to mid."""

    bands: tuple[float, ...]
    brightness_hz: float
    fall: float
    width_db: float


def listen(audio: Audio, rate: int) -> Sound:
    """The measures of a sound. Silence gives flat bands."""
    mid, side = (audio[0] + audio[1]) / 2, (audio[0] - audio[1]) / 2
    power = _frames(mid, rate) + _frames(side, rate)
    bank, centres = _mel(rate)
    total = power.sum(axis=1)
    if not total.any():
        return Sound((0.0,) * BANDS, 0.0, 0.0, MIN_WIDTH_DB)
    loud = total > total.max() * 10 ** (-LOUD_DB / 10)
    mean = power[loud].mean(axis=0)
    levels = 10 * np.log10(mean @ bank.T + 1e-30)
    levels = np.maximum(levels, levels.max() + FLOOR_DB)
    hertz = float((mean * centres).sum() / mean.sum())
    ratio = float((side.astype(np.float64) ** 2).sum() / max(float((mid.astype(np.float64) ** 2).sum()), 1e-20))
    width = max(10 * np.log10(max(ratio, 1e-12)), MIN_WIDTH_DB)
    bands = tuple(round(float(v), 2) for v in levels - levels.mean())
    return Sound(bands, round(hertz, 1), round(_fall(total), 1), round(float(width), 1))


def vector(bands: tuple[float, ...], brightness_hz: float, attack_ms: float, fall: float, width_db: float) -> Floats:
    """float [52]: the vector of a described instrument."""
    rest = (np.log2(max(brightness_hz, 20.0) / 1000), np.log2(max(attack_ms, 0.5)), fall, width_db)
    return np.array([*bands, *rest])


def distance(one: Floats, two: Floats) -> float:
    """Mean difference of the band levels in dB."""
    return float(np.abs(one[:BANDS] - two[:BANDS]).mean())


def log_mel(audio: Audio, rate: int) -> Floats:
    """float [frames, 48]: band levels in dB every 10 ms, both channels' power together."""
    power = _frames(audio[0], rate) + _frames(audio[1], rate)
    return np.asarray(10 * np.log10(power @ _mel(rate)[0].T + 1e-12))


def _fall(total: Floats) -> float:
    """dB per second from the loudest frame on, over at most a second, by a straight line."""
    peak = int(total.argmax())
    after = 10 * np.log10(total[peak : peak + int(1 / HOP_SECONDS)] / total.max() + 1e-7)
    after = after[after > -50]
    if len(after) < 5:
        return 0.0
    slope = float(np.polyfit(np.arange(len(after)) * HOP_SECONDS, after, 1)[0])
    return max(-slope, 0.0)


def _frames(signal: NDArray[np.float32], rate: int) -> Floats:
    """float [frames, bins]: power spectra."""
    size, hop = int(WINDOW_SECONDS * rate), int(HOP_SECONDS * rate)
    padded = np.pad(signal.astype(np.float64), (size // 2, size))
    rows = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.asarray(np.abs(np.fft.rfft(rows * np.hanning(size), axis=1)) ** 2)


@lru_cache(maxsize=4)
def _mel(rate: int) -> tuple[Floats, Floats]:
    """(weights [48, bins], bin frequencies): triangles, equally wide on the mel scale of O'Shaughnessy (HTK)."""
    hertz = np.fft.rfftfreq(int(WINDOW_SECONDS * rate), 1 / rate)
    mel = 2595 * np.log10(1 + hertz / 700)
    edge = np.linspace(2595 * np.log10(1 + LOW_HZ / 700), 2595 * np.log10(1 + HIGH_HZ / 700), BANDS + 2)
    rising = (mel[None] - edge[:-2, None]) / (edge[1:-1] - edge[:-2])[:, None]
    falling = (edge[2:, None] - mel[None]) / (edge[2:] - edge[1:-1])[:, None]
    return np.asarray(np.clip(np.minimum(rising, falling), 0.0, None), np.float64), np.asarray(hertz, np.float64)
