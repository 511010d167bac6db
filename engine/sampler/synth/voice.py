"""Notes of a patch as sound: each a pure function of (patch, pitch, velocity, length, rate).

A note begins at index 0 with level 0, every gain in it moves without a step, and its release ends in silence, so there
is nothing to click. Random phases and noise come from the patch's name and the pitch alone. What sounds before the
release does not depend on the note's length, so it is kept and shared by notes of one pitch and nearly one velocity:
velocities share a colour in steps of `VELOCITY_STEP`; their level is exact.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from engine.sampler.synth.patch import Layer, Patch
from engine.sampler.synth.wave import cutoffs, harmonics, layer2spectra, needed, read, spectra2tables

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]

VELOCITY_STEP = 8
MOMENTS = ((0.04, 0.0025), (0.4, 0.01), (np.inf, 0.04))
"""(until second, step): how closely a sounding note's spectrum is followed."""
LEVEL = 0.25
RELEASE_DB = 60.0
DEAD_DB = 90.0
END_FADE = 0.01
LENGTHS = tuple(0.5 * step * 2**octave for octave in range(10) for step in (1.0, 1.5))
"""Seconds that are worked out at once."""
KEPT = 48
ENSEMBLE_HZ = (0.61, 0.83, 0.47, 1.13, 0.71, 0.97, 0.53)
CHIRP = 48
"""Samples over which a note without an attack of its own is faded in."""


@dataclass
class SynthPlayer:
    """Plays a patch at `rate` Hz. Not to be shared between threads."""

    patch: Patch
    rate: int
    _kept: OrderedDict[tuple[int, int, int], Audio] = field(default_factory=OrderedDict)

    def note(self, pitch: int, velocity: int, hold: int) -> Audio:
        """float32 [2, n]: the note held for `hold` samples, then its release."""
        step = min(127, velocity // VELOCITY_STEP * VELOCITY_STEP + VELOCITY_STEP // 2)
        parts = []
        for k, layer in enumerate(self.patch.layers):
            n = _length(layer, hold, self.rate)
            parts.append(self._body(k, pitch, step, n)[:, :n] * _release(layer, hold, n, self.rate))
        out = np.zeros((2, max(part.shape[1] for part in parts)), np.float32)
        for part in parts:
            out[:, : part.shape[1]] += part
        out *= np.float32(LEVEL * 10 ** (self.patch.velocity_db * np.log10(velocity / 127) / 20))
        return out

    def _body(self, index: int, pitch: int, step: int, n: int) -> Audio:
        """float32 [2, at least n]: a layer as it sounds while the key is down."""
        key = (index, pitch, step)
        if key not in self._kept or self._kept[key].shape[1] < n:
            length = next(int(s * self.rate) for s in LENGTHS if int(s * self.rate) >= n)
            seed = zlib.crc32(f"{self.patch.name} {pitch} {index}".encode())
            self._kept[key] = layer_body(self.patch.layers[index], pitch, step, length, self.rate, seed)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]


