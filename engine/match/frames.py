"""Short frames of sound on a fixed grid: band levels of them, and sound put together from them again.

Frame k is centred on sample k * hop of the sound, wherever a range of it begins, and frames are transformed in batches
that lie on a grid of their own: any range comes out bit-identical to the same range of the whole.

Conventions: audio float32 [2, samples]; spectra complex64 [frames, bins]; bands are evenly wide in mel, overlap as
triangles and add up to 1 in every bin; levels in dB of mean-square full scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from engine.tape import Sounding, stretch

Audio = NDArray[np.float32]

Spectra = NDArray[np.complex64]
Floats = NDArray[np.float32]

FRAME_SECONDS = 0.0427
OVERLAP = 4
BANDS = 48
HIGH_HZ = 16000.0
BATCH = 64
"""Frames transformed together; their first one is a multiple of it."""
FLOOR = 1e-14
K_FILTERS = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
"""The two stages of BS.1770-4's filter at 48 kHz, (b, a)."""


@dataclass(frozen=True)
class Grid:
    """Frames and bands at a sample rate. `size`: samples in a frame (about 43 ms); `hop`: a quarter of it."""

    rate: int

    @property
    def size(self) -> int:
        """A power of two, so that all rates see about the same."""
        return int(2 ** round(np.log2(FRAME_SECONDS * self.rate)))

    @property
    def hop(self) -> int:
        """Samples from a frame to the next."""
        return self.size // OVERLAP

    def frames(self, samples: int) -> int:
        """How many frames a sound has: all that reach into it from its start on."""
        return samples // self.hop + 1

    def spread(self, values: Floats) -> Floats:
        """[..., bins] of values [..., BANDS]: straight lines in mel between the bands' centres."""
        lower, share = _places(self.size, self.rate)
        low = values[..., lower]
        return np.asarray(low + (values[..., lower + 1] - low) * share, dtype=np.float32)

    def between(self, values: Floats, hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        """[N] values [BANDS] at any frequencies [N] in Hz."""
        return np.interp(_hz2mel(hertz), _hz2mel(_centres(self.rate)), values)

    def gather(self, power: Floats) -> Floats:
        """[frames, BANDS] of power [frames, bins]: every bin's is shared by the two bands around it."""
        lower, share = _places(self.size, self.rate)
        starts = np.searchsorted(lower, np.arange(BANDS - 1))
        upper = np.add.reduceat(power * share, starts, axis=1)
        whole = np.add.reduceat(power, starts, axis=1)
        out = np.zeros((len(power), BANDS), np.float32)
        out[:, :-1] = whole - upper
        out[:, 1:] += upper
        return out

    @property
    def centres(self) -> NDArray[np.float64]:
        """Hz [BANDS]."""
        return _centres(self.rate)

    @property
    def window(self) -> Floats:
        """float32 [size]: Hann."""
        return _window(self.size)


@lru_cache(maxsize=8)
def _window(size: int) -> Floats:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)


@lru_cache(maxsize=8)
def _centres(rate: int) -> NDArray[np.float64]:
    top = _hz2mel(np.array([min(HIGH_HZ, 0.45 * rate)]))[0]
    mel = np.linspace(0.0, top, BANDS + 1)[1:] - top / BANDS / 2
    return np.asarray(700.0 * np.expm1(mel / 1127.0))


