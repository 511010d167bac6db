"""A SoundFont written from recordings: one preset of regions, each a recording under a range of keys and velocities.

What an SFZ file or a folder of recorded notes says becomes a SoundFont 2 here, so that everything plays by one player.
Stereo recordings become two regions, left and right. Samples are kept as 16-bit mono.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.sampler.guard import GUARD
from engine.sampler.soundfont import (
    GEN_INSTRUMENT,
    GEN_SAMPLE,
    TABLES,
    Table,
    font_bytes,
)

LOW_FIRST, PAN, MODES, ROOT = 43, 17, 54, 58
VELOCITY_FIRST = 44
MIN_LOOP = 8
MONO, RIGHT, LEFT = 1, 2, 4

Mod = tuple[int, int, int, int, int]
"""(source, destination generator, amount, amount source, transform)."""


@dataclass(frozen=True)
class Recording:
    """`audio`: float32 [samples, 1 or 2], -1..1. `root`: the MIDI pitch it sounds at, `cents` to tune it by; `loop`:
    (first, one past the last) sample, None: it plays to its end."""

    name: str
    audio: NDArray[np.float32]
    rate: int
    root: int
    cents: float = 0.0
    loop: tuple[int, int] | None = None


@dataclass(frozen=True)
class Region:
    """Where a recording sounds: MIDI keys and velocities, both ends included. `gens`: SoundFont generators in their own
    units; `pan` -1..1 (of a stereo recording: its balance)."""

    recording: int
    keys: tuple[int, int] = (0, 127)
    velocities: tuple[int, int] = (0, 127)
    pan: float = 0.0
    gens: dict[int, int] = field(default_factory=dict)
    mods: tuple[Mod, ...] = ()


def make_font(
    name: str, recordings: Sequence[Recording], regions: Sequence[Region], *, bank: int = 0, program: int = 0
) -> bytes:
    """The bytes of a SoundFont 2 with one preset. Raises ValueError for none or for a region without its recording."""
    if not recordings or not regions:
        raise ValueError("a font needs recordings and regions")
    headers, chunk, sides = _samples(recordings)
    bags, gens, mods = [], [], []
    gen_at = mod_at = 0
    for region in regions:
        recording = recordings[region.recording]
        for sample, side in sides[region.recording]:
            bags.append((gen_at, mod_at))
            rows = _zone(region, recording, sample, side)
            gens += rows
            mods += list(region.mods)
            gen_at += len(rows)
            mod_at += len(region.mods)
    phdr = np.zeros(2, TABLES["phdr"])
    phdr["name"] = [name.encode("latin-1", "replace")[:19], b"EOP"]
    phdr["program"][0], phdr["bank"][0], phdr["bag"] = program, bank, [0, 1]
    pbag = np.array([(0, 0), (1, 0)], TABLES["pbag"])
    pgen = np.array([(GEN_INSTRUMENT, 0), (0, 0)], TABLES["pgen"])
    inst = np.zeros(2, TABLES["inst"])
    inst["name"], inst["bag"] = phdr["name"], [0, len(bags)]
    ibag = np.array([*bags, (gen_at, mod_at)], TABLES["ibag"])
    igen = np.array([*((o, a & 0xFFFF) for o, a in gens), (0, 0)], TABLES["igen"])
    imod = np.zeros(len(mods) + 1, TABLES["imod"])
    imod["bytes"][: len(mods)] = [_mod(m) for m in mods]
    none = np.zeros(1, TABLES["pmod"])
    title = name.encode("latin-1", "replace") + b"\0"
    info = {"ifil": b"\x02\0\x04\0", "INAM": title}
    return font_bytes(info, chunk, (phdr, pbag, none, pgen, inst, ibag, imod, igen, headers))


def decibels(value: float) -> int:
    """Attenuation generator for a gain of `value` dB, which cannot be above 0 (the player counts it 0.4 times)."""
    return max(0, round(-10 * value / 0.4))


def timecents(seconds: float) -> int:
    """1200 log2(seconds), as envelopes count; at least 1 ms."""
    return round(1200 * math.log2(max(seconds, 0.001)))


def _zone(region: Region, recording: Recording, sample: int, side: float) -> list[tuple[int, int]]:
    pan = min(max(region.pan + side, -1.0), 1.0)
    rows = {PAN: round(500 * pan), ROOT: recording.root, MODES: 1 if recording.loop else 0}
    fine = round(recording.cents)
    rows |= {51: int(fine / 100), 52: fine - 100 * int(fine / 100)}
    for oper, amount in region.gens.items():
        rows[oper] = rows.get(oper, 0) + amount if oper in (51, 52) else amount
    ranges = [
        (LOW_FIRST, region.keys[0] | region.keys[1] << 8),
        (VELOCITY_FIRST, region.velocities[0] | region.velocities[1] << 8),
    ]
    return [*ranges, *sorted(rows.items()), (GEN_SAMPLE, sample)]


def _samples(recordings: Sequence[Recording]) -> tuple[Table, bytes, list[list[tuple[int, float]]]]:
    """Sample headers and data, and for each recording its (sample, pan)."""
    rows: list[tuple[object, ...]] = []
    out, sides = bytearray(), []
    for recording in recordings:
        channels = recording.audio.shape[1]
        first, length = recording.loop or (0, len(recording.audio))
        mine = []
        for channel in range(channels):
            start = len(out) // 2
            pcm = np.clip(np.round(recording.audio[:, channel] * 32767), -32768, 32767).astype("<i2")
            out += pcm.tobytes() + b"\0" * (2 * GUARD)
            kind = MONO if channels == 1 else (LEFT, RIGHT)[channel]
            link = len(rows) + (1 - 2 * channel) if channels == 2 else 0
            name = recording.name.encode("latin-1", "replace")[:19]
            end = start + len(pcm)
            loop = (start + first, start + (recording.loop[1] if recording.loop else length))
            rows.append((name, start, end, *loop, recording.rate, recording.root, 0, link, kind))
            mine.append((len(rows) - 1, 0.0 if channels == 1 else (-1.0, 1.0)[channel]))
        sides.append(mine)
    headers = np.zeros(len(rows) + 1, TABLES["shdr"])
    for k, row in enumerate(rows):
        headers[k] = row
    return headers, bytes(out), sides


def _mod(mod: Mod) -> bytes:
    return struct.pack("<HHhHH", *mod)
