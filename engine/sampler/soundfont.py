"""SoundFont 2 and 3 files: read and checked before any C code sees them, and cut down to single presets.

A SoundFont is a RIFF file: nine tables describe presets -> instruments -> samples, one chunk holds the samples, as
16-bit PCM (SF2) or as one Ogg Vorbis stream each (SF3). `cut` writes a font of some presets only; every generator and
modulator is carried over unchanged, so the cut font sounds as the whole one does. Format: SoundFont Technical
Specification 2.04 (Creative/E-mu); SF3 is MuseScore's extension of it.

Sample positions are counted in 16-bit samples for PCM and in bytes for Vorbis; programs are 0-127, drum kits are bank
128.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bridge.errors import RequestError
from engine.sampler.guard import GUARD, VORBIS, guard

Table = np.ndarray[Any, np.dtype[Any]]

_BAG = np.dtype([("gen", "<u2"), ("mod", "<u2")])
_MOD = np.dtype([("bytes", "V10")])
_GEN = np.dtype([("oper", "<u2"), ("amount", "<u2")])
TABLES = {
    "phdr": np.dtype(
        [("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")],
    ),
    "pbag": _BAG,
    "pmod": _MOD,
    "pgen": _GEN,
    "inst": np.dtype([("name", "S20"), ("bag", "<u2")]),
    "ibag": _BAG,
    "imod": _MOD,
    "igen": _GEN,
    "shdr": np.dtype(
        [
            ("name", "S20"),
            ("start", "<u4"),
            ("end", "<u4"),
            ("loop_start", "<u4"),
            ("loop_end", "<u4"),
            ("rate", "<u4"),
            ("pitch", "u1"),
            ("correction", "i1"),
            ("link", "<u2"),
            ("type", "<u2"),
        ],
    ),
}
GEN_INSTRUMENT, GEN_SAMPLE = 41, 53
ADDRESS_GENERATORS = {0: 1, 1: 1, 2: 1, 3: 1, 4: 32768, 12: 32768, 45: 32768, 50: 32768}
"""Generators that move a sample's start, end or loop, with their unit in samples."""

MIN_RATE, MAX_RATE = 400, 400_000

Preset = tuple[int, int]
"""(bank, program)."""


@dataclass(frozen=True)
class SoundFont:
    """A font that was found sound. `smpl` views the sample bytes on disk; `tables` hold the nine record tables."""

    path: Path
    info: dict[str, bytes]
    tables: dict[str, Table]
    smpl: Table

    @property
    def presets(self) -> dict[Preset, str]:
        """(bank, program) -> the preset's name."""
        rows = self.tables["phdr"][:-1]
        return {(int(r["bank"]), int(r["program"])): _name(r) for r in rows}

    def samples_of(self, preset: Preset) -> list[int]:
        """Indices of the samples that a preset uses, ascending."""
        return sorted({s for i in self._instruments([preset]) for s in self._samples(i)})

    def row(self, preset: Preset) -> int:
        """Index of a preset's header. Raises KeyError."""
        rows = self.tables["phdr"][:-1]
        found = np.flatnonzero((rows["bank"] == preset[0]) & (rows["program"] == preset[1]))
        if not len(found):
            raise KeyError(preset)
        return int(found[0])

    def _instruments(self, presets: Sequence[Preset]) -> list[int]:
        gens = [_owned(self.tables, "phdr", "pbag", "pgen", self.row(p)) for p in presets]
        return sorted({int(g["amount"]) for rows in gens for g in rows if g["oper"] == GEN_INSTRUMENT})

    def _samples(self, instrument: int) -> list[int]:
        rows = _owned(self.tables, "inst", "ibag", "igen", instrument)
        return [int(g["amount"]) for g in rows if g["oper"] == GEN_SAMPLE]

    def sample_bytes(self, index: int) -> bytes:
        """One sample as stored: PCM16 little-endian, or an Ogg Vorbis stream."""
        row = self.tables["shdr"][index]
        unit = 1 if row["type"] & VORBIS else 2
        return self.smpl[int(row["start"]) * unit : int(row["end"]) * unit].tobytes()


