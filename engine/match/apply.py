"""Curves applied to a sound: any range of it comes out bit-identical to the same range of the whole.

Conventions: audio float32 [2, samples]; sample 0 is where the curves begin; filters are centred, so nothing moves.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft

from engine.match.curves import TONES, Curves
from engine.match.frames import Audio, Floats, Grid, Spectra, filter_frames

SPREAD_SECONDS, SPREAD_DELAY_SECONDS = 0.022, 0.001
"""Length of the noise that makes a side out of a middle, and how long after the direct sound it begins."""
PULSES_PER_SECOND = 2200.0
SEED = 7
BLOCK_FRAMES, BACK_FRAMES = 8, 6
"""The fixed filters work in blocks of so many frames' lengths, and hear so many before them."""
TONE_FRAMES, TONE_HZ = 4, 31.5
"""Length of the tone filters in frames; the centre of their first third octave."""


def apply_curves(audio: Audio, curves: Curves, start: int = 0, stop: int | None = None, begin: int = 0) -> Audio:
    """Samples [start, stop) of the sound as the bus stage makes it; the whole of it unless told.

    `begin`: the sample of the curves where the audio begins. Only what the range needs is computed: the sound up to
    `reach` samples to either side of it. What is not given counts as silence.
    """
    stop = begin + audio.shape[1] if stop is None else stop
    grid = Grid(curves.rate)
    low, high = max(0, start - 2 * grid.size), stop + 2 * grid.size
    sided = shape_sides(audio, curves, low, high, begin)

    def gain(first: int, count: int) -> Floats:
        return np.asarray(np.exp(grid.spread(curves.gains(first, count)) * np.float32(np.log(10) / 20)))

    out = filter_frames(sided, grid, start, stop, gain, low)
    out *= curves.levels(start, stop)
    return out


def reach(rate: int) -> int:
    """How much sound to either side of a range makes it the same to the bit, in samples: frames, then whole blocks of
    the side filters."""
    return (3 + BLOCK_FRAMES + BACK_FRAMES) * Grid(rate).size


def shape_sides(audio: Audio, curves: Curves, start: int, stop: int, begin: int = 0) -> Audio:
    """Samples [start, stop) with the side signal filtered, the middle's all-passed copy added to it, and both toned.

    By overlap-save in blocks on a fixed grid.
    """
    piece = _cut(audio, start - begin, stop - begin)
    toned = bool(curves.tone_mid.any() or curves.tone_side.any())
    if bool((curves.side == 1.0).all()) and not curves.spread.any() and not toned:
        return piece
    size = Grid(curves.rate).size
    block = BLOCK_FRAMES * size
    back, length = BACK_FRAMES * size, 2 * block
    middles, sides, spread = _filters(
        curves.rate, *(row.tobytes() for row in (curves.side, curves.spread, curves.tone_mid, curves.tone_side))
    )
    for at in range(start // block * block, stop, block):
        # What the block's samples hear: `back` samples before it to half a frame after it.
        source = _cut(audio, at - back - begin, at - back - begin + length)
        middle, side = scipy.fft.rfft(0.5 * (source[0] + source[1])), scipy.fft.rfft(0.5 * (source[0] - source[1]))
        low, high = max(at, start), min(at + block, stop)
        inside = slice(low - start, high - start)
        kept = 0.5 * (piece[0, inside] + piece[1, inside])
        if toned:
            kept = scipy.fft.irfft(middle * middles, length)[back + size // 2 :][low - at : high - at]
        new = scipy.fft.irfft(side * sides + middle * spread, length)[back + size // 2 :][low - at : high - at]
        piece[0, inside] = kept + new
        piece[1, inside] = kept - new
    return piece


@lru_cache(maxsize=4)
def _filters(rate: int, side: bytes, spread: bytes, tone_mid: bytes, tone_side: bytes) -> tuple[Spectra, ...]:
    """Spectra of the middle's, the side's and the all-passed copy's filter, delayed by half a frame, for blocks twice
    `BLOCK_FRAMES` long."""
    grid = Grid(rate)
    noise = np.zeros(grid.size, np.float32)
    pulses = velvet(rate)
    noise[: len(pulses)] = pulses
    length = 2 * BLOCK_FRAMES * grid.size
    gains = [grid.spread(np.frombuffer(raw, np.float32)) for raw in (side, spread)]
    shapes = [scipy.fft.rfft(_centred(gain, grid), length) for gain in gains]
    tones = [scipy.fft.rfft(tone2filter(np.frombuffer(raw, np.float32), rate), length) for raw in (tone_mid, tone_side)]
    late = np.exp(-1j * np.pi * np.arange(length // 2 + 1) * grid.size / length)
    filters = (late * tones[0], shapes[0] * tones[1], shapes[1] * tones[1] * scipy.fft.rfft(noise, length))
    return tuple(one.astype(np.complex64) for one in filters)


def tone2filter(tone: Floats, rate: int) -> Floats:
    """float32 [TONE_FRAMES frames] the filter of minimum phase with these gains in dB [TONES], by its cepstrum."""
    size = TONE_FRAMES * Grid(rate).size
    length = 4 * size
    place = 3 * np.log2(np.maximum(np.arange(length // 2 + 1) * rate / length, 1.0) / TONE_HZ)
    level = np.interp(place, np.arange(TONES), tone) * np.log(10) / 20
    cepstrum = scipy.fft.irfft(level, length)
    cepstrum[1 : length // 2] *= 2
    cepstrum[length // 2 + 1 :] = 0
    taps = scipy.fft.irfft(np.exp(scipy.fft.rfft(cepstrum)), length)[:size]
    fade = np.minimum(1.0, 2 - 2 * np.arange(size) / size)
    return np.asarray(taps * fade, dtype=np.float32)


def _centred(gain: Floats, grid: Grid) -> Floats:
    """[size] the filter with these factors [bins], its middle at size / 2."""
    return np.asarray(np.roll(scipy.fft.irfft(gain, grid.size), grid.size // 2) * grid.window, dtype=np.float32)


@lru_cache(maxsize=8)
def velvet(rate: int) -> Floats:
    """Sparse noise of 22 ms made an all-pass: its spectrum's magnitudes set to 1, cut off again, unit energy.

    Its first millisecond is silent, so that what begins, begins with the direct sound.
    """
    rng = np.random.default_rng(SEED)
    count = round((SPREAD_SECONDS - SPREAD_DELAY_SECONDS) * PULSES_PER_SECOND)
    places = (np.arange(count) + rng.random(count)) / PULSES_PER_SECOND
    signs = rng.choice([-1.0, 1.0], count)
    noise = np.zeros(round(SPREAD_SECONDS * rate) + 1)
    np.add.at(noise, ((SPREAD_DELAY_SECONDS + places) * rate).astype(int), signs)
    quiet = round(SPREAD_DELAY_SECONDS * rate)
    for _ in range(8):
        spectrum = np.fft.rfft(noise, 4 * len(noise))
        noise = np.fft.irfft(spectrum / np.maximum(np.abs(spectrum), 1e-9))[: len(noise)]
        noise[:quiet] = 0.0
    return np.asarray(noise / np.sqrt(np.square(noise).sum()), dtype=np.float32)


def _cut(audio: Audio, start: int, stop: int) -> Audio:
    """A copy of samples [start, stop), silence outside."""
    out = np.zeros((2, stop - start), np.float32)
    low, high = max(start, 0), min(stop, audio.shape[1])
    if high > low:
        out[:, low - start : high - start] = audio[:, low:high]
    return out
