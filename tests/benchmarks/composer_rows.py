"""Anchors for a composer: what simple rules write into the hidden bars of a held-out song.

All return every stream's notes of the whole song: given bars as they are, hidden ones written. Rules that copy tokens
follow the chords by themselves; rules that copy notes do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Bar
from engine.compose.measure import bar_notes
from engine.compose.pitches import EPS, in_order
from engine.diffusion.canvas import STREAMS
from engine.diffusion.parts import given_notes
from engine.diffusion.tokens import notes2tokens, tokens2notes
from engine.diffusion.vocabulary import FIRST, HOLD, REST, Vocabulary
from engine.score import Note
from engine.training.evaluate import section_of_bar
from engine.training.songs import Song
from tests.benchmarks.composer_measures import Hidden, Notes, bars_of


class NoAnswer(RuntimeError):
    """A row has nothing to say to this song; the text says why."""


Cells = NDArray[np.int16]
Source = Callable[[int, int], int | None]


def truth(song: Song, hidden: Hidden) -> Notes:
    """What was really played."""
    return song.canvas.notes


def previous_bar(song: Song, hidden: Hidden) -> Source:
    """The bar before (as it was given, or copied itself); at the beginning the next given one."""

    def source(b: int, s: int) -> int | None:
        shown = np.flatnonzero(~hidden[:, s])
        before = shown[shown < b]
        return int(before[-1]) if len(before) else int(shown[0]) if len(shown) else None

    return source


def label_bar(song: Song, hidden: Hidden) -> Source:
    """The same bar of another section of the label, else the given bars of the label in turn, else the bar before."""
    owner = section_of_bar(song.canvas)
    first = np.concatenate(([0], np.cumsum([len(s.bars) for s in song.canvas.sections])))
    labels = [s.label for s in song.canvas.sections]
    before = previous_bar(song, hidden)

    def source(b: int, s: int) -> int | None:
        at = b - int(first[owner[b]])
        kin = [i for i, label in enumerate(labels) if label == labels[owner[b]]]
        same = [int(first[i]) + at for i in kin if at < first[i + 1] - first[i] and not hidden[int(first[i]) + at, s]]
        if same:
            return same[0]
        shown = [c for i in kin for c in range(int(first[i]), int(first[i + 1])) if not hidden[c, s]]
        return shown[at % len(shown)] if shown else before(b, s)

    return source


def copy_notes(song: Song, hidden: Hidden, source: Source) -> Notes:
    """Hidden bars say the notes of other bars again, as they stand."""
    bars = bars_of(song.canvas)
    kept = _given(song, hidden)
    out = {}
    for s, stream in enumerate(STREAMS):
        notes = list(kept[stream])
        for b in np.flatnonzero(hidden[:, s]):
            a = source(int(b), s)
            notes += moved(song.canvas.notes[stream], bars[a], bars[b]) if a is not None else []
        out[stream] = in_order(notes)
    return out


def moved(notes: Sequence[Note], source: Bar, target: Bar, up: int = 0) -> list[Note]:
    """The notes of one bar in another, those that begin past its end left out."""
    shift = target.start - source.start
    return [
        replace(n, start=n.start + shift, pitch=n.pitch + up)
        for n in bar_notes(notes, source)
        if n.start + shift < target.end - EPS
    ]


def copy_cells(song: Song, hidden: Hidden, source: Source, vocabulary: Vocabulary) -> Cells:
    """Cells [T, 6] where each hidden bar takes another bar's (None: rests)."""
    canvas = song.canvas
    whole = notes2tokens(canvas, vocabulary)
    cells = whole.copy()
    first = canvas.grid.first
    for b, s in zip(*np.nonzero(hidden), strict=True):
        span = slice(int(first[b]), int(first[b + 1]))
        cells[span, s] = REST
        a = source(int(b), int(s))
        if a is not None:
            taken = whole[int(first[a]) : int(first[a + 1]), s][: span.stop - span.start].copy()
            taken[: int(np.argmax(taken != HOLD)) if (taken != HOLD).any() else len(taken)] = REST
            cells[span.start : span.start + len(taken), s] = taken
    return cells


def cells2answer(song: Song, hidden: Hidden, cells: Cells, vocabulary: Vocabulary) -> Notes:
    """The notes of written cells beside the given ones."""
    written = tokens2notes(cells, replace(song.canvas, given=~hidden), vocabulary)
    kept = _given(song, hidden)
    return {s: in_order((*kept[s], *written[s])) for s in STREAMS}


def other_song(song: Song, hidden: Hidden, others: Sequence[Song], rng: np.random.Generator) -> Notes:
    """Bars drawn from another held-out song of the same metre and another groove, moved to the key. Raises `NoAnswer`
    where there is none."""
    bars = bars_of(song.canvas)
    length = round(bars[0].end - bars[0].start, 3)
    pool = [o for o in others if o.groove != song.groove and round(_bar_beats(o), 3) == length] or [
        o for o in others if o is not song
    ]
    if not pool:
        raise NoAnswer("there is no other song")
    other = pool[int(rng.integers(len(pool)))]
    up = (song.canvas.key.tonic - other.canvas.key.tonic + 6) % 12 - 6
    theirs = bars_of(other.canvas)
    kept = _given(song, hidden)
    out = {}
    for s, stream in enumerate(STREAMS):
        notes = list(kept[stream])
        full = [bar for bar in theirs if bar_notes(other.canvas.notes[stream], bar)]
        for b in np.flatnonzero(hidden[:, s]) if full else ():
            bar = full[int(rng.integers(len(full)))]
            notes += moved(other.canvas.notes[stream], bar, bars[b], 0 if stream == "drums" else up)
        out[stream] = in_order(notes)
    return out


def unigram(
    song: Song, hidden: Hidden, counts: Sequence[NDArray[np.float64]], vocabulary: Vocabulary, rng: np.random.Generator
) -> Notes:
    """Every hidden cell drawn by itself from how often the training songs say it. `counts[s]`: [ids] of stream s."""
    cells = notes2tokens(song.canvas, vocabulary)
    where = hidden[song.canvas.grid.bar]
    for s in range(len(STREAMS)):
        drawn = rng.choice(len(counts[s]), size=int(where[:, s].sum()), p=counts[s] / counts[s].sum())
        cells[where[:, s], s] = drawn
    for t in range(1, len(cells)):
        stray = where[t] & (cells[t] == HOLD) & (cells[t - 1] == REST)
        cells[t, stray] = REST
    return cells2answer(song, hidden, cells, vocabulary)


def count_cells(songs: Sequence[Song], vocabulary: Vocabulary) -> list[NDArray[np.float64]]:
    """How often each cell value is said where a stream plays, smoothed by a hundredth of a time: [ids] per stream."""
    sizes = [vocabulary.sizes[s] + FIRST for s in STREAMS]
    counts = [np.full(size, 0.01) for size in sizes]
    for song in songs:
        cells = notes2tokens(song.canvas, vocabulary)
        playing = song.playing[song.canvas.grid.section]
        for s, size in enumerate(sizes):
            counts[s] += np.bincount(cells[playing[:, s], s], minlength=size)
    return counts


def _bar_beats(song: Song) -> float:
    bar = song.canvas.sections[0].bars[0]
    return bar.end - bar.start


def _given(song: Song, hidden: Hidden) -> dict[str, tuple[Note, ...]]:
    return given_notes(replace(song.canvas, given=~hidden))
