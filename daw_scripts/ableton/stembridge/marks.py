"""What locators and the loop brace mean: sections, words about them, keys. Pure: positions are beats."""

from __future__ import annotations

import re
from typing import Any, Dict, NamedTuple, Sequence

from .labels import DEFAULT, name2label
from .trouble import Trouble

NEAR = 1e-6
MAX_NAME, MAX_WORDS = 200, 2000
LAST_BEATS = 32.0
"""Length of the last section where neither clips nor earlier sections say one: eight bars of 4/4."""
SONG_END = {"end", "the end", "end of song", "ende", "fin", "fine", "fim", "slut", "einde", "stop", "//", "||"}
KEY = re.compile(r"\s*key\s*[=:]\s*(.*?)\s*\Z", re.IGNORECASE)
TONIC = re.compile(r"([A-Ga-g])([#b]?)\s*(.*)\Z")
MODES = {
    "": "major", "major": "major", "maj": "major", "dur": "major", "ionian": "major", "minor": "minor", "min": "minor",
    "moll": "minor", "m": "minor", "aeolian": "minor", "dorian": "dorian", "phrygian": "phrygian", "lydian": "lydian",
    "mixolydian": "mixolydian", "locrian": "locrian",
}  # fmt: skip
NOTES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SCALES = {
    "Major": "major", "Minor": "minor", "Dorian": "dorian", "Mixolydian": "mixolydian", "Lydian": "lydian",
    "Phrygian": "phrygian", "Locrian": "locrian",
}  # fmt: skip
KINDRED_SCALES = {
    "Minor Blues": "minor", "Minor Pentatonic": "minor", "Harmonic Minor": "minor", "Melodic Minor": "minor",
    "Hungarian Minor": "minor", "Major Pentatonic": "major", "Harmonic Major": "major", "Dorian #4": "dorian",
    "Phrygian Dominant": "phrygian", "Lydian Augmented": "lydian", "Lydian Dominant": "lydian",
    "Super Locrian": "locrian",
}  # fmt: skip


class Locator(NamedTuple):
    """A locator of the set."""

    beat: float
    name: str


class Span(NamedTuple):
    """A stretch of beats: the loop brace, a clip."""

    start: float
    end: float


Section = Dict[str, Any]
"""As the protocol has it: name, label, start, end, words."""


def text2key(text: str) -> tuple[str, str] | None:
    """("A", "minor") out of "Am", "F# dorian", "Bb major", "C"; None for anything else."""
    match = TONIC.match(text.strip())
    if not match:
        return None
    mode = "major" if match.group(3) == "M" else MODES.get(match.group(3).strip().lower())
    return (match.group(1).upper() + match.group(2), mode) if mode else None


def scale2key(root: int, scale: str) -> tuple[tuple[str, str] | None, str]:
    """Key of Live's root note (0 is C) and scale name, and what to say about it ("" for nothing)."""
    tonic = NOTES[root % 12]
    if scale in SCALES:
        return (tonic, SCALES[scale]), ""
    if scale in KINDRED_SCALES:
        mode = KINDRED_SCALES[scale]
        return (tonic, mode), f"The band takes the scale {tonic} {scale} as {tonic} {mode}."
    return None, f"The band does not know the scale '{scale}'; it listens for the key instead."


def split_keys(locators: Sequence[Locator]) -> tuple[list[dict[str, Any]], list[Locator]]:
    """Keys of the locators called `key=...`, and the other locators in order. Raises `Trouble` for no known key."""
    keys: list[dict[str, Any]] = []
    others: list[Locator] = []
    for locator in sorted(locators):
        match = KEY.match(locator.name)
        if not match:
            others.append(locator)
            continue
        key = text2key(match.group(1))
        if key is None:
            raise Trouble(f"The locator '{locator.name}' names no key. Write it like key=Am or key=D dorian.")
        keys.append({"beat": locator.beat, "tonic": key[0], "mode": key[1]})
    return keys, others


def locators2sections(locators: Sequence[Locator], song_end: float) -> list[Section]:
    """Sections between consecutive locators; the last ends with the song's last clip (`song_end`), or is as long as
    the one before it. A locator called "End" begins none. "Verse 1: brushed drums" is "Verse 1" with these words.
    """
    sections: list[Section] = []
    ordered = sorted(locators)
    for i, locator in enumerate(ordered):
        if locator.name.strip().lower() in SONG_END:
            continue
        if i + 1 < len(ordered):
            end = ordered[i + 1].beat
        elif song_end > locator.beat + NEAR:
            end = song_end
        else:
            end = locator.beat + (sections[-1]["end"] - sections[-1]["start"] if sections else LAST_BEATS)
        if end > locator.beat + NEAR:
            sections.append(section(locator.name, locator.beat, end, len(sections) + 1))
    return sections


def section(text: str, start: float, end: float, number: int) -> Section:
    """A section out of a locator's text; without a name it is called by its number."""
    name, colon, told = text.partition(":")
    if not name.strip() and not colon:
        name = ""
    name = name.strip()[:MAX_NAME].strip() or f"Section {number}"
    return {
        "name": name, "label": name2label(name) or DEFAULT, "start": start, "end": end,
        "words": told.strip()[:MAX_WORDS],
    }  # fmt: skip


def within(sections: Sequence[Section], span: Span) -> list[Section]:
    """The parts of the sections that lie in `span`; where none does, the span itself as one section."""
    found = []
    for whole in sections:
        start, end = max(whole["start"], span.start), min(whole["end"], span.end)
        if end > start + NEAR:
            found.append(dict(whole, start=start, end=end))
    return found or [section("Selection", span.start, span.end, 1)]


def named(sections: Sequence[Section], wanted: Sequence[str]) -> list[Section]:
    """The sections whose name or label is one of `wanted` (lower case). All for none. Raises `Trouble` for no match."""
    if not wanted:
        return list(sections)
    found = [s for s in sections if s["name"].lower() in wanted or s["label"] in wanted]
    if not found:
        raise Trouble("No locator begins a section called {}.".format(" or ".join(f"'{word}'" for word in wanted)))
    return found


def after(sections: Sequence[Section], beat: float) -> list[Section]:
    """The sections that begin at `beat` or later, if the first begins right there; the parts after `beat` else."""
    return [dict(s, start=max(s["start"], beat)) for s in sections if s["end"] > beat + NEAR]
