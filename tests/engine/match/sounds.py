"""Sounds for the tests of `engine.match`, made of noise, tones and hits; no files."""

from __future__ import annotations

import numpy as np
import scipy.signal
from numpy.typing import NDArray

Audio = NDArray[np.float32]
RATE = 44100


def beats(seconds: float, *, rate: int = RATE, seed: int = 0, decay: float = 0.12, tilt_db: float = 0.0) -> Audio:
    """Two decaying hits a second of noise with a tone, float32 [2, samples], not quite mono; `tilt_db`: an octave."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    time = np.arange(n) / rate
    since = time % 0.5
    envelope = 10 ** (-3 * since / decay / 4) * (0.4 + 0.6 * ((time // 0.5) % 2))
    noise = rng.standard_normal((2, n)) * 0.3 + rng.standard_normal(n)
    tone = np.sin(2 * np.pi * 220 * time) + 0.5 * np.sin(2 * np.pi * 660 * time)
    sound = 0.1 * envelope * (noise + 2 * tone)
    spectrum = np.fft.rfft(sound)
    frequency = np.maximum(np.fft.rfftfreq(n, 1 / rate), 50.0)
    spectrum *= 10 ** (np.clip(tilt_db * np.log2(frequency / 1000), -40, 40) / 20)
    return np.fft.irfft(spectrum, n).astype(np.float32)


def steady(seconds: float, *, rate: int = RATE, seed: int = 1, wide: float = 0.5, level: float = 0.1) -> Audio:
    """Dark noise of a given width, slowly swelling."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    low = scipy.signal.butter(1, 800, fs=rate, output="sos")
    middle, side = (scipy.signal.sosfilt(low, rng.standard_normal(n)) for _ in range(2))
    swell = 1.0 + 0.5 * np.sin(2 * np.pi * 0.4 * np.arange(n) / rate)
    sound = np.stack([middle + wide * side, middle - wide * side]) * swell
    return (level * sound / np.abs(sound).max() * 4).astype(np.float32).clip(-0.99, 0.99)