def open_soundfont(path: Path) -> SoundFont:
    """Reads and checks a font's tables; the samples stay on disk. Raises `RequestError` that names the file."""
    try:
        if path.stat().st_size == 0:
            raise damaged(path, "is empty")
        data = np.memmap(path, dtype=np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise damaged(path, f"cannot be read ({error})") from error
    if len(data) < 12 or data[:4].tobytes() != b"RIFF" or data[8:12].tobytes() != b"sfbk":
        raise damaged(path, "is not a SoundFont")
    end = 8 + _u32(data, 4)
    if end > len(data):
        raise damaged(path, f"is cut off: {end} bytes announced, {len(data)} there")
    info: dict[str, bytes] = {}
    raw: dict[str, bytes] = {}
    smpl: Table | None = None
    for name, start, size in _chunks(data, 12, end, path):
        kind = data[start : start + 4].tobytes()
        if name != b"LIST" or kind not in (b"INFO", b"sdta", b"pdta"):
            continue
        for sub, at, length in _chunks(data, start + 4, start + size, path):
            key = sub.decode("latin-1")
            if kind == b"INFO":
                info[key] = data[at : at + length].tobytes()
            elif kind == b"pdta":
                raw[key] = data[at : at + length].tobytes()
            elif sub == b"smpl":
                smpl = data[at : at + length]
    if smpl is None:
        raise damaged(path, "holds no samples")
    font = SoundFont(path, info, _read_tables(raw, path), smpl)
    _check(font)
    return font


def cut(font: SoundFont, presets: Sequence[Preset], comment: str = "") -> bytes:
    """A font that holds only `presets`, with the instruments and samples they need, in the order of the file.

    Raises KeyError for a preset that the font has not.
    """
    t = font.tables
    rows = sorted({font.row(p) for p in presets})
    instruments = font._instruments(presets)
    samples = sorted({s for i in instruments for s in font._samples(i)})
    new_inst = {old: new for new, old in enumerate(instruments)}
    new_sample = {old: new for new, old in enumerate(samples)}
    phdr, pbag, pmod, pgen = _take(t, "phdr", "pbag", "pmod", "pgen", rows, GEN_INSTRUMENT, new_inst)
    inst, ibag, imod, igen = _take(t, "inst", "ibag", "imod", "igen", instruments, GEN_SAMPLE, new_sample)
    shdr, smpl = _take_samples(font, samples, new_sample)
    info = dict(font.info)
    if comment:
        info["ICMT"] = comment.encode("latin-1", "replace") + b"\0"
    return font_bytes(info, smpl, (phdr, pbag, pmod, pgen, inst, ibag, imod, igen, shdr))


def write_font(
    font: SoundFont,
    samples: Sequence[int],
    programs: Sequence[tuple[bytes, int, int]],
    zones: Sequence[int],
    gens: Sequence[tuple[int, int]],
) -> bytes:
    """A font built from scratch over samples of `font`: programs (name, number, first zone) of bank 0, each with one
    instrument.

    `zones` holds the first generator of each zone; sample generators count in `samples`.
    """
    shdr, smpl = _take_samples(font, samples, {})
    if len(shdr) > 1 and (shdr["type"][:-1] & VORBIS).all():
        shdr, smpl = guard(shdr, smpl)
        gens = [(oper, 2 * amount if oper == GEN_SAMPLE else amount) for oper, amount in gens]
    count = len(programs)
    phdr = np.zeros(count + 1, TABLES["phdr"])
    phdr["name"][:count] = [name for name, _, _ in programs]
    phdr["program"][:count] = [number for _, number, _ in programs]
    phdr["bag"] = np.arange(count + 1)
    pbag = np.zeros(count + 1, _BAG)
    pbag["gen"] = np.arange(count + 1)
    pgen = np.zeros(count + 1, _GEN)
    pgen["oper"][:count] = GEN_INSTRUMENT
    pgen["amount"][:count] = np.arange(count)
    inst = np.zeros(count + 1, TABLES["inst"])
    inst["name"] = phdr["name"]
    inst["bag"] = [*(first for _, _, first in programs), len(zones)]
    ibag = np.zeros(len(zones) + 1, _BAG)
    ibag["gen"] = [*zones, len(gens)]
    igen = np.array([*gens, (0, 0)], dtype=_GEN)
    none = np.zeros(1, _MOD)
    return font_bytes({"ifil": b"\x02\0\x04\0"}, smpl, (phdr, pbag, none, pgen, inst, ibag, none, igen, shdr))


def with_samples(font: SoundFont, headers: Table, samples: bytes) -> bytes:
    """The font over other samples: `headers` in place of its sample headers, `samples` in place of its sample chunk."""
    tables = [headers if name == "shdr" else font.tables[name] for name in TABLES]
    return font_bytes({**font.info, "ifil": b"\x03\0\0\0"}, samples, tables)


def sample_lengths(font: SoundFont, preset: Preset) -> dict[int, int]:
    """Length in samples of every sample that a preset uses; Vorbis streams are decoded by libsndfile to know it.

    A damaged stream raises `RequestError` here, and never reaches the synthesiser's own decoder.
    """
    import soundfile

    lengths: dict[int, int] = {}
    for index in font.samples_of(preset):
        row = font.tables["shdr"][index]
        if not row["type"] & VORBIS:
            lengths[index] = int(row["end"]) - int(row["start"])
            continue
        try:
            with soundfile.SoundFile(io.BytesIO(font.sample_bytes(index))) as file:
                announced, channels = file.frames, file.channels
                lengths[index] = len(file.read(dtype="float32"))
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise damaged(font.path, f"has a damaged sample ({_name(row)}: {error})") from error
        if lengths[index] != announced or channels != 1:
            raise damaged(font.path, f"has a damaged sample ({_name(row)}: {lengths[index]} of {announced} decoded)")
    return lengths


def _read_tables(raw: dict[str, bytes], path: Path) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    for name, dtype in TABLES.items():
        if name not in raw or not raw[name] or len(raw[name]) % dtype.itemsize:
            raise damaged(path, f"has no valid table {name}")
        tables[name] = np.frombuffer(raw[name], dtype=dtype)
    return tables


def _check(font: SoundFont) -> None:
    """Every index must lie inside the table it points to, every sample inside the sample chunk."""
    t, path = font.tables, font.path
    for owner, bag, gen, mod in (("phdr", "pbag", "pgen", "pmod"), ("inst", "ibag", "igen", "imod")):
        _check_index(t[owner]["bag"], len(t[bag]), path, owner)
        _check_index(t[bag]["gen"], len(t[gen]), path, bag)
        _check_index(t[bag]["mod"], len(t[mod]), path, bag)
    shdr = t["shdr"][:-1]
    for table, oper, count in (("pgen", GEN_INSTRUMENT, len(t["inst"]) - 1), ("igen", GEN_SAMPLE, len(shdr))):
        amounts = t[table]["amount"][t[table]["oper"] == oper]
        if len(amounts) and int(amounts.max()) >= count:
            raise damaged(path, f"is damaged: table {table} points outside the file")
    if not len(t["phdr"]) - 1 or not len(shdr):
        raise damaged(path, "holds no presets")
    unit = np.where(shdr["type"] & VORBIS, 1, 2).astype(np.int64)
    start, end = shdr["start"].astype(np.int64), shdr["end"].astype(np.int64)
    if bool(np.any((start > end) | (end * unit > len(font.smpl)))):
        raise damaged(path, "is damaged or cut off: a sample lies outside the file")
    if int(shdr["rate"].min()) < MIN_RATE or int(shdr["rate"].max()) > MAX_RATE:
        raise damaged(path, "is damaged: a sample has an impossible rate")


def _check_index(values: Table, size: int, path: Path, name: str) -> None:
    steps = np.diff(values.astype(np.int64))
    if bool(np.any(steps < 0)) or int(values[-1]) >= size + 1 or int(values.max()) > size:
        raise damaged(path, f"is damaged: table {name} is out of order")


def _owned(t: dict[str, Table], owner: str, bag: str, gen: str, row: int) -> Table:
    """Generators of one preset or instrument."""
    first, last = int(t[owner]["bag"][row]), int(t[owner]["bag"][row + 1])
    return t[gen][int(t[bag]["gen"][first]) : int(t[bag]["gen"][last])]


def _take(
    t: dict[str, Table],
    owner: str,
    bag: str,
    mod: str,
    gen: str,
    rows: Sequence[int],
    oper: int,
    renamed: dict[int, int],
) -> tuple[Table, Table, Table, Table]:
    """The rows of one level with their bags, modulators and generators; `oper` points to the level below and is
    renumbered."""
    heads, bags, mods, gens = [], [], [], []
    bag_at = mod_at = gen_at = 0
    for row in rows:
        head = t[owner][row : row + 1].copy()
        head["bag"] = bag_at
        heads.append(head)
        for b in range(int(t[owner]["bag"][row]), int(t[owner]["bag"][row + 1])):
            this, after = t[bag][b], t[bag][b + 1]
            zone_gens = t[gen][int(this["gen"]) : int(after["gen"])].copy()
            zone_mods = t[mod][int(this["mod"]) : int(after["mod"])]
            points = zone_gens["oper"] == oper
            zone_gens["amount"][points] = [renamed[int(a)] for a in zone_gens["amount"][points]]
            bags.append(np.array([(gen_at, mod_at)], dtype=_BAG))
            gens.append(zone_gens)
            mods.append(zone_mods)
            gen_at += len(zone_gens)
            mod_at += len(zone_mods)
            bag_at += 1
    last = t[owner][-1:].copy()
    last["bag"] = bag_at
    return (
        np.concatenate([*heads, last]),
        np.concatenate([*bags, np.array([(gen_at, mod_at)], dtype=_BAG)]),
        np.concatenate([*mods, np.zeros(1, dtype=_MOD)]),
        np.concatenate([*gens, np.zeros(1, dtype=_GEN)]),
    )


def _take_samples(font: SoundFont, samples: Sequence[int], renamed: dict[int, int]) -> tuple[Table, bytes]:
    """Sample headers and data. A PCM sample keeps its loop relative to its start; Vorbis loops are relative already."""
    shdr = font.tables["shdr"]
    rows = np.concatenate([shdr[list(samples)], shdr[-1:]])
    out = bytearray()
    for k, index in enumerate(samples):
        old, data = shdr[index], font.sample_bytes(index)
        row = rows[k : k + 1]
        if old["type"] & VORBIS:
            row["start"], row["end"] = len(out), len(out) + len(data)
            out += data
        else:
            out += b"\0" * (len(out) % 2)
            shift = len(out) // 2 - int(old["start"])
            for field in ("start", "end", "loop_start", "loop_end"):
                row[field] = max(0, int(old[field]) + shift)
            out += data + b"\0" * (2 * GUARD)
        row["link"] = renamed.get(int(old["link"]), 0)
    return rows, bytes(out)


def _chunks(data: Table, start: int, end: int, path: Path) -> Iterator[tuple[bytes, int, int]]:
    """(name, first byte, size) of the chunks in [start, end). Some writers leave out the pad byte of odd chunks."""
    at = start
    while at + 8 <= end:
        name, size = data[at : at + 4].tobytes(), _u32(data, at + 4)
        if at + 8 + size > end:
            raise damaged(path, f"is cut off or damaged in chunk {name!r}")
        yield name, at + 8, size
        at += 8 + size
        if size % 2 and at < end and data[at] == 0:
            at += 1


def font_bytes(info: dict[str, bytes], smpl: bytes, tables: Sequence[Table]) -> bytes:
    """A font's file: its INFO chunks, its sample chunk and the nine tables in the order of `TABLES`."""
    parts = [
        _list(b"INFO", [(k.encode("latin-1"), v) for k, v in info.items()]),
        _list(b"sdta", [(b"smpl", smpl)]),
        _list(b"pdta", [(k.encode(), v.tobytes()) for k, v in zip(TABLES, tables, strict=True)]),
    ]
    body = b"sfbk" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _list(kind: bytes, chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A LIST chunk. Odd chunks are written one byte longer, as tinysoundfont reads no pad bytes."""
    body = kind + b"".join(n + struct.pack("<I", len(d) + len(d) % 2) + d + b"\0" * (len(d) % 2) for n, d in chunks)
    return b"LIST" + struct.pack("<I", len(body)) + body


def _u32(data: Table, at: int) -> int:
    return int.from_bytes(data[at : at + 4].tobytes(), "little")


def _name(row: Any) -> str:
    return bytes(row["name"]).split(b"\0")[0].decode("latin-1").strip()


def damaged(path: Path, what: str) -> RequestError:
    """The error for a font that cannot be played; `what` follows the file's name."""
    return RequestError(
        "soundfont.damaged",
        f"the sound font {path} {what}.",
        field="soundfont",
        hint="Give a SoundFont 2 or 3 file (.sf2, .sf3).",
    )
