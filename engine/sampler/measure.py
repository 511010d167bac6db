"""Loudness and attack of an instrument, measured on its test phrase, so that levels are set by measurement and not by
ear or guess."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pyloudnorm
from numpy.typing import NDArray

Audio = NDArray[np.float32]

VELOCITY = 90
DRUM_PHRASE = (
    # (beat, GM pitch, velocity): one bar of rock time, played twice at 110 bpm
    *((b, 42, 84 if b % 1 == 0 else 66) for b in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)),
    *((b, 36, 100) for b in (0.0, 2.0, 2.5)),
    *((b, 38, 100) for b in (1.0, 3.0)),
)
DRUM_BPM = 110.0
ATTACK_WINDOW_SECONDS = 0.25
ENVELOPE_SECONDS = 0.002


@dataclass(frozen=True)
class Measured:
    """`lufs`: integrated loudness (BS.1770). `attack_ms`: median time from a note's first sample to half its attack's
    peak level. `peak`: greatest magnitude of a single hit struck as hard as can be (kits; 0 where not measured)."""

    lufs: float
    attack_ms: float
    peak: float = 0.0


def loudness(audio: Audio, rate: int) -> float:
    """Integrated loudness in LUFS of [2, n], at least 0.4 s; -inf for silence. pyloudnorm's meter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(pyloudnorm.Meter(rate).integrated_loudness(audio.T.astype(np.float64)))


def attack_ms(audio: Audio, rate: int) -> float:
    """Milliseconds from index 0 of [2, n] until a 2 ms envelope reaches half (-6 dB) of its highest value in the first
    250 ms."""
    head = np.abs(audio[:, : int(ATTACK_WINDOW_SECONDS * rate)]).max(axis=0, initial=0.0)
    if not head.any():
        return 0.0
    width = max(1, int(ENVELOPE_SECONDS * rate))
    pad = np.concatenate([np.zeros(width - 1, head.dtype), head])
    envelope = np.lib.stride_tricks.sliding_window_view(pad, width).max(axis=1)
    return float(np.argmax(envelope >= 0.5 * envelope.max()) / rate * 1000)
