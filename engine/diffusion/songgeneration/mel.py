"""Sound as the prompt tokenizers hear it: mono at 24 kHz, as a log-mel spectrogram of 100 frames a second.

The resampler and the spectrogram are torchaudio's defaults (windowed sinc of 28 taps; HTK mels without
normalisation), written out here, because the tokenizers were trained behind them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

RATE = 24_000
FFT, HOP, MELS = 2048, 240, 128
FRAME = 960
"""Samples at 24 kHz of one code."""
LEAST_POWER = 1e-10
MEAN, STD = 6.768444971712967, 18.417922652295623
"""Of the decibels in training."""
ROLLOFF, LOBES = 0.99, 6
"""Of the sinc: its cut-off as a part of the lower Nyquist frequency, and its zero crossings to either side."""


def halve_rate(sound: Tensor) -> Tensor:
    """float32 [B, n] at 48 kHz -> [B, n / 2 rounded up] at 24 kHz."""
    width = math.ceil(LOBES * 2 / ROLLOFF)
    at = torch.arange(-width, width + 2, dtype=torch.float64) / 2 * ROLLOFF
    window = torch.cos(at.clamp(-LOBES, LOBES) * math.pi / LOBES / 2) ** 2
    kernel = (torch.sinc(at.clamp(-LOBES, LOBES)) * window * ROLLOFF / 2).to(sound)
    padded = functional.pad(sound[:, None], (width, width + 2))
    return functional.conv1d(padded, kernel[None, None], stride=2)[:, 0, : math.ceil(sound.shape[1] / 2)]


def sound2mel(sound: Tensor) -> Tensor:
    """float32 [B, n] at 24 kHz -> normalised decibels [B, 128, n / 240], n being cut to whole codes."""
    whole = sound[:, : sound.shape[1] // FRAME * FRAME]
    window = torch.hann_window(FFT, device=sound.device)
    spectrum = torch.stft(whole, FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)
    power = torch.view_as_real(spectrum).square().sum(-1).transpose(1, 2) @ mel_bands().to(sound)
    decibels = 10 * power.clamp(min=LEAST_POWER).log10()
    return ((decibels - MEAN) / STD).transpose(1, 2)[..., :-1]


def mel_bands() -> Tensor:
    """Triangles evenly spaced in HTK mels: float32 [1025, 128], peaks at 1."""
    top = 2595.0 * math.log10(1 + RATE / 2 / 700)
    corners = 700 * (10 ** (torch.linspace(0, top, MELS + 2) / 2595.0) - 1)
    hertz = torch.linspace(0, RATE // 2, FFT // 2 + 1)
    slopes = corners[None] - hertz[:, None]
    widths = corners.diff()
    return torch.minimum(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]).clamp(min=0)
