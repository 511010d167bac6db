"""Chord charts of the package `plainsong` (PyPI, MIT): key, metre, sections and chords; no melody, no words.

Charts say how songs go on, not which songs they are: titles are not kept. Charts that say the same as another are read
once; what is held out are whole collections.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from bridge.arrangement import LABEL_ENERGY, MODES, TONICS
from bridge.timeline import Bar, Metre
from engine.score import Chord, FormSection, Key
from engine.training.sources.source import Origin, SourceMissing, digest_of

PACKAGE = "PyPI: plainsong"
HELD_OUT = (
    "english/soul-rb",
    "english/folk",
    "french/pop-classics",
    "japanese/pop-classics",
    "german/folk-traditional",
)
"""Collections that are kept for judging."""
QUALITY_OF = {
    "": "", "m": "m", "dim": "dim", "°": "dim", "aug": "aug", "+": "aug", "sus2": "sus2", "sus4": "sus4", "sus": "sus4",
    "7": "7", "maj7": "maj7", "M7": "maj7", "m7": "m7", "m7b5": "m7b5", "ø": "m7b5", "dim7": "dim7", "°7": "dim7",
    "6": "6", "m6": "m6", "9": "9", "5": "", "add9": "", "2": "sus2", "4": "sus4", "maj9": "maj7", "maj": "",
    "m9": "m7", "m11": "m7", "11": "7", "13": "9", "7sus4": "sus4", "9sus4": "sus4", "7b9": "7", "7#9": "7",
    "7#5": "7", "7b5": "7", "mmaj7": "m", "mM7": "m", "6/9": "6", "69": "6", "madd9": "m", "maj7#11": "maj7",
    "7#11": "7", "7alt": "7", "aug7": "7",
    "maj13": "maj7", "m13": "m7", "min": "m", "min7": "m7", "-": "m", "-7": "m7",
}  # fmt: skip
"""Chord names of charts -> the fourteen qualities; what is richer is told by the nearest."""
WORDS = {
    "verse": "verse", "chorus": "chorus", "refrain": "chorus", "hook": "chorus", "bridge": "bridge", "intro": "intro",
    "outro": "outro", "ending": "outro", "coda": "outro", "end": "outro", "tag": "outro", "solo": "solo",
    "instrumental": "solo", "interlude": "interlude", "pre-chorus": "pre-chorus", "prechorus": "pre-chorus",
    "post-chorus": "post-chorus", "break": "break", "breakdown": "break", "drop": "drop", "head": "verse",
    "turnaround": "interlude", "theme": "verse", "a": "verse", "b": "bridge", "c": "chorus",
}  # fmt: skip
SYMBOL = re.compile(r"([A-G][b#]?)([^/\s]*|6/9)(?:/([A-G][b#]?))?$")
MOST_BARS = 120


@dataclass(frozen=True)
class Chart:
    """One chart over its own form, from beat 0, in its own key."""

    collection: str
    key: Key
    metre: Metre
    sections: tuple[FormSection, ...]
    chords: tuple[Chord, ...]

    def moved(self, up: int) -> tuple[tuple[FormSection, ...], Key, tuple[Chord, ...]]:
        """Form, key and chords, `up` semitones higher."""
        key = Key((self.key.tonic + up) % 12, self.key.mode)
        chords = (
            replace(c, root=(c.root + up) % 12, bass=None if c.bass is None else (c.bass + up) % 12)
            for c in self.chords
        )
        return self.sections, key, tuple(chords)


def folder() -> Path:
    """Where the package keeps its charts. Raises `SourceMissing`."""
    found = importlib.util.find_spec("plainsong")
    place = Path(found.origin).parent / "songbook" if found and found.origin else None
    if place is None or not place.is_dir():
        raise SourceMissing("the chord charts are not installed (pip install 'stembridge[train]')")
    return place


def collection_of(path: Path, top: Path) -> str:
    """A chart's collection: its folder below the book."""
    return path.parent.relative_to(top).as_posix()


@lru_cache(maxsize=4)
def charts(*, unseen: bool) -> tuple[Chart, ...]:
    """Charts of one side of the split, those that can be read, each progression once. Raises `SourceMissing`.

    A progression that occurs on both sides belongs to the one that trains.
    """
    top = folder()
    files = sorted(top.rglob("*.song"), key=lambda p: (collection_of(p, top) in HELD_OUT, p.as_posix()))
    seen: set[str] = set()
    out = []
    for path in files:
        chart = text2chart(path.read_text(encoding="utf-8"), collection_of(path, top))
        if chart is None:
            continue
        print_of = hashlib.sha256(repr(relative(chart)).encode()).hexdigest()
        if print_of not in seen:
            seen.add(print_of)
            if (chart.collection in HELD_OUT) == unseen:
                out.append(chart)
    return tuple(out)


