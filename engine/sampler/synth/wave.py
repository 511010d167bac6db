"""Band-limited periodic waves that change over time: spectra at moments, and the sound between them.

A wave is held as the spectrum of one period, with no harmonic above `LIMIT` of the sampling rate, so it cannot alias
however it is filtered or bent: filter, drive and frequency modulation act on the period, whose spectrum is cut
afterwards. Between two moments the sound is cross-faded; a period is read by linear interpolation from a table
`OVERSAMPLING` times as fine as its highest harmonic, or of `MAX_TABLE` points.
"""

from __future__ import annotations

import itertools

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from engine.sampler.synth.patch import Layer

Floats = NDArray[np.float64]
Spectra = NDArray[np.complex128]

LIMIT = 0.45
OVERSAMPLING = 128
MAX_TABLE = 16384
MIN_TABLE = 2048
PROBED = np.array([0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4])
UNHEARD = 10 ** (-80 / 20)
BEND = 4
"""Periods are bent (drive, FM) on a grid so many times as fine as their highest harmonic, before it is cut."""


def harmonics(hertz: float, rate: int) -> int:
    """How many harmonics of a tone stay below the limit; 0 where not even the first does."""
    return int(LIMIT * rate / hertz)


def needed(layer: Layer, hertz: float, room: int, velocity: int) -> int:
    """How many of `room` harmonics are ever heard (-80 dB of the strongest): the fewer, the faster."""
    if layer.wave == "sine" and not layer.drive:
        return 1
    levels = np.abs(layer2spectra(layer, hertz, room, PROBED, velocity))
    heard = np.flatnonzero((levels > UNHEARD * levels.max(axis=1, keepdims=True)).any(axis=0))
    return max(int(heard[-1]), 1) if len(heard) else 1


def layer2spectra(layer: Layer, hertz: float, count: int, times: Floats, velocity: int) -> Spectra:
    """complex [F, count + 1]: the layer's period at each of `times` (seconds from the note-on)."""
    base = _plain(layer, count, times)
    number = np.arange(count + 1)
    if layer.damp:
        base = base * np.exp(-layer.damp * times[:, None] * np.maximum(number - 1, 0)[None])
    if layer.cutoff:
        corner = cutoffs(layer, hertz, times, velocity)
        base = base * ladder(np.asarray(number[None] * hertz), corner[:, None], layer.resonance)
    if layer.drive:
        base = _bend(base, layer.drive, count)
    base[:, 0] = 0.0
    return base


def cutoffs(layer: Layer, hertz: float, times: Floats, velocity: int) -> Floats:
    """The filter's cutoff in Hz at each moment."""
    rise = 1.0 - np.exp2(-times / layer.sweep_attack * 3.0) if layer.sweep_attack else 1.0
    octaves = layer.sweep * rise * np.exp2(-times / layer.sweep_half)
    octaves = octaves + layer.track * np.log2(hertz / 261.63) + layer.touch * (velocity - 90) / 127
    return np.asarray(np.minimum(layer.cutoff * np.exp2(octaves), 40000.0))


def ladder(hertz: Floats, cutoff: Floats, resonance: float) -> Floats:
    """Gain of a four-pole ladder low-pass with feedback 4 * resonance, level kept at low frequencies.

    Without its phase: a phase that turns while the filter moves would bend the pitch.
    """
    pole = 1.0 / (1.0 + 1j * hertz / cutoff)
    open_loop = pole**4
    feedback = 4.0 * resonance
    return np.asarray(np.abs(open_loop * (1.0 + feedback) / (1.0 + feedback * open_loop)), np.float64)


