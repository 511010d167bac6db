"""Curves applied to a sound: any range of it comes out bit-identical to the same range of the whole.

All that stays the same over a song is filtered by minimum phase, so nothing sounds before its time; only what moves
around it is done in frames, which would smear a great fixed gain to both sides of an attack.

Conventions: audio float32 [2, samples], in memory or on disk; sample 0 is where the curves begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from engine.match.curves import TONES, Curves
from engine.match.frames import Floats, Grid, Spectra, filter_frames
from engine.tape import Audio, Sounding, stretch

SPREAD_SECONDS, SPREAD_DELAY_SECONDS = 0.022, 0.001
"""Length of the noise that makes a side out of a middle, and how long after the direct sound it begins."""
PULSES_PER_SECOND = 2200.0
SEED = 7
TAPS_FRAMES, BACK_FRAMES, BLOCK_FRAMES = 4, 5, 11
"""The fixed filters are so many frames long, the all-passed copy's a little longer; they work in blocks."""
BATCH_BLOCKS = 4
"""Blocks that are transformed together; the first one's number is a multiple of it."""
STREAMED = 4
"""So many batches are given at a time: a multiple of the moving frames' batches as well."""
TONE_HZ = 31.5
"""Centre of the first third octave."""
LEAST = 1e-3
"""A factor of the side below this counts as this."""


def apply_curves(audio: Sounding, curves: Curves, start: int = 0, stop: int | None = None, begin: int = 0) -> Audio:
    """Samples [start, stop) of the sound as the bus stage makes it; the whole of it unless told.

    `begin`: the sample of the curves where the audio begins. Only what the range needs is computed: the sound up to
    `reach` samples to either side of it. What is not given counts as silence.
    """
    stop = begin + audio.shape[1] if stop is None else stop
    pieces = list(stream_curves(audio, curves, start, stop, begin))
    return pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros((2, 0), np.float32), *pieces], axis=1)


def stream_curves(audio: Sounding, curves: Curves, start: int, stop: int, begin: int = 0) -> Iterator[Audio]:
    """The same samples in stretches, one after the other."""
    grid = Grid(curves.rate)
    moves = bool(curves.moving.any())
    around = 2 * grid.size if moves else 0
    batch = BATCH_BLOCKS * BLOCK_FRAMES * grid.size

    def gain(frames: NDArray[np.intp]) -> Floats:
        return np.asarray(np.exp(grid.spread(curves.moves(frames)) * np.float32(np.log(10) / 20)))

    low = high = max(0, start - around)
    sided = np.zeros((2, 0), np.float32)
    for first in range(start, stop, STREAMED * batch):
        last = min(first + STREAMED * batch, stop)
        # The fixed filters work in whole batches; none is made twice.
        upto = min(-(-(last + around) // batch) * batch, stop + around)
        if upto > high:
            sided = np.concatenate([sided, shape_sides(audio, curves, high, upto, begin)], axis=1)
            high = upto
        still = sided[:, first - low : last - low]
        out = filter_frames(sided, grid, first, last, gain, low) if moves else still.copy()
        if curves.level.any():
            out *= curves.levels(first, last)
        sided = sided[:, max(0, last - around - low) :]
        low = max(low, last - around)
        yield out


def reach(rate: int) -> int:
    """How much sound to either side of a range makes it the same to the bit, in samples: frames, then whole batches of
    the fixed filters."""
    return (3 + BATCH_BLOCKS * BLOCK_FRAMES + BACK_FRAMES) * Grid(rate).size


def shape_sides(audio: Sounding, curves: Curves, start: int, stop: int, begin: int = 0) -> Audio:
    """Samples [start, stop) through all that is fixed: gains and tone of middle and side, and the middle's all-passed
    copy added to the side. By overlap-save in blocks on a fixed grid; what is silent stays so and costs nothing."""
    out = np.zeros((2, stop - start), np.float32)
    size = Grid(curves.rate).size
    block, back = BLOCK_FRAMES * size, BACK_FRAMES * size
    length, batch = block + back, BATCH_BLOCKS * block
    names = (curves.fixed, curves.side, curves.spread, curves.tone_mid, curves.tone_side)
    middles, sides, spread = _filters(curves.rate, *(row.tobytes() for row in names))
    wide = bool(curves.spread.any())
    for at in range(start // batch * batch, stop, batch):
        source = stretch(audio, at - back - begin, at + batch - begin)
        if not source.any():
            continue
        both = np.stack([source[0] + source[1], source[0] - source[1]]) * np.float32(0.5)
        view = np.lib.stride_tricks.sliding_window_view(both, length, axis=1)[:, ::block]
        middle, side = scipy.fft.rfft(view, axis=2)
        side *= sides
        if wide:
            side += middle * spread
        middle *= middles
        kept, new = scipy.fft.irfft(np.stack([middle, side]), length, axis=2)[:, :, back:].reshape(2, batch)
        low, high = max(at, start), min(at + batch, stop)
        for row, sound in zip(out, (kept + new, kept - new), strict=True):
            row[low - start : high - start] = sound[low - at : high - at]
    return out


@lru_cache(maxsize=4)
def _filters(rate: int, *raws: bytes) -> tuple[Spectra, ...]:
    """Spectra of the middle's, the side's and the all-passed copy's filter, for blocks with what they hear before."""
    fixed, side, spread, tone_mid, tone_side = (np.frombuffer(raw, np.float32) for raw in raws)
    length = (BLOCK_FRAMES + BACK_FRAMES) * Grid(rate).size
    factors = [20 * np.log10(np.maximum(row, LEAST)) for row in (side, spread)]
    shapes = ((fixed, tone_mid), (fixed + factors[0], tone_side), (fixed + factors[1], tone_side))
    middles, sides, copies = (scipy.fft.rfft(gains2filter(bands, tone, rate), length) for bands, tone in shapes)
    return tuple(one.astype(np.complex64) for one in (middles, sides, copies * scipy.fft.rfft(velvet(rate), length)))


def gains2filter(bands: Floats, tone: Floats, rate: int) -> Floats:
    """float32 [TAPS_FRAMES frames] the filter of minimum phase with these gains in dB, [BANDS] on the mel scale and
    [TONES] in third octaves together, by its cepstrum."""
    size = TAPS_FRAMES * Grid(rate).size
    length = 4 * size
    hertz = np.arange(length // 2 + 1) * rate / length
    place = 3 * np.log2(np.maximum(hertz, 1.0) / TONE_HZ)
    level = (np.interp(place, np.arange(TONES), tone) + Grid(rate).between(bands, hertz)) * np.log(10) / 20
    cepstrum = scipy.fft.irfft(level, length)
    cepstrum[1 : length // 2] *= 2
    cepstrum[length // 2 + 1 :] = 0
    taps = scipy.fft.irfft(np.exp(scipy.fft.rfft(cepstrum)), length)[:size]
    fade = np.minimum(1.0, 2 - 2 * np.arange(size) / size)
    return np.asarray(taps * fade, dtype=np.float32)


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
