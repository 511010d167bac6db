"""The last word on spectrum and width: fixed filters for middle and side, fitted to what the matched bus really became.

The frames' bands are too wide for the low end (50 Hz), and what moves in them changes means a little. So the bus is
measured as it comes out, in third octaves of long windows, and what still misses is put into two fixed filters of
minimum phase: nothing sounds before its time, and an attack stays on its sample.

Conventions: audio float32 [2, samples]; power of (L+R)/2 and (L-R)/2 in mean-square full scale, [TONES] per third
octave; corrections in dB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from engine.match.apply import TAPS_FRAMES, TONE_HZ, apply_curves
from engine.match.curves import TONES, Curves
from engine.match.frames import Audio, Floats, Grid, power2db
from engine.tape import Sounding

ROUNDS = 2
MEASURED_SECONDS, PIECES = 40.0, 8
"""So much of a song is measured, in so many pieces spread over it."""
MAX_CUT_DB, MAX_BOOST_DB = 24.0, 9.0
MAX_WIDTH, BASS_HZ, BASS_WIDTH = 0.9, 110.0, 0.06
"""A side is never asked for above this share of the middle, in the bass above this share of the strongest band."""
QUIET_DB = 70.0
"""Bands that much below the strongest are left alone."""


@dataclass(frozen=True)
class Tone:
    """Mean power of a sound in third octaves: `mid`, `side` float32 [TONES]."""

    mid: Floats
    side: Floats

    @property
    def total(self) -> Floats:
        return self.mid + self.side


def audio2tone(audio: Audio, rate: int) -> Tone:
    """Of a whole sound, by windows of about 170 ms that overlap by half; what is shorter is filled up with silence."""
    size = TAPS_FRAMES * Grid(rate).size
    if audio.shape[1] < size:
        audio = np.pad(audio, ((0, 0), (0, size - audio.shape[1])))
    window = np.hanning(size).astype(np.float32)
    power = np.zeros((2, size // 2 + 1))
    starts = range(0, audio.shape[1] - size + 1, size // 2)
    for start in starts:
        left, right = audio[:, start : start + size] * window
        for row, sound in zip(power, (left + right, left - right), strict=True):
            spectrum = scipy.fft.rfft(sound)
            row += spectrum.real**2 + spectrum.imag**2
    power *= 0.5 / (len(starts) * size * float(np.square(window, dtype=np.float64).sum()))
    whole = np.concatenate([np.zeros((2, 1)), np.cumsum(power, axis=1)], axis=1)
    # Bin k lies around k * rate / size: the sum up to a frequency is read between the bins' edges.
    places = np.clip(_edges() * size / rate + 0.5, 0, size // 2 + 1)
    mid, side = (np.diff(np.interp(places, np.arange(size // 2 + 2), row)) for row in whole)
    return Tone(mid.astype(np.float32), side.astype(np.float32))


def fit_tone(bus: Sounding, curves: Curves, wanted: Tone, *, width: bool = True) -> Curves:
    """The curves with filters that bring the long-term spectrum of the bus [2, samples], middle and side, to the wanted
    one; loudness is left out. `width`: whether the side has a filter of its own."""
    for _ in range(ROUNDS):
        now = _measure(bus, curves)
        if not now.total.any() or not wanted.total.any():
            return curves
        known = _centres() < 0.45 * curves.rate
        known &= power2db(wanted.total) > power2db(wanted.total)[known].max() - QUIET_DB
        side = _allowed(wanted)
        rest = power2db(wanted.total) - power2db(now.total)
        offset = float(np.median(rest[known])) if known.any() else 0.0
        middle = power2db(wanted.total - side) - power2db(now.mid) - offset if width else rest - offset
        sides = power2db(side) - power2db(now.side) - offset if width else middle
        curves = replace(
            curves,
            tone_mid=_clipped(curves.tone_mid, middle, known),
            tone_side=_clipped(curves.tone_side, sides, known & (now.side > 1e-12)),
        )
    return curves


def _allowed(wanted: Tone) -> Floats:
    """Power of the side that is asked for."""
    most = MAX_WIDTH * wanted.mid
    bass = _centres() < BASS_HZ
    most[bass] = np.minimum(most, BASS_WIDTH * wanted.mid.max())[bass]
    return np.asarray(np.minimum(wanted.side, most), dtype=np.float32)


def _clipped(old: Floats, more: Floats, known: NDArray[np.bool_]) -> Floats:
    new = np.clip(old + more, -MAX_CUT_DB, MAX_BOOST_DB)
    return np.where(known, new, old).astype(np.float32)


def _measure(bus: Sounding, curves: Curves) -> Tone:
    """The tone of the bus as the curves make it, in pieces spread over it."""
    length = round(MEASURED_SECONDS * curves.rate)
    if bus.shape[1] <= length:
        return audio2tone(apply_curves(bus, curves), curves.rate)
    piece = length // PIECES
    starts = np.linspace(0, bus.shape[1] - piece, PIECES).astype(int)
    tones = [audio2tone(apply_curves(bus, curves, s, s + piece), curves.rate) for s in starts.tolist()]
    mid, side = (np.mean(rows, axis=0) for rows in ([t.mid for t in tones], [t.side for t in tones]))
    return Tone(mid.astype(np.float32), side.astype(np.float32))


@lru_cache(maxsize=1)
def _centres() -> NDArray[np.float64]:
    return np.asarray(TONE_HZ * 2 ** (np.arange(TONES) / 3))


def _edges() -> NDArray[np.float64]:
    return np.asarray(TONE_HZ * 2 ** ((np.arange(TONES + 1) - 0.5) / 3))
