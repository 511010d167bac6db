"""The table of instruments (`instruments.toml`) and the choice from it: the user's words first, then the style, then
the role."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

TABLE = Path(__file__).parent / "instruments.toml"
BAND = "band"
"""The font of the instruments that play where nothing is said."""
DRUM_BANK = 128


@dataclass(frozen=True)
class Entry:
    """An instrument of the table: the preset (bank, program) of a font, tuned by `cents`, or a kit, or a synthesiser's
    patch. `roles`: where a reference may choose it. `own`: it is the user's."""

    name: str
    bank: int
    program: int
    kit: str
    words: tuple[str, ...]
    cents: int
    font: str = BAND
    synth: str = ""
    roles: tuple[str, ...] = ()
    own: bool = False

    @property
    def drums(self) -> bool:
        """Is it a drum kit, of one-shots or of a font?"""
        return bool(self.kit) or (not self.synth and self.bank == DRUM_BANK)


@dataclass(frozen=True)
class Role:
    """How a role sits in the mix. `lufs`: loudness of its test phrase; `room_db`: reverb send (None: dry); pan -1..1;
    phrase in MIDI pitches."""

    name: str
    lufs: float
    pan: float
    room_db: float | None
    phrase: tuple[int, ...]
    seconds: float
    together: bool
    default: str
    styles: dict[str, str]


@dataclass(frozen=True)
class Table:
    """All entries by name, all roles by name."""

    entries: dict[str, Entry]
    roles: dict[str, Role]


@lru_cache(maxsize=1)
def table() -> Table:
    """The table of `instruments.toml`. Raises ValueError where a style or default names no instrument."""
    raw = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    entries = {
        row["name"]: Entry(
            row["name"],
            int(row.get("bank", 0)),
            int(row.get("program", -1)),
            row.get("kit", ""),
            tuple(row["words"]),
            int(row.get("cents", 0)),
            row.get("font", BAND),
            row.get("synth", ""),
            tuple(row["roles"]),
        )
        for row in raw["instrument"]
    }
    roles = {
        name: Role(
            name,
            float(row["lufs"]),
            float(row["pan"]),
            float(row["room"]) if "room" in row else None,
            tuple(row["phrase"]),
            float(row["seconds"]),
            bool(row.get("together", False)),
            row["default"],
            dict(row["styles"]),
        )
        for name, row in raw["roles"].items()
    }
    for role in roles.values():
        unknown = {role.default, *role.styles.values()} - set(entries)
        if unknown:
            raise ValueError(f"instruments.toml: {role.name} names {sorted(unknown)}, which are no instruments")
    return Table(entries, roles)


def shipped_presets(font: str = BAND) -> tuple[tuple[int, int], ...]:
    """(bank, program) of every preset that the table plays from a font, sorted."""
    rows = (e for e in table().entries.values() if not e.kit and not e.synth and e.font == font)
    return tuple(sorted({(e.bank, e.program) for e in rows}))


def words2entry(role: str, words: str) -> Entry | None:
    """The instrument that the user's words name: the longest phrase, then the first of the table. Drums only from kits.

    The role completes what the words leave open: "synth" is a synth bass for the bass and a synth pad for the pad.
    """
    phrases = [(w, e) for e in table().entries.values() if e.drums == (role == "drums") for w in (e.name, *e.words)]
    completed = longest_match(f"{words} {role}", [row for row in phrases if plain(row[0]) != role])
    found = completed or longest_match(words, phrases)
    return found if isinstance(found, Entry) else None


def style2entry(role: str, style: str) -> Entry:
    """The role's instrument for a style, or its default."""
    row = table().roles[role]
    name = longest_match(style, row.styles.items())
    return table().entries[str(name) if name is not None else row.default]


def longest_match(text: str, phrases: Iterable[tuple[str, object]]) -> object | None:
    """The value of the phrase with the most words that `text` contains as whole words; the earliest in the text among
    equals."""
    padded = f" {plain(text)} "
    best: tuple[int, int] | None = None
    value: object | None = None
    for phrase, candidate in phrases:
        wanted = plain(phrase)
        at = padded.find(f" {wanted} ")
        if at < 0:
            continue
        rank = (len(wanted.split()), -at)
        if best is None or rank > best:
            best, value = rank, candidate
    return value


def plain(text: str) -> str:
    """Lower case, words and digits with single blanks between: "Neo-Soul, warm" -> "neo soul warm"."""
    return " ".join(re.findall(r"[a-z0-9&]+", text.lower()))
