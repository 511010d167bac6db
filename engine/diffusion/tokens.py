"""Notes and chords <-> the token grid.

A cell [t, s] of the grid says what stream s does in step t: rest, hold (the note struck before rings on) or an onset
token of the vocabulary. Lines keep one note per step (bass the lowest, arp and lead the highest), voiced streams one
release per chord. A note struck at most half a beat before a chord change and held over it is read against the new
chord (an anticipation).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from engine.diffusion.canvas import STREAMS, Canvas, Grid
from engine.diffusion.vocabulary import FIRST, HOLD, REST, Hits, Shape, Vocabulary, pitches2shape, velocity2level
from engine.score import Chord, Key, Note

PUSH = 0.5


def home_chord(key: Key) -> Chord:
    """What stands in where a step has no chord: the triad on the tonic."""
    third = "m" if (key.tonic + 3) % 12 in key.scale and (key.tonic + 4) % 12 not in key.scale else ""
    return Chord(0.0, 0.0, key.tonic, third)


def struck(notes: Sequence[Note], grid: Grid, stream: str) -> dict[int, tuple[list[Note], int]]:
    """Step -> the notes struck there and the step before which they stop."""
    at: dict[int, list[Note]] = {}
    for note in notes:
        step = grid.beat2step(note.start)
        if step is not None and step < grid.steps:
            at.setdefault(step, []).append(note)
    out: dict[int, tuple[list[Note], int]] = {}
    for step, group in sorted(at.items()):
        if stream in ("bass", "arp", "lead"):
            pick = min if stream == "bass" else max
            group = [pick(group, key=lambda n: n.pitch)]
        width = grid.step_beats(int(grid.bar[step]))
        length = 1 if stream == "drums" else max(1, round(median(n.length for n in group) / width))
        out[step] = (group, min(step + length, grid.steps))
    steps = list(out)
    for step, after in pairwise(steps):
        out[step] = (out[step][0], min(out[step][1], after))
    return out


def chord_for(canvas: Canvas, start: int, stop: int) -> Chord:
    """The chord that a note over steps [start, stop) is read against."""
    chords, at = canvas.chords, canvas.grid.chord
    now = int(at[start])
    reach = min(stop - 1, start + int(PUSH * canvas.steps_per_quarter), canvas.grid.steps - 1)
    for step in range(start + 1, reach + 1):
        if at[step] != now:
            now = int(at[step])
            break
    return chords[now] if now >= 0 else home_chord(canvas.key)


def group2hits(group: Sequence[Note]) -> Hits:
    """Drum combination of notes struck together."""
    return tuple(sorted({n.pitch: velocity2level(n.velocity, "drums", n.pitch) for n in group}.items()))


def group2shape(group: Sequence[Note], chord: Chord, key: Key) -> Shape:
    """Voicing shape of notes struck together."""
    return pitches2shape(tuple(sorted({n.pitch for n in group})), chord, key)


def notes2tokens(canvas: Canvas, vocabulary: Vocabulary) -> NDArray[np.int16]:
    """All notes of a canvas, given or not, as cells [T, 6]."""
    grid = canvas.grid
    cells = np.full((grid.steps, len(STREAMS)), REST, dtype=np.int16)
    for s, stream in enumerate(STREAMS):
        for step, (group, stop) in struck(canvas.notes.get(stream, ()), grid, stream).items():
            if stream == "drums":
                token = vocabulary.hits2id(group2hits(group))
            else:
                chord = chord_for(canvas, step, stop)
                level = velocity2level(round(median(n.velocity for n in group)), stream, group[0].pitch)
                if stream in ("comp", "pad"):
                    pitches = tuple(sorted({n.pitch for n in group}))
                    token = vocabulary.voices2id(stream, pitches, level, chord, canvas.key)
                else:
                    token = vocabulary.line2id(stream, group[0].pitch, level, chord, canvas.key)
            cells[step, s] = FIRST + token
            cells[step + 1 : stop, s] = HOLD
    return cells


def tokens2notes(cells: NDArray[np.int16], canvas: Canvas, vocabulary: Vocabulary) -> dict[str, tuple[Note, ...]]:
    """Notes of every bar that is not given. Holds that follow nothing written are rests; notes end where a given bar
    begins."""
    grid = canvas.grid
    out: dict[str, tuple[Note, ...]] = {}
    for s, stream in enumerate(STREAMS):
        given = canvas.given[grid.bar, s]
        notes: list[Note] = []
        for step in np.flatnonzero((cells[:, s] >= FIRST) & ~given):
            start, stop = int(step), int(step) + 1
            while stop < grid.steps and cells[stop, s] == HOLD and not given[stop] and grid.joins(stop):
                stop += 1
            beat = grid.step2beat(start)
            end = min(grid.end_beat(start, stop), beat + 0.25) if stream == "drums" else grid.end_beat(start, stop)
            chord = chord_for(canvas, start, stop)
            hits = vocabulary.id2notes(stream, int(cells[start, s]) - FIRST, chord, canvas.key)
            notes += [Note(float(beat), float(end - beat), int(pitch), int(velocity)) for pitch, velocity in hits]
        out[stream] = tuple(notes)
    return out
