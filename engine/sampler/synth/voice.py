"""One note of a patch as sound: a pure function of (patch, pitch, velocity, length, rate).

The note begins at index 0 with level 0, every gain in it moves without a step, and its release ends in silence, so
there is nothing to click. Random phases and noise come from the patch's name and the pitch alone.
"""

from __future__ import annotations

import zlib

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from engine.sampler.synth.patch import Layer, Patch
from engine.sampler.synth.wave import cutoffs, harmonics, layer2spectra, read

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]

MOMENTS = ((0.04, 0.0025), (0.4, 0.01), (np.inf, 0.04))
"""(until second, step): how closely a sounding note's spectrum is followed."""
LEVEL = 0.25
RELEASE_DB = 60.0
END_FADE = 0.01
ENSEMBLE_HZ = (0.61, 0.83, 0.47, 1.13, 0.71, 0.97, 0.53)
CHIRP = 48
"""Samples over which a note without an attack of its own is faded in."""


def play_note(patch: Patch, pitch: int, velocity: int, hold: int, rate: int) -> Audio:
    """float32 [2, n]: the note held for `hold` samples, then its release."""
    seed = zlib.crc32(f"{patch.name} {pitch}".encode())
    layers = [_layer(layer, pitch, velocity, hold, rate, seed + k) for k, layer in enumerate(patch.layers)]
    out = np.zeros((2, max(part.shape[1] for part in layers)), np.float32)
    for part in layers:
        out[:, : part.shape[1]] += part
    level = LEVEL * 10 ** (patch.velocity_db * np.log10(velocity / 127) / 20)
    return np.asarray(out * np.float32(level), np.float32)


def _layer(layer: Layer, pitch: int, velocity: int, hold: int, rate: int, seed: int) -> Audio:
    envelope = level_of(layer, hold, rate)
    n = len(envelope)
    hertz = 440.0 * 2 ** ((pitch + layer.semitones - 69) / 12) * layer.ratio
    if harmonics(hertz * 2 ** (abs(layer.detune) / 2400 + layer.drop / 12), rate) < 1:
        return np.zeros((2, n), np.float32)
    time = np.arange(n) / rate
    moments = _moments(n, rate)
    # The highest the pitch goes decides how many harmonics there is room for.
    spectra = layer2spectra(layer, hertz * 2 ** (layer.drop / 12), rate, moments / rate, velocity)
    rng = np.random.default_rng(seed)
    out = np.zeros((2, n), np.float32)
    # A single voice starts at its own zero; several start anywhere, or they would beat in step on every note.
    starts = rng.random(layer.unison) if layer.unison > 1 else np.zeros(1)
    wander = _wander(layer, time)
    for k in range(layer.unison):
        place = 2 * k / (layer.unison - 1) - 1 if layer.unison > 1 else 0.0
        cents = place * layer.detune / 2 + wander
        if layer.ensemble:
            slow = ENSEMBLE_HZ[k % len(ENSEMBLE_HZ)]
            cents = cents + layer.ensemble * np.sin(2 * np.pi * (slow * time + starts[k]))
        sound = read(spectra, moments, starts[k] + _phase(hertz, cents, n, rate))
        angle = (place * (-1) ** k * layer.spread + 1) * np.pi / 4
        out[0] += sound * np.float32(np.cos(angle))
        out[1] += sound * np.float32(np.sin(angle))
    out /= np.float32(np.sqrt(layer.unison))
    if layer.noise:
        out += _noise(layer, hertz, velocity, moments, n, rate, rng) * np.float32(10 ** (layer.noise / 20))
    gain = 10 ** ((layer.gain_db + layer.touch_db * np.log10(velocity / 127)) / 20)
    out *= (envelope * gain).astype(np.float32)
    if layer.tremolo:
        swing = layer.tremolo / 2 * np.sin(2 * np.pi * layer.tremolo_hz * time)
        out *= (10 ** (np.stack([swing, -swing]) / 20)).astype(np.float32)
    return out


def level_of(layer: Layer, hold: int, rate: int) -> Floats:
    """float [n], 0..1: attack (a raised cosine), fall towards the sustain, and release to silence."""
    release = max(int(layer.release * rate), 1)
    n = hold + release
    time = np.arange(n) / rate
    level = np.ones(n)
    if layer.half:
        level = layer.sustain + (1 - layer.sustain) * np.exp2(-time / layer.half)
    rise = max(int(layer.attack * rate), CHIRP)
    level[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(min(rise, n)) / rise)
    if hold < n:
        level[hold:] = float(level[max(hold - 1, 0)]) * 10 ** (-RELEASE_DB / 20 * np.arange(1, n - hold + 1) / release)
    fade = min(max(int(END_FADE * rate), 1), n)
    level[n - fade :] *= np.linspace(1, 0, fade)
    # A struck voice that has died before it is let go ends there.
    alive = np.flatnonzero(level > 10 ** (-90 / 20))
    return np.asarray(level[: min(int(alive[-1]) + 1, n)] if len(alive) else level[:1], np.float64)


def _moments(n: int, rate: int) -> NDArray[np.int64]:
    """Ascending samples at which the spectrum is worked out, from 0 to the last sample."""
    at, seconds = [0], 0.0
    while at[-1] < n - 1:
        step = next(step for until, step in MOMENTS if seconds < until)
        seconds += step
        at.append(min(round(seconds * rate), n - 1))
    return np.array(at, dtype=np.int64)


def _wander(layer: Layer, time: Floats) -> Floats | float:
    """Cents that all voices share: vibrato that comes in slowly, and a drop from above."""
    cents: Floats | float = 0.0
    if layer.vibrato:
        depth = np.clip((time - layer.vibrato_delay) / 0.25, 0.0, 1.0)
        cents = cents + layer.vibrato * depth * np.sin(2 * np.pi * layer.vibrato_hz * (time - layer.vibrato_delay))
    if layer.drop:
        cents = cents + 100 * layer.drop * np.exp2(-time / layer.drop_half)
    return cents


def _phase(hertz: float, cents: Floats | float, n: int, rate: int) -> Floats:
    """Cycles since the note began."""
    if isinstance(cents, float):
        return np.asarray(np.arange(n) * (hertz * 2 ** (cents / 1200) / rate), np.float64)
    steps = hertz * np.exp2(cents / 1200) / rate
    return np.concatenate([[0.0], np.cumsum(steps[:-1])])


def _noise(
    layer: Layer, hertz: float, velocity: int, moments: NDArray[np.int64], n: int, rate: int, rng: np.random.Generator
) -> Audio:
    """White noise, dulled as the filter stands in the middle of the note's first tenth of a second."""
    noise = rng.standard_normal((2, n))
    if layer.cutoff:
        corner = float(cutoffs(layer, hertz, np.array([0.05]), velocity)[0])
        sections = scipy.signal.butter(2, min(corner, 0.45 * rate), fs=rate, output="sos")
        noise = scipy.signal.sosfilt(sections, noise, axis=1)
    return np.asarray(noise, np.float32)
