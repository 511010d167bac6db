"""The user's SF2, SF3 and SFZ files join the catalogue: opened, checked, measured as the shipped sounds are, and kept.

Each preset becomes an instrument of the role that its General MIDI number or its name speaks for. A damaged file is
refused by name; in a folder the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import RequestError
from bridge.paths import SOUNDFONT_ENDINGS
from engine.sampler.bank import SHIPPED, Bank
from engine.sampler.catalogue import DRUM_BANK, Entry, longest_match, plain, table
from engine.sampler.cataloguing import entry2described
from engine.sampler.described import Described, shipped
from engine.sampler.ownbanks import OWN, OwnBank, bank_name, folder, forget, keep, own_banks
from engine.sampler.sfz2font import sfz2font
from engine.sampler.soundfont import SoundFont, open_soundfont
from engine.sampler.twins import TwinSearch

ENDINGS = (*SOUNDFONT_ENDINGS, ".sfz")
LICENCE = "the user's own"
MAX_PRESETS = 160
MAIN_BANKS = (0, 8, 16, DRUM_BANK)
"""Of a font with more presets than that, those of General MIDI and its usual variations are taken."""
EFFECTS = range(120, 128)
ROLE_OF = (
    *(("keys",),) * 8, *(("arp", "keys"),) * 8, *(("keys", "pad"),) * 8, *(("guitar", "arp"),) * 8, *(("bass",),) * 8,
    *(("strings",),) * 8, *(("strings", "pad"),) * 4, *(("pad", "vocals"),) * 4, *(("brass",),) * 8,
    *(("lead",),) * 24, *(("pad",),) * 16, *(("guitar", "lead"),) * 8, *(("arp",),) * 8, *(("pad",),) * 8,
)  # fmt: skip
"""Roles by General MIDI program."""
ROLE_WORDS = (
    ("drums", ("drum", "drums", "kit", "percussion")), ("bass", ("bass",)), ("guitar", ("guitar", "guitars", "strat")),
    ("strings", ("strings", "violin", "cello", "viola")), ("brass", ("brass", "trumpet", "trombone", "horn", "horns")),
    ("pad", ("pad", "choir")), ("lead", ("lead", "flute", "sax", "solo")), ("arp", ("pluck", "bell", "harp", "mallet")),
    ("keys", ("piano", "keys", "organ", "rhodes", "e piano", "clav")),
)  # fmt: skip

Say = Callable[[str], object]


@dataclass(frozen=True)
class Joined:
    """What came of adding: banks kept, and one error for each file that could not be used."""

    banks: tuple[OwnBank, ...]
    problems: tuple[RequestError, ...]


def add_sounds(path: Path, *, role: str = "", licence: str = "", say: Say = print) -> Joined:
    """Adds a file, or every sound file of a folder. Raises `RequestError` where there is nothing to add."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
        if not files:
            raise RequestError(
                "sounds.none", f"{path} holds no sound fonts.", field="file", hint=f"Looked for {', '.join(ENDINGS)}."
            )
    else:
        files = [path]
    banks, problems = [], []
    for file in files:
        try:
            banks.append(add_file(file, role=role, licence=licence, say=say))
        except RequestError as problem:
            problems.append(problem)
    if not banks and len(files) == 1:
        raise problems[0]
    return Joined(tuple(banks), tuple(problems))


