"""Style words to wishes: what a musician's words ask of density, register and instruments, stem by stem.

Plain vocabulary, no model. A clause ends at a comma, at "with", "but", "over" and the like; in it a word of density or
register belongs to the stem that follows it, else to the one before it, and stems joined by "and" share what is said of
the first. Without a stem, density is meant for the whole band, and register for nobody ("deep" is a mood then). "Not"
turns a word round. Instruments are named as in the catalogue; what only repeats the role is no name. Which groove is
meant is `engine.grooves.choose`'s part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from engine.compose.lexicon import (
    DENSITY,
    FILLERS,
    GENERIC,
    IDIOMS,
    NEGATIONS,
    REGISTER,
    SOFTENERS,
    STEMS,
    STRENGTHENERS,
    WHOLE,
)
from engine.grooves.choose import named_words
from engine.sampler.catalogue import Entry, plain, table

BREAKS = re.compile(r"[,;.:!?()/\n]+|\bwith\b|\bbut\b|\bover\b|\bunder\b|\bplus\b|\bwhile\b|\bagainst\b|\bbeneath\b")
NOT_SO = -0.6
"""What is left of a word that is denied: "not busy" is not yet "sparse"."""
REACH = 3
"""Words back in which a negation or "very" still counts."""


Stem = tuple[tuple[str, ...], int, int]
"""Roles that are meant, the word after the stem's name, its first word."""


@dataclass(frozen=True, slots=True)
class Worded:
    """What words ask of a stem: `density` and `register` from -1 to 1, 0 where nothing is said."""

    density: float = 0.0
    register: float = 0.0


@dataclass(frozen=True, slots=True)
class WordWishes:
    """`wishes` and `instruments` (a name of the catalogue) by role. `understood`: what words were taken for; `ignored`:
    words that nothing here knows."""

    wishes: dict[str, Worded]
    instruments: dict[str, str]
    understood: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """For people; empty where there is nothing to say."""
        said = [f"words: {', '.join(self.understood)}"] if self.understood else []
        unknown = [f"not understood: {', '.join(self.ignored)}"] if self.ignored else []
        return "; ".join([*said, *unknown] if said else [f"words {unknown[0]}"] if unknown else [])


@dataclass(frozen=True, slots=True)
class _Found:
    """A phrase at words [at, end) of a clause."""

    at: int
    end: int
    phrase: str


def words2wishes(style: str, roles: Sequence[str]) -> WordWishes:
    """The wishes of `style` words for the stems of `roles`."""
    wishes: dict[str, list[tuple[str, float]]] = {}
    instruments: dict[str, str] = {}
    understood: list[str] = []
    known: set[str] = set()
    for clause in BREAKS.split(style.lower()):
        words = plain(clause.replace("'", " ")).split()
        blocked = {k for found in _phrases(words, IDIOMS) for k in range(found.at, found.end)}
        named = _instruments(words, roles)
        for found, entry, role in named:
            if not _denied(words, found.at):
                understood += [f"{entry.name} for the {role}"] if role not in instruments else []
                instruments.setdefault(role, entry.name)
            known.update(words[found.at : found.end])
        stems = _stems(words, blocked, named, roles)
        taken = {k for _, end, at in stems for k in range(at, end)}
        known.update(words[k] for k in taken)
        spoken: dict[int, list[tuple[str, float]]] = {}
        for axis, lexicon in (("density", DENSITY), ("register", REGISTER)):
            for found in _phrases(words, lexicon):
                if set(range(found.at, found.end)) & blocked or _part_of(found, named):
                    continue
                value = lexicon[found.phrase] * _degree(words, found.at)
                target = _target(found, stems)
                if target is None and axis == "register":
                    continue
                known.update(words[max(found.at - REACH, 0) : found.end])
                spoken.setdefault(-1 if target is None else target, []).append((axis, value))
        _share(words, stems, spoken)
        for target, values in spoken.items():
            meant = tuple(roles) if target < 0 else stems[target][0]
            for role in meant:
                wishes.setdefault(role, []).extend(values)
            who = "everybody" if target < 0 else f"the {' and '.join(meant)}"
            understood += [_say(axis, value, who) for axis, value in values if meant]
    known |= named_words(style) | FILLERS | set(NEGATIONS) | set(WHOLE)
    text = plain(style.replace("'", " ")).split()
    ignored = tuple(dict.fromkeys(w for w in text if w not in known and not _in_styles(w) and len(w) > 1))
    return WordWishes(
        {
            role: Worded(_strongest(values, "density"), _strongest(values, "register"))
            for role, values in wishes.items()
        },
        instruments,
        tuple(dict.fromkeys(understood)),
        ignored,
    )


def _say(axis: str, value: float, who: str) -> str:
    ways = {"density": ("sparser", "busier"), "register": ("lower", "higher")}
    return f"{ways[axis][value > 0]} ({value:+.1f}) for {who}"


def _strongest(values: Iterable[tuple[str, float]], axis: str) -> float:
    """The value that is furthest from 0, at most 1."""
    mine = [value for name, value in values if name == axis]
    best = max(mine, key=abs, default=0.0)
    return round(min(max(best, -1.0), 1.0), 2)


