"""The user's own banks: which files joined the catalogue, and what was measured of them.

Each bank is one JSON file in `sounds/` of the user's data folder; its instruments are described as the shipped ones
are. A font named "own:NAME" belongs to the bank NAME. The audio file itself stays where the user has it; an SFZ
instrument is kept as the SoundFont that was made of it.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from bridge.errors import RequestError
from bridge.paths import data_folder
from engine.sampler.described import Described

OWN = "own:"

Stamp = tuple[int, int, int]
"""Inode, time and size of a file: another one after it was written anew."""


class OwnBank(msgspec.Struct, frozen=True):
    """`source`: the file that the user gave; `font`: the SoundFont that plays (the same, or made from it). `bytes` of
    the font, to see whether it changed."""

    name: str
    source: str
    font: str
    bytes: int
    entries: tuple[Described, ...]
    remarks: tuple[str, ...] = ()
    licence: str = ""

    @property
    def missing(self) -> bool:
        """Is the font gone, or another than the one that was described?"""
        path = Path(self.font)
        return not path.is_file() or path.stat().st_size != self.bytes


def folder() -> Path:
    """Where the banks are kept."""
    return data_folder() / "sounds"


def own_banks() -> list[OwnBank]:
    """All banks, by name. A file that cannot be read is left out: `stembridge sounds add` writes it anew."""
    found = []
    for path in sorted(folder().glob("*.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=OwnBank))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            continue
    return found


def own_path(font: str) -> Path | None:
    """The file of an own font's name, None for other names. Raises `RequestError` where it is gone."""
    if not font.startswith(OWN):
        return None
    name = font.removeprefix(OWN)
    bank = next((b for b in own_banks() if b.name == name), None)
    if bank is None or bank.missing:
        raise RequestError(
            "sounds.gone",
            f"the sounds of {name!r} are no longer where they were" + (f" ({bank.font})." if bank else "."),
            hint="Add them again with `stembridge sounds add FILE`.",
        )
    return Path(bank.font)


def own_stamp(font: str) -> Stamp | None:
    """Of the description of an own font's bank, which `keep` writes anew; None for other names, and once it is gone."""
    if not font.startswith(OWN):
        return None
    try:
        found = (folder() / f"{font.removeprefix(OWN)}.json").stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def keep(bank: OwnBank) -> None:
    """Writes a bank; one of the same name is replaced. Raises ValueError for one that could not be read back."""
    folder().mkdir(parents=True, exist_ok=True)
    path = folder() / f"{bank.name}.json"
    part = path.with_suffix(".part")
    raw = msgspec.json.format(msgspec.json.encode(bank), indent=1)
    msgspec.json.decode(raw, type=OwnBank)
    part.write_bytes(raw)
    part.replace(path)


def forget(name: str) -> OwnBank:
    """Takes a bank out of the catalogue, and the font that was made for it. Raises `RequestError`."""
    bank = next((b for b in own_banks() if b.name == name), None)
    if bank is None:
        names = ", ".join(b.name for b in own_banks()) or "there are none"
        raise RequestError("sounds.unknown", f"no sounds of yours are called {name!r} ({names}).", field="name")
    (folder() / f"{name}.json").unlink()
    if Path(bank.font).parent == folder():
        Path(bank.font).unlink(missing_ok=True)
    return bank


def bank_name(path: Path) -> str:
    """A short name for a file: "My Rhodes (v2).sf2" -> "my-rhodes-v2"."""
    return "-".join(re.findall(r"[a-z0-9]+", path.stem.lower())) or "bank"