def layer_body(layer: Layer, pitch: int, velocity: int, n: int, rate: int, seed: int) -> Audio:
    """float32 [2, n]: a layer while its key is held. A longer body begins with the shorter one's samples."""
    hertz = 440.0 * 2 ** ((pitch + layer.semitones - 69) / 12) * layer.ratio
    # The highest the pitch goes decides how many harmonics there is room for.
    highest = hertz * 2 ** (abs(layer.detune) / 2400 + layer.drop / 12 + (layer.ensemble + layer.vibrato) / 1200)
    if harmonics(highest, rate) < 1:
        return np.zeros((2, n), np.float32)
    time = np.arange(n) / rate
    moments = _moments(n, rate)
    count = needed(layer, hertz, harmonics(highest, rate), velocity)
    tables = spectra2tables(layer2spectra(layer, hertz, count, moments / rate, velocity))
    rng = np.random.default_rng(seed)
    # A single voice starts so that its edge comes when the attack is up, or a low note would speak a period late;
    # several start anywhere, or they would beat in step on every note.
    edge = min(max(layer.attack, CHIRP / rate) * hertz, 0.5)
    starts = rng.random(layer.unison) if layer.unison > 1 else np.full(1, -edge)
    out = np.zeros((2, n), np.float32)
    wander = _wander(layer, time)
    for k in range(layer.unison):
        place = 2 * k / (layer.unison - 1) - 1 if layer.unison > 1 else 0.0
        cents = place * layer.detune / 2 + wander
        if layer.ensemble:
            slow = ENSEMBLE_HZ[k % len(ENSEMBLE_HZ)]
            cents = cents + layer.ensemble * np.sin(2 * np.pi * (slow * time + starts[k]))
        sound = read(tables, moments, starts[k] + _phase(hertz, cents, n, rate))
        angle = (place * (-1) ** k * layer.spread + 1) * np.pi / 4
        out[0] += sound * np.float32(np.cos(angle))
        out[1] += sound * np.float32(np.sin(angle))
    out /= np.float32(np.sqrt(layer.unison))
    if layer.noise:
        out += _noise(layer, hertz, velocity, n, rate, rng) * np.float32(10 ** (layer.noise / 20))
    gain = 10 ** ((layer.gain_db + layer.touch_db * np.log10(velocity / 127)) / 20)
    out *= (_held_level(layer, time, rate) * gain).astype(np.float32)
    if layer.tremolo:
        swing = layer.tremolo / 2 * np.sin(2 * np.pi * layer.tremolo_hz * time)
        out *= (10 ** (np.stack([swing, -swing]) / 20)).astype(np.float32)
    return out


def _held_level(layer: Layer, time: Floats, rate: int) -> Floats:
    """float [n], 0..1: attack (a raised cosine) and the fall towards the sustain."""
    level = np.ones(len(time))
    if layer.half:
        level = layer.sustain + (1 - layer.sustain) * np.exp2(-time / layer.half)
    rise = max(int(layer.attack * rate), CHIRP)
    level[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(min(rise, len(time))) / rise)
    return np.asarray(level, np.float64)


def _length(layer: Layer, hold: int, rate: int) -> int:
    """Samples that a note of the layer sounds; a struck voice may die before its key is let go."""
    n = hold + max(int(layer.release * rate), 1)
    if layer.half and not layer.sustain:
        n = min(n, int((layer.half * np.log2(10 ** (DEAD_DB / 20)) + layer.attack + END_FADE) * rate))
    return n


def _release(layer: Layer, hold: int, n: int, rate: int) -> NDArray[np.float32]:
    """float32 [n]: 1 while the key is held, then down to -60 dB and to nothing."""
    curve = np.ones(n, np.float32)
    if hold < n:
        release = max(int(layer.release * rate), 1)
        curve[hold:] = 10 ** (-RELEASE_DB / 20 * np.arange(1, n - hold + 1) / release)
    fade = min(int(END_FADE * rate), n)
    curve[n - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return curve


def _moments(n: int, rate: int) -> NDArray[np.int64]:
    """Ascending samples at which the spectrum is worked out, from 0 to the first at or after sample n."""
    at, seconds = [0], 0.0
    while at[-1] < n:
        seconds += next(step for until, step in MOMENTS if seconds < until)
        at.append(round(seconds * rate))
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


def _noise(layer: Layer, hertz: float, velocity: int, n: int, rate: int, rng: np.random.Generator) -> Audio:
    """White noise, dulled as the filter stands early in the note."""
    noise = rng.standard_normal((n, 2))
    if layer.cutoff:
        corner = float(cutoffs(layer, hertz, np.array([0.05]), velocity)[0])
        sections = scipy.signal.butter(2, min(corner, 0.45 * rate), fs=rate, output="sos")
        noise = scipy.signal.sosfilt(sections, noise, axis=0)
    return np.asarray(noise.T, np.float32)