@lru_cache(maxsize=8)
def _places(size: int, rate: int) -> tuple[NDArray[np.intp], Floats]:
    """For every bin the band below it (at most the last but one), and its share of the way to the next one, 0-1."""
    mel = _hz2mel(np.arange(size // 2 + 1) * rate / size)
    place = np.clip(np.interp(mel, _hz2mel(_centres(rate)), np.arange(BANDS)), 0, BANDS - 1)
    lower = np.minimum(place.astype(np.intp), BANDS - 2)
    return lower, (place - lower).astype(np.float32)


def _hz2mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(hz / 700.0))


def audio2spectra(audio: Sounding, grid: Grid, first: int, count: int, begin: int = 0) -> Spectra:
    """[channels, count, bins]: frames `first` to `first + count` of a sound whose first sample is `begin` of the grid;
    outside of it is silence."""
    low, high = first * grid.hop - grid.size // 2 - begin, (first + count - 1) * grid.hop + grid.size // 2 - begin
    piece = stretch(audio, low, high)
    view = np.lib.stride_tricks.sliding_window_view(piece, grid.size, axis=1)[:, :: grid.hop]
    return np.asarray(scipy.fft.rfft(view * grid.window, axis=2), dtype=np.complex64)


def filter_frames(
    audio: Sounding, grid: Grid, start: int, stop: int, gain: Callable[[NDArray[np.intp]], Floats], begin: int = 0
) -> Audio:
    """Samples [start, stop) of a sound [channels, any], first sample `begin`, whose frames are multiplied by gains.

    Every second frame of the grid is enough, under a sine window before and after. `gain(frames)` gives float32
    [frames, bins] for frames of the grid. Linear in the audio. A range needs the sound of two frames' lengths to either
    side. Silence stays silence and costs nothing.
    """
    hop = grid.hop
    half = grid.size // 2
    out = np.zeros((len(audio), stop - start), np.float32)
    window = np.sqrt(grid.window)
    carries = np.zeros((len(audio), half), np.float32)
    for first in range((start // hop - 1) // BATCH * BATCH, -(-stop // hop) + 2, BATCH):
        # Frame k is centred on k * hop: the batch's frames reach from half a frame before the first on.
        low = first * hop - half
        piece = stretch(audio, low - begin, low - begin + (BATCH // 2 + 1) * half)
        if not piece.any():
            _copy(carries, low, out, start)
            carries[:] = 0.0
            continue
        factors = gain(np.arange(first, first + BATCH, 2))
        view = np.lib.stride_tricks.sliding_window_view(piece, grid.size, axis=1)[:, ::half]
        spectra = scipy.fft.rfft(view * window, axis=2)
        spectra *= factors
        pieces = scipy.fft.irfft(spectra, grid.size, axis=2)
        pieces *= window
        blocks = np.zeros((len(audio), BATCH // 2 + 1, half), np.float32)
        blocks[:, :-1] = pieces[:, :, :half]
        blocks[:, 1:] += pieces[:, :, half:]
        blocks[:, 0] += carries
        carries[:] = blocks[:, -1]
        _copy(blocks[:, :-1].reshape(len(audio), -1), low, out, start)
    return out


def _copy(piece: Audio, at: int, into: Audio, start: int) -> None:
    """Puts samples [channels, any] that begin at `at` where they belong in `into`, which begins at `start`."""
    low, high = max(at, start), min(at + piece.shape[1], start + into.shape[1])
    if high > low:
        into[:, low - start : high - start] = piece[:, low - at : high - at]


@dataclass(frozen=True)
class Levels:
    """Power of a stereo sound in frames and bands: `mid`, `side` float32 [frames, BANDS], of (L+R)/2 and (L-R)/2;
    `heard` float32 [frames]: power of both channels as BS.1770 weighs it."""

    mid: Floats
    side: Floats
    heard: Floats

    @property
    def total(self) -> Floats:
        """Both: mean square of left and right."""
        return self.mid + self.side


def audio2levels(audio: Sounding, grid: Grid) -> Levels:
    """Levels of a whole sound [2, samples], read in windows."""
    mid, side, heard = [], [], []
    scale = np.float32(2.0 / (grid.size * float(np.square(grid.window, dtype=np.float64).sum())))
    weight = k_weight(grid.size, grid.rate)
    for first in range(0, grid.frames(audio.shape[1]), BATCH):
        count = min(BATCH, grid.frames(audio.shape[1]) - first)
        left, right = audio2spectra(audio, grid, first, count)
        powers = [_square(left + right) * (scale / 4), _square(left - right) * (scale / 4)]
        mid.append(grid.gather(powers[0]))
        side.append(grid.gather(powers[1]))
        heard.append(2 * ((powers[0] + powers[1]) * weight).sum(axis=1))
    return Levels(np.concatenate(mid), np.concatenate(side), np.concatenate(heard))


def _square(spectra: Spectra) -> Floats:
    return np.asarray(spectra.real**2 + spectra.imag**2)


@lru_cache(maxsize=8)
def k_weight(size: int, rate: int) -> Floats:
    """float32 [bins]: BS.1770-4's weighting of power, its two filters read at the bins' frequencies."""
    angle = np.minimum(2 * np.pi * np.arange(size // 2 + 1) * rate / size / 48000.0, np.pi)
    response = np.ones(len(angle))
    for b, a in K_FILTERS:
        response *= np.abs(scipy.signal.freqz(b, a, worN=angle)[1]) ** 2
    return response.astype(np.float32)


def power2db(power: NDArray[np.float32] | NDArray[np.float64]) -> Floats:
    """dB, -140 at the least."""
    return np.asarray(10.0 * np.log10(np.maximum(power, FLOOR)), dtype=np.float32)
