"""Drum kits from one-shots and machine drums: what a kit file says, and how a hit sounds.

A kit is a TOML file beside this module (`kits/*.toml`; every key is explained in `kits/acoustic.toml`) over the
samples in `sounds/oneshots` and the drums of the synthesiser. Each begins at its onset, to the sample. A hit is
a pure function of (kit, pitch, velocity, place in the bar): layers by velocity, level by velocity, a low-pass for soft
hits where no soft sample exists, and variants of pitch and level in place of round-robin recordings, as the kit file
declares.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import soundfile
import soxr
from numpy.typing import NDArray

from engine.sampler.note_measures import sound2rise
from engine.sampler.player import without_beginning
from engine.sampler.synth.drums import Drum, strike

Audio = NDArray[np.float32]

KITS = Path(__file__).parent / "kits"
ONESHOTS = Path(__file__).parent / "sounds" / "oneshots"
GM_DRUMS = range(35, 82)
VELOCITY_BAND = 8
"""Velocities share a low-pass in steps of this size; their level is exact."""
VARIANTS = ((0.0, 0.0), (-1.0, 0.6), (0.7, -1.0), (1.0, 0.3))
"""Derived round robin: pitch and level of the variants, times the piece's `vary_cents` and `vary_db`."""
SEED = 40961
MOST_AHEAD_SECONDS, AHEAD_DB = 0.016, 15.0
"""What a recording holds ahead of its onset is left out where it is so short and so much softer."""


@dataclass(frozen=True)
class Layer:
    """A sample, or a drum of the synthesiser, played up to and with velocity `upto`."""

    sample: str | Drum
    upto: int


@dataclass(frozen=True)
class Piece:
    """One instrument of a kit. Gains in dB, pan -1..1, `tune` in semitones, `soft_hz` the low-pass of the softest hit
    (0: none). `skip_ms`: so much of its recordings lies ahead of the stroke and is left out."""

    name: str
    pitches: tuple[int, ...]
    layers: tuple[Layer, ...]
    gain_db: float
    pan: float
    tune: float
    choke: str
    chokes_itself: bool
    soft_hz: float
    velocity_db: float
    vary_cents: float
    vary_db: float
    room: float
    skip_ms: float


@dataclass(frozen=True)
class Kit:
    """A kit: `pieces` by General MIDI pitch, those of `near` included (played by a neighbour, as the file declares)."""

    name: str
    title: str
    licence: str
    credit: str
    pieces: dict[int, Piece]
    near: dict[int, str]


@lru_cache(maxsize=8)
def kit(name: str) -> Kit:
    """The kit of `kits/<name>.toml`. Raises FileNotFoundError, or ValueError for a kit that leaves a GM pitch without
    a piece."""
    raw = kit_table(name)
    pieces = {key: _piece(key, row) for key, row in raw["piece"].items()}
    by_pitch = {pitch: piece for piece in pieces.values() for pitch in piece.pitches}
    near = {int(pitch): str(target) for pitch, target in raw["near"].items()}
    by_pitch.update({pitch: pieces[target] for pitch, target in near.items()})
    missing = [pitch for pitch in GM_DRUMS if pitch not in by_pitch]
    if missing:
        raise ValueError(f"kit {name}: no piece for the pitches {missing}")
    return Kit(name, raw["title"], raw["licence"], raw["credit"], by_pitch, near)


def kit_table(name: str) -> dict[str, Any]:
    """The kit's file, with what it takes over from the kit that it is `like`: the pieces whose pitches it does not play
    itself."""
    raw = tomllib.loads((KITS / f"{name}.toml").read_text(encoding="utf-8"))
    if "like" not in raw:
        return raw
    base = kit_table(raw["like"])
    mine = {pitch for row in raw["piece"].values() for pitch in row["pitches"]}
    rest = {}
    for key, row in base["piece"].items():
        left = [pitch for pitch in row["pitches"] if pitch not in mine]
        if left:
            rest[f"{raw['like']} {key}"] = {**row, "pitches": left}
    owner = {pitch: key for key, row in {**rest, **raw["piece"]}.items() for pitch in row["pitches"]}
    # A pitch that the other kit played by a neighbour is played by whatever plays that neighbour's pitch here.
    near = {
        pitch: owner[base["piece"][target]["pitches"][0]]
        for pitch, target in base["near"].items()
        if int(pitch) not in mine
    }
    return {**raw, "piece": {**rest, **raw["piece"]}, "near": near}