def relative(chart: Chart) -> list[tuple[float, int, str]]:
    """A chart's chords told from its tonic."""
    return [(c.beat, (c.root - chart.key.tonic) % 12, c.quality) for c in chart.chords]


def text2chart(text: str, collection: str) -> Chart | None:
    """The chart that a file says; None where it has no metre of quarters or eighths, no bar, or a chord is unknown."""
    key = read_key(text)
    time = re.search(r"time:\s*(\d+)/(\d+)", text)
    if key is None or time is None or int(time[2]) not in (4, 8) or not 2 <= int(time[1]) <= 12:
        return None
    metre = Metre(0.0, int(time[1]), int(time[2]))
    bars: list[list[str]] = []
    forms: list[tuple[str, int]] = []
    for title, body in read_sections(text):
        found = [cells for line in body for cells in line if cells]
        if found:
            forms.append((title2label(title), len(found)))
            bars += found
    if not 4 <= len(bars) <= MOST_BARS:
        return None
    chords = bars2chords(bars, metre)
    return None if chords is None else Chart(collection, key, metre, counts2form(forms, metre), chords)


def read_key(text: str) -> Key | None:
    """The key that a chart names: "Am", "F# minor", "D dorian"."""
    found = re.search(r"key:\s*([A-G][b#]?)\s*([A-Za-z]*)", text)
    if found is None:
        return None
    mode = {"": "major", "m": "minor", "min": "minor", "maj": "major"}.get(found[2], found[2].lower())
    return Key(TONICS[found[1]], mode) if mode in MODES and found[1] in TONICS else None


def read_sections(text: str) -> Iterator[tuple[str, list[list[list[str]]]]]:
    """(title, lines of bars of cells) of each section."""
    title = ""
    lines: list[list[list[str]]] = []
    for line in text.splitlines():
        head = re.match(r"\[(?!MetaData)([^\]]*)\]\s*(?:\(([^)]*)\))?", line)
        if head:
            if lines:
                yield title, lines
            title, lines = head[2] or head[1], []
        elif line.startswith("Chords:"):
            lines.append([bar.split() for bar in line[7:].split("|")])
    if lines:
        yield title, lines


def title2label(title: str) -> str:
    """The label of a section's title; a verse where nothing is known."""
    words = re.split(r"[\s\d]+", title.lower().split(" - ")[0].strip())
    return next((WORDS[w] for w in words if w in WORDS), "verse")


def symbol2chord(symbol: str) -> tuple[int, str, int | None] | None:
    """(root, quality, bass or None) of a chord's name; None where it is none that is known."""
    found = SYMBOL.match(symbol)
    if found is None or found[2] not in QUALITY_OF or found[1] not in TONICS:
        return None
    bass = TONICS.get(found[3]) if found[3] else None
    root = TONICS[found[1]]
    return root, QUALITY_OF[found[2]], None if bass == root else bass


def bars2chords(bars: list[list[str]], metre: Metre) -> tuple[Chord, ...] | None:
    """Chords of bars whose cells share the bar evenly ("." goes on); None where a name is unknown."""
    out: list[Chord] = []
    for b, cells in enumerate(bars):
        width = metre.bar_beats / len(cells)
        for i, cell in enumerate(cells):
            at = b * metre.bar_beats + i * width
            if cell in (".", "%", "-", "/"):
                if not out:
                    return None
                out[-1] = Chord(out[-1].beat, at + width - out[-1].beat, out[-1].root, out[-1].quality, out[-1].bass)
                continue
            said = symbol2chord(cell)
            if said is None:
                return None
            if i and out and (out[-1].root, out[-1].quality, out[-1].bass) == said:
                out[-1] = Chord(out[-1].beat, at + width - out[-1].beat, *said)
            else:
                out.append(Chord(at, width, *said))
    return tuple(out)


def counts2form(forms: list[tuple[str, int]], metre: Metre) -> tuple[FormSection, ...]:
    """Sections of so many bars each, one after the other; each label has its usual energy, rising as it returns."""
    out, seen, bar = [], dict.fromkeys((label for label, _ in forms), 0), 0
    width = metre.bar_beats
    for label, count in forms:
        bars = tuple(Bar(bar + i, (bar + i) * width, (bar + i + 1) * width, metre) for i in range(count))
        energy = min(LABEL_ENERGY[label] + 0.04 * seen[label], 1.0)
        out.append(
            FormSection(f"{label} {seen[label] + 1}", label, bars[0].start, bars[-1].end, energy, seen[label], bars)
        )
        seen[label] += 1
        bar += count
    return tuple(out)


def origin() -> Origin:
    """For the data card. Raises `SourceMissing`."""
    count, digest = digest_of(sorted(folder().rglob("*.song")))
    return Origin("charts", PACKAGE, "MIT (plainsong)", "forms and chords, in all keys, played by the groove book and "
                  "by MMA; the plan's training songs", count, digest, HELD_OUT)  # fmt: skip
