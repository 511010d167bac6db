"""What a synthesiser patch is, and the patches of `patches.toml`.

Units: seconds, Hz, cents, semitones, octaves, dB. A patch is one or more layers; every layer is a periodic wave, played
by one or several detuned voices through a low-pass, under an amplitude envelope.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

PATCHES = Path(__file__).parent / "patches.toml"
WAVES = ("saw", "square", "pulse", "triangle", "sine", "drawbars", "fm")


@dataclass(frozen=True)
class Layer:
    """One layer of a patch.

    Wave: `wave` is one of `WAVES`; `width` the pulse's (0..1); `bars` the harmonics' levels of "drawbars"; "fm" is
    sin(c + index sin(m)) with integer `carrier` and `modulator`, whose `index` falls by half every `index_half` seconds
    to `index_floor` times itself. `ratio` multiplies the pitch (a tine rings at no integer). `drive` > 0 bends the wave
    by tanh. `damp`: how much faster each higher harmonic dies (1/s per harmonic number; strings and tines).

    Voices: `unison` of them, `detune` cents from the lowest to the highest, spread over `spread` (0..1) of the stereo
    field; `ensemble` cents of slow, differing vibrato.

    Filter: `cutoff` Hz at MIDI pitch 60 (0: none), following the key by `track` (0..1), raised by `sweep` octaves that
    fall by half every `sweep_half` seconds, after `sweep_attack`, and by `touch` octaves from the softest to the
    hardest velocity; `resonance` 0..0.95 of a four-pole ladder.

    Envelope: `attack`, `half` (the level falls by half in so many seconds towards `sustain`; 0: none), `release`
    (to -60 dB). `vibrato` cents at `vibrato_hz` after `vibrato_delay`. `drop`: the pitch starts so many semitones
    higher and falls by half every `drop_half`. `tremolo` dB at `tremolo_hz`, left against right. `noise`: white noise
    beside the wave, in dB of it (0: none), through the same filter. `touch_db`: the layer's own velocity response.
    """

    wave: str = "saw"
    gain_db: float = 0.0
    semitones: float = 0.0
    ratio: float = 1.0
    width: float = 0.5
    bars: tuple[float, ...] = ()
    carrier: int = 1
    modulator: int = 1
    index: float = 0.0
    index_half: float = 0.3
    index_floor: float = 0.0
    drive: float = 0.0
    damp: float = 0.0
    unison: int = 1
    detune: float = 0.0
    spread: float = 0.0
    ensemble: float = 0.0
    cutoff: float = 0.0
    track: float = 0.5
    sweep: float = 0.0
    sweep_half: float = 0.2
    sweep_attack: float = 0.0
    touch: float = 1.0
    resonance: float = 0.0
    attack: float = 0.002
    half: float = 0.0
    sustain: float = 1.0
    release: float = 0.12
    vibrato: float = 0.0
    vibrato_hz: float = 5.2
    vibrato_delay: float = 0.35
    drop: float = 0.0
    drop_half: float = 0.02
    tremolo: float = 0.0
    tremolo_hz: float = 5.0
    noise: float = 0.0
    touch_db: float = 0.0


@dataclass(frozen=True)
class Patch:
    """A synthesiser sound. `velocity_db`: level = velocity_db * log10(velocity / 127)."""

    name: str
    layers: tuple[Layer, ...]
    velocity_db: float


@lru_cache(maxsize=1)
def _patches() -> dict[str, Patch]:
    raw = tomllib.loads(PATCHES.read_text(encoding="utf-8"))
    return {name: _patch(name, row) for name, row in raw.items()}


def patch(name: str) -> Patch:
    """The patch of `patches.toml`. Raises KeyError."""
    return _patches()[name]


def patch_names() -> tuple[str, ...]:
    """Names of the patches, in the order of the file."""
    return tuple(_patches())


def _patch(name: str, row: dict[str, Any]) -> Patch:
    known = {f.name for f in fields(Layer)}
    layers: list[Layer] = []
    for layer in row["layers"]:
        unknown = set(layer) - known
        if unknown or layer.get("wave", "saw") not in WAVES:
            raise ValueError(f"patches.toml: {name} has a layer with {sorted(unknown) or layer['wave']}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in layer.items()}
        layers.append(Layer(**values))
    return Patch(name, tuple(layers), float(row.get("velocity_db", 26.0)))
