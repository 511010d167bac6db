"""Training songs as arrays: cells, context, what may be hidden; built once, kept in one file.

`python -m engine.training.data` writes it. Songs lie one after the other over all steps; `first[i]`..`first[i + 1]` are
the steps of song i.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.diffusion.context import Context, canvas2context
from engine.diffusion.tokens import chord_for, group2hits, group2shape, notes2tokens, struck
from engine.diffusion.vocabulary import VOICED, Hits, Shape, Vocabulary
from engine.training.songs import Song


@dataclass(frozen=True)
class SongArrays:
    """One song: cells [T, 6], its context, `bar`, `section` [T], `resting` [T, 6] (streams left out of the section),
    `fill` [T] (the step lies in a fill or ending)."""

    cells: NDArray[np.int16]
    context: Context
    bar: NDArray[np.int32]
    section: NDArray[np.int16]
    resting: NDArray[np.bool_]
    fill: NDArray[np.bool_]

    @property
    def steps(self) -> int:
        """T."""
        return len(self.cells)


@dataclass(frozen=True)
class Corpus:
    """Songs and the names of the grooves that they were made from."""

    songs: tuple[SongArrays, ...]
    grooves: tuple[str, ...]
    vocabulary: Vocabulary

    def only(self, names: Sequence[str]) -> Corpus:
        """The songs of some grooves."""
        keep = [i for i, name in enumerate(self.grooves) if name in set(names)]
        return Corpus(tuple(self.songs[i] for i in keep), tuple(self.grooves[i] for i in keep), self.vocabulary)

    def without(self, names: Sequence[str]) -> Corpus:
        """The songs of all other grooves."""
        return self.only(sorted(set(self.grooves) - set(names)))


def song2arrays(song: Song, vocabulary: Vocabulary) -> SongArrays:
    """Cells and context of a song."""
    grid = song.canvas.grid
    context = canvas2context(song.canvas)
    return SongArrays(
        notes2tokens(song.canvas, vocabulary),
        context,
        grid.bar.astype(np.int32),
        grid.section.astype(np.int16),
        ~song.playing[grid.section],
        song.fills[grid.bar],
    )


def collect_vocabulary(songs: Sequence[Song]) -> Vocabulary:
    """Drum combinations and voicing shapes of the songs."""
    drums: list[Hits] = []
    shapes: dict[str, list[Shape]] = {s: [] for s in VOICED}
    for song in songs:
        canvas = song.canvas
        for group, _ in struck(canvas.notes["drums"], canvas.grid, "drums").values():
            drums.append(group2hits(group))
        for stream in VOICED:
            for step, (group, stop) in struck(canvas.notes[stream], canvas.grid, stream).items():
                shapes[stream].append(group2shape(group, chord_for(canvas, step, stop), canvas.key))
    return Vocabulary.collect(drums, shapes)


CONTEXT = tuple(f.name for f in fields(Context))
PLAIN = ("cells", "bar", "section", "resting", "fill")


def save_corpus(path: Path, corpus: Corpus) -> None:
    """One .npz; look-ups are stored relative to their song."""
    arrays = {name: np.concatenate([getattr(s, name) for s in corpus.songs]) for name in PLAIN}
    arrays |= {name: np.concatenate([getattr(s.context, name) for s in corpus.songs]) for name in CONTEXT}
    first = np.concatenate(([0], np.cumsum([s.steps for s in corpus.songs])))
    path.parent.mkdir(parents=True, exist_ok=True)
    about = json.dumps({"grooves": corpus.grooves, "vocabulary": corpus.vocabulary.to_json()})
    np.savez_compressed(path, allow_pickle=False, first=first, about=np.array(about), **arrays)


def load_corpus(path: Path) -> Corpus:
    """Inverse of `save_corpus`."""
    with np.load(path) as file:
        about = json.loads(str(file["about"]))
        first = file["first"]
        arrays = {name: file[name] for name in (*PLAIN, *CONTEXT)}
    songs = []
    for a, b in pairwise(first):
        context = Context(**{name: arrays[name][a:b] for name in CONTEXT})
        plain = {name: arrays[name][a:b] for name in PLAIN}
        songs.append(SongArrays(context=context, **plain))
    return Corpus(tuple(songs), tuple(about["grooves"]), Vocabulary.from_json(about["vocabulary"]))