def kit_names() -> tuple[str, ...]:
    """Names of the kits, sorted."""
    return tuple(sorted(p.stem for p in KITS.glob("*.toml")))


def variant_of(pitch: int, beat: float) -> int:
    """Which variant a hit takes: by its place in time alone, so that an edit elsewhere never changes it."""
    place = (round(beat * 48) * 0x9E3779B1 + pitch * 0x85EBCA6B + SEED) & 0xFFFFFFFF
    place ^= place >> 15
    return (place * 0x2C1B3C6D >> 12) % len(VARIANTS)


def hit(piece: Piece, velocity: int, variant: int, rate: int) -> Audio:
    """float32 [2, n]: one hit, panned and at its level, its onset at index 0."""
    layer = next(layer for layer in piece.layers if velocity <= layer.upto)
    band = 127 if piece.soft_hz <= 0 else min(127, (velocity // VELOCITY_BAND) * VELOCITY_BAND + VELOCITY_BAND // 2)
    cents = 100 * piece.tune + VARIANTS[variant][0] * piece.vary_cents
    audio = _sample(layer.sample, cents, piece.soft_hz, band, rate, piece.skip_ms)
    level = piece.gain_db + VARIANTS[variant][1] * piece.vary_db + piece.velocity_db * float(np.log10(velocity / 127))
    angle = (piece.pan + 1) * np.pi / 4
    sides = np.array([np.cos(angle), np.sin(angle)]) * np.sqrt(2) * 10 ** (level / 20)
    return np.asarray(audio * sides[:, None].astype(np.float32), dtype=np.float32)


@lru_cache(maxsize=512)
def _sample(source: str | Drum, cents: float, soft_hz: float, band: int, rate: int, skip_ms: float) -> Audio:
    """A one-shot at `rate`, tuned, and dulled for soft velocities; float32 [2, n], shared: never written to."""
    stereo = _struck(source, cents, rate) if isinstance(source, Drum) else _recorded(source, cents, rate, skip_ms)
    if band < 127:
        cutoff = soft_hz * (0.42 * rate / soft_hz) ** (band / 127)
        stereo = scipy.signal.sosfilt(scipy.signal.butter(1, cutoff, fs=rate, output="sos"), stereo)
    result = np.ascontiguousarray(stereo, dtype=np.float32)
    result.flags.writeable = False
    return result


@lru_cache(maxsize=96)
def _struck(drum: Drum, cents: float, rate: int) -> Audio:
    """A drum of the synthesiser, worked out once for all velocities."""
    return strike(drum, cents, rate)


def _recorded(name: str, cents: float, rate: int, skip_ms: float) -> Audio:
    audio, own = soundfile.read(ONESHOTS / f"{name}.flac", dtype="float32", always_2d=True)
    source = own * 2 ** (cents / 1200)
    moved = soxr.resample(audio, source, rate, quality="HQ") if source != rate else audio
    stereo = np.asarray(np.repeat(moved, 2, axis=1).T[:2] if moved.shape[1] == 1 else moved.T, np.float32)
    stereo = without_beginning(stereo, round(skip_ms / 1000 * rate))
    first, rise_db = sound2rise(stereo, rate)
    ahead = rise_db >= AHEAD_DB and first <= MOST_AHEAD_SECONDS * rate
    return without_beginning(stereo, first if ahead else 0)


def _piece(name: str, row: dict[str, Any]) -> Piece:
    return Piece(
        name=name,
        pitches=tuple(row["pitches"]),
        layers=_layers(row),
        gain_db=float(row.get("gain_db", 0.0)),
        pan=float(row.get("pan", 0.0)),
        tune=float(row.get("tune", 0.0)),
        choke=str(row.get("choke", "")),
        chokes_itself=bool(row.get("chokes_itself", True)),
        soft_hz=float(row.get("soft_hz", 0.0)),
        velocity_db=float(row.get("velocity_db", 32.0)),
        vary_cents=float(row.get("vary_cents", 0.0)),
        vary_db=float(row.get("vary_db", 0.0)),
        room=float(row.get("room", 1.0)),
        skip_ms=float(row.get("skip_ms", 0.0)),
    )


def _layers(row: dict[str, Any]) -> tuple[Layer, ...]:
    if "drum" in row:
        return (Layer(Drum(**row["drum"]), 127),)
    return tuple(Layer(sample, upto) for sample, upto in row["layers"])
