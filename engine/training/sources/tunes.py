"""Folk tunes as leads: O'Neill's, Ryan's and Aird's collections in music21's corpus (PyPI, code BSD).

The collections were printed in 1850-1903, 1883 and 1778-1801 and are in the public domain; their transcribers gave the
files to music21's corpus, whose general note warns of single files with terms of their own. So each file is read for
such terms (`clear`) and left out where it has any. A tune plays over chords that our harmoniser fits to it, with a
groove of the book for the other streams.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from bridge.arrangement import LABEL_ENERGY
from bridge.timeline import Bar, Metre
from engine.compose.harmonise import harmonise
from engine.diffusion.canvas import STREAMS
from engine.grooves import Groove, book
from engine.score import Chord, FormSection, Key, Note
from engine.training.songs import HELD_OUT as HELD_OUT_GROOVES
from engine.training.songs import Song, play
from engine.training.sources.abc import Tune, abc2tunes
from engine.training.sources.arranging import grid_of, notes2song
from engine.training.sources.source import Origin, SourceMissing, digest_of

PACKAGE = "PyPI: music21"
COLLECTIONS = ("oneills1850", "ryansMammoth", "airdsAirs")
HELD_OUT = ("airdsAirs",)
"""A whole collection is kept for judging."""
TERMS = re.compile(r"copyright|\(c\)|licen[cs]e|permission|commercial|rights reserved", re.I)
LABEL_OF_PART = ("verse", "chorus", "bridge", "solo")
HIGHEST = 88


def folder() -> Path:
    """The corpus. Raises `SourceMissing`."""
    found = importlib.util.find_spec("music21")
    place = Path(found.origin).parent / "corpus" if found and found.origin else None
    if place is None or not place.is_dir():
        raise SourceMissing("music21's corpus of folk tunes is not installed (pip install 'stembridge[train]')")
    return place


def clear(text: str) -> bool:
    """Whether a file names no terms of its own."""
    return TERMS.search(text) is None


def files(*, unseen: bool | None = None) -> tuple[Path, ...]:
    """The files that are read: all, or one side of the split. Raises `SourceMissing`."""
    top = folder()
    chosen = [c for c in COLLECTIONS if unseen is None or (c in HELD_OUT) == unseen]
    return tuple(sorted(p for c in chosen for p in (top / c).glob("*.abc")))


@lru_cache(maxsize=2)
def tunes(*, unseen: bool) -> tuple[tuple[str, Tune], ...]:
    """(collection, tune) of one side of the split."""
    out = []
    for path in files(unseen=unseen):
        text = path.read_text(encoding="utf-8", errors="replace")
        if clear(text):
            out += [(path.parent.name, tune) for tune in abc2tunes(text)]
    return tuple(out)


def tune2form(tune: Tune, metre: Metre, scale: float) -> tuple[tuple[FormSection, ...], tuple[Note, ...]] | None:
    """Sections of a tune's parts, from beat 0, and its notes; parts that sound alike share a label. A pick-up before
    the first part is left out. None where the parts are no whole bars."""
    shift = tune.parts[0] if tune.parts else 0.0
    notes = tuple(
        replace(n, start=(n.start - shift) * scale, length=n.length * scale)
        for n in tune.notes
        if n.start >= shift - 1e-9
    )
    starts = sorted({round((p - shift) * scale / metre.bar_beats) for p in tune.parts} | {0})
    total = round((tune.end - shift) * scale / metre.bar_beats)
    edges = [s for s in starts if s < total] + [total]
    if total < 8 or any(b - a < 4 for a, b in pairwise(edges)):
        return None
    prints: list[tuple[int, ...]] = []
    out, seen = [], dict.fromkeys(LABEL_OF_PART, 0)
    for a, b in pairwise(edges):
        start, end = a * metre.bar_beats, b * metre.bar_beats
        mine = tuple(n.pitch for n in notes if start <= n.start < end)[:8]
        if mine not in prints:
            prints.append(mine)
        label = LABEL_OF_PART[min(prints.index(mine), len(LABEL_OF_PART) - 1)]
        bars = tuple(Bar(i, i * metre.bar_beats, (i + 1) * metre.bar_beats, metre) for i in range(a, b))
        out.append(FormSection(f"{label} {seen[label] + 1}", label, start, end, LABEL_ENERGY[label], seen[label], bars))
        seen[label] += 1
    return tuple(out), notes


def make(number: int, pool: Sequence[tuple[str, Tune]], grooves: Sequence[Groove], seed: int) -> Song | None:
    """Song `number`: a tune at random with a groove of its metre; None where they do not fit."""
    rng = np.random.default_rng((seed, 11, number))
    collection, tune = pool[int(rng.integers(len(pool)))]
    twice = (tune.beats, tune.unit) == (2, 4) and rng.random() < 0.6
    beats, unit, scale = (4, 4, 2.0) if twice else (tune.beats, tune.unit, 1.0)
    shape = tune2form(tune, Metre(0.0, beats, unit), scale)
    grid = grid_of([n.start for n in shape[1]]) if shape else None
    fit = [g for g in grooves if (g.beats, g.unit, g.steps_per_quarter) == (beats, unit, grid)]
    if shape is None or not fit:
        return None
    sections, melody = shape
    up = int(rng.integers(-5, 7))
    if max(n.pitch for n in melody) + up > HIGHEST:
        up -= 12
    melody = tuple(replace(n, pitch=n.pitch + up) for n in melody if n.start < sections[-1].end - 1e-9)
    key = Key((tune.key.tonic + up) % 12, tune.key.mode)
    chords: list[Chord] = []
    for i, section in enumerate(sections):
        inside = [n for n in melody if n.start < section.end and n.end > section.start]
        chords += harmonise(section, inside, key, closes=i == len(sections) - 1)
    playing = np.ones((len(sections), len(STREAMS)), dtype=bool)
    for s, odds in (("drums", 0.15), ("bass", 0.1), ("comp", 0.1), ("pad", 0.4), ("arp", 0.6), ("lead", 1.0)):
        if rng.random() < odds:
            playing[:, STREAMS.index(s)] = False
    groove = fit[int(rng.integers(len(fit)))]
    notes, fills = play(groove, sections, tuple(chords), key, playing, rng, with_fills=rng.random() < 0.6)
    notes["lead"] = tuple(replace(n, velocity=accent(n.start, beats * 4.0 / unit)) for n in melody)
    return notes2song(f"tunes/{collection}", notes, sections, tuple(chords), key, groove.steps_per_quarter, fills=fills)


def accent(beat: float, bar_beats: float) -> int:
    """Velocity of a melody's note by its place: the bar's first one louder, those off the beat softer."""
    inside = beat % bar_beats
    return 96 if inside < 1e-6 else 84 if abs(inside - round(inside)) < 1e-6 else 76


def songs(count: int, *, unseen: bool, seed: int = 1) -> Iterator[Song]:
    """Up to `count` songs of one side of the split, tunes and grooves both."""
    pool = tunes(unseen=unseen)
    grooves = [g for g in book() if (g.name in HELD_OUT_GROOVES) == unseen]
    for number in range(count):
        song = make(number, pool, grooves, seed)
        if song is not None:
            yield song


def origin() -> Origin:
    """For the data card. Raises `SourceMissing`."""
    read = [p for p in files() if clear(p.read_text(encoding="utf-8", errors="replace"))]
    count, digest = digest_of(read)
    return Origin("tunes", PACKAGE, "tunes public domain; transcriptions as music21 distributes them, each file free "
                  "of terms of its own", "leads over chords that we fit, with grooves of the book", count, digest,
                  HELD_OUT)  # fmt: skip