def _phrases(words: Sequence[str], phrases: Iterable[str]) -> list[_Found]:
    """The phrases among the words, longer ones first taken, in their order."""
    found: list[_Found] = []
    taken: set[int] = set()
    for phrase in sorted(phrases, key=lambda p: -p.count(" ")):
        parts = phrase.split()
        for at in range(len(words) - len(parts) + 1):
            span = set(range(at, at + len(parts)))
            if list(words[at : at + len(parts)]) == parts and not span & taken:
                taken |= span
                found.append(_Found(at, at + len(parts), phrase))
    return sorted(found, key=lambda f: f.at)


def _instruments(words: Sequence[str], roles: Sequence[str]) -> list[tuple[_Found, Entry, str]]:
    """Instruments that are named, each for the first wanted role that it can play and that the words leave to it."""
    names = _names()
    single = [_singular(w) for w in words]
    at_word: dict[int, tuple[_Found, str]] = {}
    for spelled in (list(words), single):
        for found in _phrases(spelled, names):
            if not any(k in at_word for k in range(found.at, found.end)):
                at_word |= dict.fromkeys(range(found.at, found.end), (found, found.phrase))
    out: list[tuple[_Found, Entry, str]] = []
    for found, phrase in dict.fromkeys(at_word.values()):
        follows = words[found.end] if found.end < len(words) else ""
        hinted = STEMS.get(follows, ())
        for entry in names[phrase]:
            fits = [r for r in entry.roles if r in roles and (not hinted or r in hinted)] or [
                r for r in entry.roles if r in roles
            ]
            if fits:
                out.append((found, entry, fits[0]))
                break
    return sorted(out, key=lambda row: row[0].at)


@lru_cache(maxsize=1)
def _names() -> dict[str, tuple[Entry, ...]]:
    """Every name of an instrument, without those that only repeat a role, and who is called so."""
    names: dict[str, list[Entry]] = {}
    for entry in table().entries.values():
        for phrase in dict.fromkeys(plain(w) for w in (entry.name, *entry.words)):
            if phrase not in GENERIC and phrase not in DENSITY and phrase not in REGISTER:
                names.setdefault(phrase, []).append(entry)
    return {phrase: tuple(entries) for phrase, entries in names.items()}


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us")) else word


def _stems(
    words: Sequence[str], blocked: set[int], named: Sequence[tuple[_Found, Entry, str]], roles: Sequence[str]
) -> list[Stem]:
    """Stems of a clause in their order: (roles that are wanted, end word, first word). An instrument is its role's."""
    out: list[Stem] = [((role,), found.end, found.at) for found, _, role in named]
    covered = {k for found, _, _ in named for k in range(found.at, found.end)} | blocked
    for found in _phrases(words, (*STEMS, *WHOLE)):
        if set(range(found.at, found.end)) & covered:
            continue
        if found.phrase in WHOLE:
            out.append((tuple(roles), found.end, found.at))
            continue
        meant = STEMS[found.phrase]
        wanted = tuple(r for r in meant if r in roles)
        several = found.phrase in ("groove", "rhythm section", "synths")
        out.append((wanted if several else wanted[:1], found.end, found.at))
    out.sort(key=lambda row: row[2])
    merged: list[Stem] = []
    for row in out:
        if merged and row[2] == merged[-1][1] and row[0] == merged[-1][0]:
            merged[-1] = (row[0], row[1], merged[-1][2])
        else:
            merged.append(row)
    return merged


def _part_of(found: _Found, named: Sequence[tuple[_Found, Entry, str]]) -> bool:
    """Whether the phrase lies inside an instrument's longer name that says it already ("thin synth strings")."""
    return any(f.at <= found.at and found.end <= f.end and "bass" not in f.phrase for f, _, _ in named)


def _target(found: _Found, stems: Sequence[Stem]) -> int | None:
    """Number of the stem that a phrase is said of: the next one, else the last before; None without stems."""
    after = [i for i, (_, _, at) in enumerate(stems) if at >= found.at]
    before = [i for i, (_, end, _) in enumerate(stems) if end <= found.at]
    return after[0] if after else before[-1] if before else None


def _share(words: Sequence[str], stems: Sequence[Stem], spoken: dict[int, list[tuple[str, float]]]) -> None:
    """Stems that follow "and" without words of their own take those of the stem before."""
    for i in range(1, len(stems)):
        between = list(words[stems[i - 1][1] : stems[i][2]])
        if between in (["and"], ["&"]) and i not in spoken and i - 1 in spoken:
            spoken[i] = spoken[i - 1]


def _denied(words: Sequence[str], at: int) -> bool:
    return any(word in NEGATIONS for word in words[max(at - REACH, 0) : at])


def _degree(words: Sequence[str], at: int) -> float:
    """What the words before make of a word: "very" more, "a bit" less, "not" its weaker opposite."""
    degree = 1.0
    for word in words[max(at - REACH, 0) : at]:
        degree *= SOFTENERS.get(word, 1.0) * STRENGTHENERS.get(word, 1.0)
    return degree * NOT_SO if _denied(words, at) else degree


@lru_cache(maxsize=1)
def _style_words() -> frozenset[str]:
    rows = (plain(style) for role in table().roles.values() for style in role.styles)
    return frozenset(word for row in rows for word in row.split())


def _in_styles(word: str) -> bool:
    """Whether a word chooses instruments by style."""
    return word in _style_words()