def spectra2tables(spectra: Spectra) -> NDArray[np.float32]:
    """[F, size + 1]: one period of each spectrum, and its first point again; [1, size + 1] where none differs."""
    size = MIN_TABLE
    while size < OVERSAMPLING * (spectra.shape[1] - 1) and size < MAX_TABLE:
        size *= 2
    if (spectra == spectra[:1]).all():
        spectra = spectra[:1]
    # In single precision: its noise lies 140 dB down, and tables are most of a voice's work.
    tables = scipy.fft.irfft(spectra.astype(np.complex64), n=size, axis=1) * np.float32(size / 2)
    return np.concatenate([tables, tables[:, :1]], axis=1)


def read(tables: NDArray[np.float32], moments: NDArray[np.int64], phase: Floats) -> NDArray[np.float32]:
    """float32 [n]: the wave of `spectra2tables` at `phase` (cycles) [n], cross-faded between `moments` (ascending
    samples, 0 to past n)."""
    flat, width = tables.reshape(-1), tables.shape[1]
    size = width - 1
    place = (phase - np.floor(phase)) * size
    index = place.astype(np.int64)
    between = (place - index).astype(np.float32)
    np.minimum(index, size - 1, out=index)
    if len(tables) == 1:
        return np.asarray(flat[index] + (flat[index + 1] - flat[index]) * between)
    out = np.empty(len(phase), np.float32)
    for k, (start, end) in enumerate(itertools.pairwise(moments)):
        stop = min(int(end), len(phase))
        part, share = index[start:stop], between[start:stop]
        low = part + k * width
        value = flat[low] + (flat[low + 1] - flat[low]) * share
        low += width
        other = flat[low] + (flat[low + 1] - flat[low]) * share
        ramp = np.arange(stop - start, dtype=np.float32) / np.float32(end - start)
        out[start:stop] = value + (other - value) * ramp
    return out


def _plain(layer: Layer, count: int, times: Floats) -> Spectra:
    """complex [F, count + 1]: the wave before filter and drive. A sine of amplitude 1 has the value -1j."""
    n = np.arange(1, count + 1, dtype=np.float64)
    if layer.wave == "fm":
        return _fm(layer, count, times)
    row = np.zeros(count + 1, np.complex128)
    if layer.wave == "saw":
        row[1:] = -1j * 2 / np.pi / n
    elif layer.wave == "square":
        row[1::2] = -1j * 4 / np.pi / n[::2]
    elif layer.wave == "pulse":
        # Two saws, one of them `width` of a period later and turned over.
        row[1:] = -1j * 2 / np.pi / n * (1.0 - np.exp(-2j * np.pi * n * layer.width))
    elif layer.wave == "triangle":
        row[1::2] = -1j * 8 / np.pi**2 / n[::2] ** 2 * np.where(np.arange(len(n[::2])) % 2, -1, 1)
    elif layer.wave == "sine":
        row[1] = -1j
    else:
        bars = np.asarray(layer.bars[:count])
        row[1 : len(bars) + 1] = -1j * bars
    return np.repeat(row[None], len(times), axis=0)


def _fm(layer: Layer, count: int, times: Floats) -> Spectra:
    """Two-operator frequency modulation, one period at a time; the index falls as the layer says."""
    size = _grid(count)
    turn = 2 * np.pi * np.arange(size) / size
    floor = layer.index * layer.index_floor
    index = floor + (layer.index - floor) * np.exp2(-times / layer.index_half)
    period = np.sin(layer.carrier * turn[None] + index[:, None] * np.sin(layer.modulator * turn)[None])
    return _cut(period, count)


def _bend(spectra: Spectra, drive: float, count: int) -> Spectra:
    """The period through tanh(drive x) / tanh(drive), cut to its harmonics again."""
    size = _grid(count)
    period = np.fft.irfft(spectra, n=size, axis=1) * size / 2
    return _cut(np.tanh(drive * period) / np.tanh(drive), count)


def _grid(count: int) -> int:
    size = 256
    while size < 2 * BEND * count:
        size *= 2
    return size


def _cut(period: Floats, count: int) -> Spectra:
    spectra = np.fft.rfft(period, axis=1) * 2 / period.shape[1]
    return np.asarray(spectra[:, : count + 1])
