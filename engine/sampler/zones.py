"""What a SoundFont preset means for one note: its zones with every velocity and key modulator worked out.

tinysoundfont plays generators but no modulators, and many fonts are wrong without them (a grand piano whose filter
is opened by velocity stays shut). All notes of a part are known before it is played, so `bake` writes a small
font in which each (pitch, velocity) has zones of its own whose generators already contain the modulators, with the
controllers at their defaults. In that font the *program* is the note's velocity, and notes are played at full velocity:
the level comes from the attenuation alone.

Rules: SoundFont 2.04 sections 8-9; FluidSynth's readings where fonts depend on them: the attenuation *generator* counts
0.4 times (EMU8000), the default velocity-to-filter modulator is not used. Amounts are in the generators' own units.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.sampler.guard import VORBIS
from engine.sampler.soundfont import (
    ADDRESS_GENERATORS,
    GEN_INSTRUMENT,
    GEN_SAMPLE,
    Preset,
    SoundFont,
    Table,
    damaged,
    write_font,
)

Mod = tuple[int, int, int, int, int]
"""(source, destination generator, amount, amount source, transform)."""

GENERATORS = 59
KEY_RANGE, VELOCITY_RANGE, ATTENUATION, FINE_TUNE, SAMPLE_MODES = 43, 44, 48, 52, 54
ATTENUATION_SCALE = 0.4
INSTRUMENT_ONLY = frozenset({*ADDRESS_GENERATORS, 46, 47, 54, 57, 58})
RELATIVE_FREE = frozenset({KEY_RANGE, VELOCITY_RANGE, GEN_INSTRUMENT, GEN_SAMPLE})
DEFAULTS: dict[int, int] = {
    8: 13500,
    **dict.fromkeys((21, 23, 25, 26, 27, 28, 30, 33, 34, 35, 36, 38), -12000),
    56: 100,
    46: -1,
    47: -1,
    58: -1,
}
VELOCITY2ATTENUATION: Mod = (0x0502, ATTENUATION, 960, 0, 0)
CONTROLLER_DEFAULTS = {7: 100, 10: 64, 11: 127}


@dataclass(frozen=True)
class Zone:
    """One zone of a preset or an instrument, its global zone merged in. `target`: instrument or sample index."""

    keys: tuple[int, int]
    velocities: tuple[int, int]
    gens: dict[int, int]
    mods: tuple[Mod, ...]
    target: int

    def plays(self, pitch: int, velocity: int) -> bool:
        """Does a note of this pitch and velocity sound this zone?"""
        return self.keys[0] <= pitch <= self.keys[1] and self.velocities[0] <= velocity <= self.velocities[1]


def preset_zones(font: SoundFont, preset: Preset) -> list[tuple[Zone, list[Zone]]]:
    """Preset zones, each with the zones of its instrument. Raises KeyError for a preset that the font has not."""
    outer = _zones(font, "phdr", "pbag", "pmod", "pgen", font.row(preset), GEN_INSTRUMENT)
    inner = {z.target: _zones(font, "inst", "ibag", "imod", "igen", z.target, GEN_SAMPLE) for z in outer}
    return [(z, inner[z.target]) for z in outer]


def bake(
    font: SoundFont, zones: Sequence[tuple[Zone, list[Zone]]], notes: Iterable[tuple[int, int]], cents: int = 0
) -> bytes:
    """A font for exactly these (pitch, velocity) pairs: bank 0, program = velocity, played at velocity 127.

    Pitches that no zone covers are silent; where none is covered, the font is empty (b""). Only the samples that are
    needed are taken over. `cents` tunes all of it.
    """
    by_velocity: dict[int, list[int]] = {}
    for pitch, velocity in sorted(set(notes)):
        by_velocity.setdefault(velocity, []).append(pitch)
    programs: list[tuple[int, list[tuple[int, int, dict[int, int]]]]] = []
    for velocity, pitches in by_velocity.items():
        rows = [
            (pitch, inner.target, _merge(outer, inner, pitch, velocity, cents))
            for pitch in pitches
            for outer, inners in zones
            if outer.plays(pitch, velocity)
            for inner in inners
            if inner.plays(pitch, velocity)
        ]
        programs.append((velocity, rows))
    samples = sorted({sample for _, rows in programs for _, sample, _ in rows})
    if not samples:
        return b""
    renamed = {old: new for new, old in enumerate(samples)}
    heads: list[tuple[bytes, int, int]] = []
    bags: list[int] = []
    gens: list[tuple[int, int]] = []
    for velocity, rows in programs:
        heads.append((b"velocity", velocity, len(bags)))
        for pitch, sample, amounts in rows:
            bags.append(len(gens))
            gens.append((KEY_RANGE, pitch | pitch << 8))
            gens.extend((oper, amount & 0xFFFF) for oper, amount in sorted(amounts.items()))
            gens.append((GEN_SAMPLE, renamed[sample]))
    return write_font(font, samples, heads, bags, gens)


def check_addresses(font: SoundFont, zones: Sequence[tuple[Zone, list[Zone]]], lengths: dict[int, int]) -> None:
    """Raises `RequestError` where a zone starts, ends or loops outside its sample, which the synthesiser would not
    notice."""
    shdr = font.tables["shdr"]
    for zone in (inner for _, inners in zones for inner in inners):
        row, length = shdr[zone.target], lengths[zone.target]
        base = 0 if row["type"] & VORBIS else int(row["start"])
        start = _address(zone, 0, 4)
        end = length + _address(zone, 1, 12)
        places = [start, end]
        if zone.gens.get(SAMPLE_MODES, 0) & 1:
            loop = int(row["loop_start"]) - base + _address(zone, 2, 45)
            loop_end = int(row["loop_end"]) - base + _address(zone, 3, 50)
            places = [start, loop, loop_end, end]
        if places != sorted(places) or start < 0 or end > length:
            raise damaged(font.path, f"is damaged: a zone lies outside its sample ({places} of {length})")


def _address(zone: Zone, fine: int, coarse: int) -> int:
    return zone.gens.get(fine, 0) + ADDRESS_GENERATORS[coarse] * zone.gens.get(coarse, 0)


def _merge(outer: Zone, inner: Zone, pitch: int, velocity: int, cents: int) -> dict[int, int]:
    """Final generator amounts of one voice: instrument values, preset offsets, modulators."""
    total: dict[int, float] = {oper: float(amount) for oper, amount in inner.gens.items()}
    for oper, amount in outer.gens.items():
        if oper not in INSTRUMENT_ONLY:
            total[oper] = total.get(oper, DEFAULTS.get(oper, 0)) + amount
    total[ATTENUATION] = total.get(ATTENUATION, 0.0) * ATTENUATION_SCALE
    mods = {(m[0], m[1], m[3], m[4]): m for m in (VELOCITY2ATTENUATION, *inner.mods)}
    for source, oper, amount, amount_source, transform in (*mods.values(), *outer.mods):
        if oper >= GENERATORS or not amount or oper in RELATIVE_FREE:
            continue
        value = amount * _source(source, pitch, velocity) * _source(amount_source, pitch, velocity, empty=1.0)
        if value:
            total[oper] = total.get(oper, DEFAULTS.get(oper, 0)) + (abs(value) if transform == 2 else value)
    total[FINE_TUNE] = total.get(FINE_TUNE, 0.0) + cents
    total[ATTENUATION] = min(max(total[ATTENUATION], 0.0), 1440.0)
    return {oper: min(max(round(amount), -32768), 32767) for oper, amount in total.items()}


def _source(source: int, pitch: int, velocity: int, empty: float = 0.0) -> float:
    """Value of a modulator source, 0..1 or -1..1 (section 8.2): index, direction, polarity, curve."""
    index, controller = source & 0x7F, bool(source & 0x80)
    negative, bipolar, curve = bool(source & 0x100), bool(source & 0x200), source >> 10
    if controller:
        raw = CONTROLLER_DEFAULTS.get(index, 0) / 128
    elif index == 2:
        raw = velocity / 128
    elif index == 3:
        raw = pitch / 128
    elif index == 14:
        raw = 0.5
    elif index == 0:
        return empty
    else:
        raw = 0.0
    x = 127 / 128 - raw if negative else raw
    if bipolar:
        half = 2 * x - 1
        return math.copysign(_curve(abs(half), curve), half)
    return _curve(x, curve)


def _curve(x: float, curve: int) -> float:
    """Linear, concave, convex or switch, for x in 0..1."""
    if curve == 1:
        rest = 1 - x * 128 / 127
        return 1.0 if rest <= 0 else min(1.0, -(40 / 96) * math.log10(rest))
    if curve == 2:
        return 0.0 if x <= 0 else max(0.0, 1 + (40 / 96) * math.log10(min(x * 128 / 127, 1.0)))
    if curve == 3:
        return 1.0 if x >= 0.5 else 0.0
    return x


def _zones(font: SoundFont, owner: str, bag: str, mod: str, gen: str, row: int, points: int) -> list[Zone]:
    """Zones of one preset or instrument. A first zone that points nowhere is global: its values are defaults of the
    others."""
    t = font.tables
    shared_gens: dict[int, int] = {}
    shared_mods: dict[tuple[int, int, int, int], Mod] = {}
    found = []
    first, last = int(t[owner]["bag"][row]), int(t[owner]["bag"][row + 1])
    for b in range(first, last):
        gens = _amounts(t[gen][int(t[bag]["gen"][b]) : int(t[bag]["gen"][b + 1])])
        mods = {(m[0], m[1], m[3], m[4]): m for m in _mods(t[mod][int(t[bag]["mod"][b]) : int(t[bag]["mod"][b + 1])])}
        if points not in gens:
            if b == first:
                shared_gens, shared_mods = gens, mods
            continue
        whole = {**shared_gens, **gens}
        keys, velocities = _range(whole.get(KEY_RANGE)), _range(whole.get(VELOCITY_RANGE))
        target = whole[points] & 0xFFFF
        rest = {oper: amount for oper, amount in whole.items() if oper not in RELATIVE_FREE}
        found.append(Zone(keys, velocities, rest, tuple({**shared_mods, **mods}.values()), target))
    return found


def _amounts(rows: Table) -> dict[int, int]:
    return {int(o): int(a) for o, a in zip(rows["oper"], rows["amount"].astype("<i2"), strict=True) if o < GENERATORS}


def _mods(rows: Table) -> list[Mod]:
    return [struct.unpack("<HHhHH", r["bytes"].tobytes()) for r in rows]


def _range(amount: int | None) -> tuple[int, int]:
    return (0, 127) if amount is None else (amount & 0xFF, (amount >> 8) & 0xFF)
