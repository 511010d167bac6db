"""Machine drums: a struck tone, metal and noise, worked out sample by sample as the analogue machines' circuits did.

Tones are sines (no aliasing); metal is a sum of six square waves' harmonics below the Nyquist frequency. A drum is a
pure function of (drum, cents, rate); its noise comes from a fixed seed. Peak -1 dBFS, onset at index 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.signal
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]

PEAK = 10 ** (-1 / 20)
SEED = 60221
SILENT_DB = 66.0
MAX_SECONDS = 4.0
ATTACK_SECONDS = 0.0004
FADE_SECONDS = 0.01
METAL_RATIOS = (1.0, 1.342, 1.2312, 1.6532, 1.9523, 2.1523)
"""The six oscillators of the TR-808's cymbals, as their frequencies are to the lowest."""
LIMIT = 0.45


@dataclass(frozen=True)
class Drum:
    """Levels in dB (None: absent), halving times in seconds, frequencies in Hz.

    Tone: `hertz`, beginning `sweep` semitones higher and falling by half every `sweep_half`; `second` is a partial of
    `second_ratio`; `drive` > 0 bends it. Noise: between `low` and `high`, after `bursts` short ones `gap` apart (hand
    claps). Metal: six squares from `metal_hertz` up, above `metal_low`.
    """

    hertz: float = 0.0
    tone: float | None = None
    half: float = 0.1
    sweep: float = 0.0
    sweep_half: float = 0.02
    second: float | None = None
    second_ratio: float = 1.8
    drive: float = 0.0
    noise: float | None = None
    noise_half: float = 0.05
    low: float = 300.0
    high: float = 16000.0
    bursts: int = 1
    gap: float = 0.01
    metal: float | None = None
    metal_half: float = 0.05
    metal_hertz: float = 205.0
    metal_low: float = 6000.0


def strike(drum: Drum, cents: float, rate: int) -> Audio:
    """float32 [2, n]: the drum struck hard, tuned by `cents`."""
    lives = [(drum.tone, drum.half), (drum.noise, drum.noise_half), (drum.metal, drum.metal_half)]
    longest = max(half for level, half in lives if level is not None) * SILENT_DB / 6.02 + drum.bursts * drum.gap
    n = int(min(longest, MAX_SECONDS) * rate)
    time = np.arange(n) / rate
    shift = 2 ** (cents / 1200)
    out = np.zeros(n)
    if drum.tone is not None:
        out += _gain(drum.tone) * _tone(drum, shift, time, rate)
    if drum.noise is not None:
        out += _gain(drum.noise) * _noise(drum, shift, time, rate)
    if drum.metal is not None:
        out += _gain(drum.metal) * _metal(drum, shift, time, rate)
    rise, fade = max(int(ATTACK_SECONDS * rate), 2), int(FADE_SECONDS * rate)
    out[:rise] *= np.linspace(0, 1, rise + 1)[1:]
    out[-fade:] *= np.linspace(1, 0, fade)
    out *= PEAK / np.abs(out).max()
    return np.repeat(out[None], 2, axis=0).astype(np.float32)


def _tone(drum: Drum, shift: float, time: Floats, rate: int) -> Floats:
    steps = drum.hertz * shift * 2 ** (drum.sweep * np.exp2(-time / drum.sweep_half) / 12) / rate
    phase = 2 * np.pi * np.concatenate([[0.0], np.cumsum(np.minimum(steps, LIMIT)[:-1])])
    wave = np.cos(phase)
    if drum.second is not None and drum.hertz * shift * drum.second_ratio < LIMIT * rate:
        wave = wave + _gain(drum.second) * np.sin(drum.second_ratio * phase)
    wave = wave * np.exp2(-time / drum.half)
    # Bent after its envelope, as an overdriven machine does: the end is clean again.
    return np.asarray(np.tanh((1 + drum.drive) * wave) if drum.drive else wave)


def _noise(drum: Drum, shift: float, time: Floats, rate: int) -> Floats:
    noise = np.random.default_rng(SEED).standard_normal(len(time))
    band = [min(drum.low * shift, 0.4 * rate), min(drum.high * shift, LIMIT * rate)]
    noise = scipy.signal.sosfilt(scipy.signal.butter(2, band, btype="bandpass", fs=rate, output="sos"), noise)
    level = np.zeros(len(time))
    for k in range(drum.bursts):
        since = time - k * drum.gap
        half = drum.noise_half if k == drum.bursts - 1 else drum.gap / 3
        level = np.where(since >= 0, np.maximum(level * (since < 0), np.exp2(-np.maximum(since, 0) / half)), level)
    return np.asarray(noise / np.abs(noise).max() * level)


def _metal(drum: Drum, shift: float, time: Floats, rate: int) -> Floats:
    wave = np.zeros(len(time))
    for ratio in METAL_RATIOS:
        base = drum.metal_hertz * ratio * shift
        for harmonic in range(1, int(LIMIT * rate / base) + 1, 2):
            # Far below the band that is kept, a harmonic would be filtered away again.
            if base * harmonic > drum.metal_low * shift / 4:
                wave += np.sin(2 * np.pi * base * harmonic * time) / harmonic
    sections = scipy.signal.butter(3, min(drum.metal_low * shift, 0.4 * rate), btype="highpass", fs=rate, output="sos")
    wave = scipy.signal.sosfilt(sections, wave)
    return np.asarray(wave / np.abs(wave).max() * np.exp2(-time / drum.metal_half))


def _gain(level: float) -> float:
    return float(10 ** (level / 20))