def add_file(path: Path, *, role: str = "", licence: str = "", say: Say = print, name: str = "") -> OwnBank:
    """Measures one file and keeps it in place of a bank of its name. Raises `RequestError` that names the file."""
    path = path.absolute()
    if path.suffix.lower() not in ENDINGS:
        raise RequestError(
            "sounds.kind", f"{path.name} is no sound font.", field="file", hint=f"Give {', '.join(ENDINGS)}."
        )
    if role and role not in table().roles:
        raise RequestError("sounds.role", f"there is no role {role!r}.", field="role", hint=", ".join(table().roles))
    if not path.is_file():
        raise RequestError("path.missing", f"there is no file {path}.", field="file")
    name = name or bank_name(path)
    font_path, remarks = path, []
    if path.suffix.lower() == ".sfz":
        data, sfz = sfz2font(path, path.stem)
        folder().mkdir(parents=True, exist_ok=True)
        font_path = folder() / f"{name}.sf2"
        # In place of the one before, not into it: an engine may be playing from that.
        part = font_path.with_suffix(".part")
        part.write_bytes(data)
        part.replace(font_path)
        remarks = list(sfz.remarks)
    try:
        font = open_soundfont(font_path)
        entries, more = _describe(font, name, path, role, licence or LICENCE, say)
    except RequestError:
        if font_path != path:
            font_path.unlink(missing_ok=True)
        raise
    bank = OwnBank(
        name, str(path), str(font_path), font_path.stat().st_size, entries, (*remarks, *more), licence or LICENCE
    )
    keep(bank)
    return bank


def _describe(
    font: SoundFont, name: str, source: Path, role: str, licence: str, say: Say
) -> tuple[tuple[Described, ...], list[str]]:
    """The instruments of a font, and what should be known of them. Raises `RequestError` where none can be played."""
    bank = Bank(open_soundfont(SHIPPED), False)
    bank.lend(OWN + name, font)
    taken = {*shipped(), *(entry.name for own in own_banks() if own.name != name for entry in own.entries)}
    search, found, silent = TwinSearch(), [], 0
    presets, remarks = _presets(font)
    for preset, title in presets:
        entry = _entry(preset, title, name, source, role, taken)
        taken.add(entry.name)
        say(entry.name)
        described = entry2described(bank, entry, entry.roles, licence=licence, credit=source.name)
        if described is None:
            silent += 1
            continue
        found.append(search.without_twin_roles(bank, described))
    if silent:
        remarks.append(
            f"{silent} presets are silent where their role plays (kits: kick, snare, hat) and were left out."
        )
    if not found:
        raise RequestError("sounds.silent", f"nothing in {source} sounds where its role plays.", field="file")
    return tuple(found), remarks


def _presets(font: SoundFont) -> tuple[list[tuple[tuple[int, int], str]], list[str]]:
    every = sorted(font.presets.items())
    kept = [(p, title) for p, title in every if p[0] == DRUM_BANK or p[1] not in EFFECTS or len(every) == 1]
    if len(kept) > MAX_PRESETS:
        kept = [(p, title) for p, title in kept if p[0] in MAIN_BANKS]
    left = len(every) - len(kept[: 2 * MAX_PRESETS])
    return kept[: 2 * MAX_PRESETS], [f"{left} effects and variations were left out."] if left else []


def _entry(preset: tuple[int, int], title: str, name: str, source: Path, role: str, taken: Iterable[str]) -> Entry:
    called = plain(title) or name
    if called in taken:
        called = f"{called} {name.replace('-', ' ')}"
    number = 2
    while called in taken:
        called, number = f"{called.removesuffix(f' {number - 1}')} {number}", number + 1
    roles = (role,) if role else _roles(preset, f"{title} {source.stem}", source)
    words = (called, f"{plain(title)} {name}".strip(), name)
    return Entry(called, preset[0], preset[1], "", words, 0, OWN + name, "", roles, True)


def _roles(preset: tuple[int, int], words: str, source: Path) -> tuple[str, ...]:
    """By the drum bank, by words where the font is not of General MIDI (an SFZ), else by the program."""
    if preset[0] == DRUM_BANK:
        return ("drums",)
    if source.suffix.lower() == ".sfz":
        melodic = [(w, r) for r, row in ROLE_WORDS if r != "drums" for w in row]
        named = longest_match(words, melodic)
        return (named,) if isinstance(named, str) else ("keys",)
    return ROLE_OF[min(preset[1], 127)]


def remove_sounds(name: str) -> OwnBank:
    """Takes a bank out of the catalogue. Raises `RequestError`."""
    return forget(name)
