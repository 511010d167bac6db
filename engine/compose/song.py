"""All that the parts are written from, and every stream's seed: the groove's bars, fills, ending, the lead's tune."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from engine.compose.form import BarShape, SectionShape
from engine.compose.keys import Keys
from engine.compose.melody import write_bar
from engine.compose.pitches import EPS, clip_notes, no_overlaps
from engine.compose.vary import vary_bar
from engine.compose.wishes import Wish
from engine.grooves import Groove, Voicing, ending, fill, last_voicing, realise, tidy
from engine.score import Chord, FormSection, Key, Note

CRASH, CRASH_2 = 49, 57
SEED_BARS = 2
"""Bars of every label's first section that seed the parts model (LELM: more seeds leave it nothing to write)."""


@dataclass(frozen=True)
class Song:
    """Form, chords and groove of the song that is being written. `seed` moves everything that is drawn. `bpm`: its mean
    tempo in quarter notes. `safe`: what is written is held to harmony and hands (`engine.compose.safe`). `wishes`: what
    stems are asked for beyond the groove, by title."""

    shapes: tuple[SectionShape, ...]
    chords: tuple[Chord, ...]
    keys: Keys
    groove: Groove
    seed: int
    bpm: float = 120.0
    safe: bool = True
    wishes: Mapping[str, Wish] = field(default_factory=dict)

    @property
    def triplet(self) -> bool:
        """Whether beats split in three."""
        return self.groove.feel == "triplet"

    @cached_property
    def bars(self) -> tuple[BarShape, ...]:
        """All bars in order; their index is a row of the canvas."""
        return tuple(bar for shape in self.shapes for bar in shape.bars)

    @cached_property
    def owners(self) -> tuple[int, ...]:
        """Index of the section of each bar."""
        return tuple(i for i, shape in enumerate(self.shapes) for _ in shape.bars)

    @property
    def form(self) -> tuple[FormSection, ...]:
        """The sections."""
        return tuple(shape.section for shape in self.shapes)

    @property
    def key(self) -> Key:
        """The key that the song begins in."""
        return self.keys.first

    def key_at(self, bar: BarShape) -> Key:
        """The key in force where a bar begins."""
        return self.keys.at(bar.bar.start)

    def draw(self, *salt: object) -> np.random.Generator:
        """A generator of its own for every purpose, so that one draw never shifts another."""
        return np.random.default_rng([self.seed, zlib.crc32(repr(salt).encode())])

    def near(self, bar: BarShape) -> tuple[Chord, ...]:
        """Chords from a bar's start to the end of the bar after it."""
        span = bar.whole.end - bar.whole.start
        found = tuple(c for c in self.chords if c.end > bar.whole.start + EPS and c.beat < bar.whole.end + span - EPS)
        return found or self.chords[:1]


def seed_stream(song: Song, stream: str) -> tuple[Note, ...]:
    """One stream for the whole song by form rule: the groove's bars at each section's level, fills, the ending, and a
    small change where a phrase ends, a different one in a section's second coming. A riff that goes round is answered:
    every eighth bar closes."""
    notes: list[Note] = []
    voice: Voicing | None = None
    tune: int | None = None
    for shape in song.shapes:
        riff = stream == "lead" and _plays_riff(song, shape)
        stretch: list[Note] = []
        for bar in shape.bars:
            if stream not in bar.streams:
                voice = tune = None
                continue
            if stream == "lead" and (not riff or bar.position % 8 == 7):
                near, key = song.near(bar), song.key_at(bar)
                written = list(
                    write_bar(shape, bar, near, key, tune, triplet=song.triplet, seed=song.seed, bpm=song.bpm)
                )
                tune = written[-1].pitch if written else tune
            else:
                written = groove_bar(song, stream, shape, bar, voice)
            voice = last_voicing(written) or voice
            stretch += written
        notes += clip_notes(tidy(stretch, stream), shape.section.start, shape.section.end)
    return no_overlaps(notes)


def groove_bar(song: Song, stream: str, shape: SectionShape, bar: BarShape, voice: Voicing | None = None) -> list[Note]:
    """What the groove plays in `bar`: pattern, fill or ending, cut to the section; crashes as the form says."""
    chords, key = song.near(bar), song.key_at(bar)
    if bar.ending:
        notes = ending(song.groove, stream, bar.whole, chords, key, voice)
    elif bar.fill:
        notes = fill(
            song.groove, stream, bar.whole, chords, key, level=bar.level, bar_in_section=bar.position,
            variant=fill_variant(song, bar), voice=voice,
        )  # fmt: skip
    else:
        notes = realise(song.groove, bar.level, stream, bar.whole, bar.position, chords, key, voice)
    if not notes and stream != "lead" and bar.level in ("intro", "bridge"):
        notes = realise(song.groove, "verse", stream, bar.whole, bar.position, chords, key, voice)
    notes = [n for n in notes if bar.bar.start - EPS <= n.start < bar.bar.end - EPS]
    phrase_ends = bar.position % 4 == 3 or (len(shape.bars) < 4 and bar.position == len(shape.bars) - 1)
    if phrase_ends and not bar.fill and not bar.ending:
        rng = song.draw("vary", stream, shape.section.label, shape.section.index, bar.position)
        notes = list(vary_bar(stream, notes, bar.bar, chords, key, rng, steps=song.groove.steps_per_quarter))
    return _crashed(notes, bar) if stream == "drums" else notes


def fill_variant(song: Song, bar: BarShape) -> int:
    """Which of the groove's fills: the fuller half of them, or a stop of the band, before something big; the lighter
    half otherwise."""
    fills = song.groove.fills
    drums = [len(f.streams["drums"].events) if "drums" in f.streams else 0 for f in fills]
    order = [int(i) for i in np.argsort(drums, kind="stable")]
    stops = [i for i in order if fills[i].name == "stop"]
    going = [i for i in order if i not in stops] or stops
    half = (len(going) + 1) // 2
    choice = going[-half:] + stops if bar.fill == "big" else going[:half]
    return choice[int(song.draw("fill", bar.bar.index).integers(len(choice)))]


def seed_rows(song: Song, stream: str) -> frozenset[int]:
    """Bars that stand on the canvas as seeds: the first two of every label and level in which the stream plays, fills,
    endings."""
    rows: set[int] = set()
    seen: dict[tuple[str, str], int] = {}
    for row, (bar, owner) in enumerate(zip(song.bars, song.owners, strict=True)):
        if stream not in bar.streams:
            continue
        kind = (song.shapes[owner].section.label, bar.level)
        if bar.ending or (bar.fill and stream == "drums"):
            rows.add(row)
        elif seen.get(kind, 0) < SEED_BARS:
            seen[kind] = seen.get(kind, 0) + 1
            rows.add(row)
    return frozenset(rows)


def _plays_riff(song: Song, shape: SectionShape) -> bool:
    """Whether a label's lead is the groove's own line or a tune of its own: drawn once per label."""
    level = shape.bars[0].level
    has_riff = "lead" in song.groove.levels[level].streams
    return has_riff and bool(song.draw("riff", shape.section.label).random() < 0.4)


def _crashed(notes: Sequence[Note], bar: BarShape) -> list[Note]:
    """The crash on one that the form asks for, once; none where it asks for none."""
    on_one = [n for n in notes if n.pitch in (CRASH, CRASH_2) and n.start < bar.bar.start + EPS]
    if bar.crash and not on_one:
        return [*notes, Note(bar.bar.start, 0.25, CRASH, 104)]
    if not bar.crash and bar.position == 0 and not bar.ending:
        return [n for n in notes if n not in on_one]
    return list(notes)
