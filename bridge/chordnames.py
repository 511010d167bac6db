"""From a chord's name as musicians write it to root, quality and bass: "Bbmaj9", "F#m7b5", "C/E".

Conventions: pitch classes 0 for C to 11 for B; qualities by their names in a score. What a name says beyond the ninth
(elevenths, thirteenths) is refused rather than guessed.
"""

from __future__ import annotations

import re

from bridge.arrangement import TONICS
from bridge.errors import RequestError

OPEN = ("", "N.C.", "NC", "-")
"""Names of no chord: from here on the band chooses."""
NAMES: dict[str, tuple[str, ...]] = {
    "": ("", "maj", "major", "M"),
    "m": ("m", "min", "minor", "mi", "-"),
    "dim": ("dim", "o", "°", "mb5", "m(b5)"),
    "aug": ("aug", "+", "#5", "(#5)"),
    "sus2": ("sus2",),
    "sus4": ("sus4", "sus"),
    "7": ("7", "dom7"),
    "maj7": ("maj7", "M7", "ma7", "Δ", "Δ7", "j7"),
    "m7": ("m7", "min7", "mi7", "-7"),
    "m7b5": ("m7b5", "m7(b5)", "min7b5", "-7b5", "ø", "ø7"),
    "dim7": ("dim7", "o7", "°7"),
    "6": ("6", "maj6", "M6"),
    "m6": ("m6", "min6", "-6"),
    "9": ("9", "dom9"),
    "maj9": ("maj9", "M9", "ma9", "Δ9", "j9"),
    "m9": ("m9", "min9", "mi9", "-9"),
    "add9": ("add9", "(add9)", "add2", "2"),
    "madd9": ("madd9", "m(add9)", "minadd9", "madd2"),
    "69": ("69", "6/9", "6add9"),
    "7b9": ("7b9", "7(b9)", "7-9"),
    "7#9": ("7#9", "7(#9)", "7+9"),
    "7sus4": ("7sus4", "7sus"),
    "9sus4": ("9sus4", "9sus"),
    "mmaj7": ("mmaj7", "m(maj7)", "mM7", "minmaj7", "-maj7"),
}
"""Quality -> its spellings after the root."""
_SPELT = {spelling: quality for quality, spellings in NAMES.items() for spelling in spellings}
_SHAPE = re.compile(r"([A-G][b#♭♯]?)(.*?)(?:/([A-G][b#♭♯]?))?\Z")


def name2chord(symbol: str, field: str = "") -> tuple[int, str, int | None] | None:
    """(root, quality, slash bass or None) of a chord's name; None for one of `OPEN`. Raises `RequestError` on `field`
    for a name that is none, or that says more than a ninth."""
    text = symbol.strip()
    if text in OPEN:
        return None
    match = _SHAPE.match(text)
    quality = _SPELT.get(match[2].replace("♭", "b").replace("♯", "#").replace(" ", "")) if match else None
    if match is None or quality is None:
        raise RequestError(
            "chord.name",
            f"{symbol[:40]!r} is no chord that the band knows.",
            field=field,
            hint="C, Am7, F#m7b5, Bb9, Dmaj9, G7sus4, C/E; N.C. where it shall choose.",
        )
    root = TONICS[_plain(match[1])]
    bass = TONICS[_plain(match[3])] if match[3] else None
    return root, quality, None if bass == root else bass


def _plain(name: str) -> str:
    return name.replace("♭", "b").replace("♯", "#")
