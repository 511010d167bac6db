"""Chords under a given melody: one triad of the scale per bar, found by dynamic programming.

A bar's triad earns the time in which the melody sounds its tones (notes on a pulse count more); neighbours earn by how
their roots move; a section likes to begin and, at the song's end, to close at home.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bridge.timeline import Bar
from engine.compose.measure import GRID, strong_beats
from engine.compose.pitches import EPS
from engine.score import QUALITIES, SCALES, Chord, FormSection, Key, Note

MOVES = {0: 0.25, 5: 0.4, 7: 0.35, 2: 0.3, 10: 0.3, 9: 0.35, 8: 0.3, 4: 0.2, 3: 0.2, 1: 0.05, 11: 0.05, 6: 0.0}
"""What a root's step up by so many semitones earns."""
HOME = 0.3
PULSE = 1.5
"""How much more a note on a pulse counts than one between."""


def harmonise(section: FormSection, melody: Sequence[Note], key: Key, *, closes: bool) -> tuple[Chord, ...]:
    """A chord per bar of `section` for `melody`; `closes`: the song ends. A bar without melody follows the motion."""
    triads = scale_triads(key)
    fit = np.array([[melody_fit(melody, bar, chord) for chord in triads] for bar in section.bars])
    fit[0, 0] += HOME
    if closes:
        fit[-1, 0] += 2 * HOME
    moves = np.array([[MOVES[(b.root - a.root) % 12] for b in triads] for a in triads])
    best, path = fit[0], []
    for row in fit[1:]:
        gains = best[:, None] + moves
        path.append(gains.argmax(axis=0))
        best = gains.max(axis=0) + row
    states = [int(best.argmax())]
    for back in reversed(path):
        states.append(int(back[states[-1]]))
    return tuple(
        Chord(bar.start, bar.end - bar.start, triads[k].root, triads[k].quality)
        for bar, k in zip(section.bars, reversed(states), strict=True)
    )


def scale_triads(key: Key) -> list[Chord]:
    """The scale's major and minor triads, the tonic's first; in a minor key the dominant is major."""
    scale = SCALES[key.mode]
    out = []
    for k, degree in enumerate(scale):
        tones = tuple((scale[(k + 2 * i) % 7] - degree) % 12 for i in range(3))
        quality = next((q for q in ("", "m") if QUALITIES[q] == tones), None)
        if key.mode == "minor" and k == 4:
            quality = ""
        if quality is None and k == 0:
            quality = "dim"
        if quality is not None:
            out.append(Chord(0.0, 0.0, (key.tonic + degree) % 12, quality))
    return out


def melody_fit(melody: Sequence[Note], bar: Bar, chord: Chord) -> float:
    """Share of the melody's weight in `bar` that `chord` holds, 0-1; half where nothing sounds."""
    strong = {round(b * GRID) for b in strong_beats(bar)}
    held = whole = 0.0
    for note in melody:
        sounding = min(note.end, bar.end) - max(note.start, bar.start)
        if sounding <= EPS:
            continue
        weight = sounding * (PULSE if round(note.start * GRID) in strong else 1.0)
        whole += weight
        held += weight * (note.pitch % 12 in chord.pitch_classes)
    return held / whole if whole else 0.5


def chords_fit(melody: Sequence[Note], bars: Sequence[Bar], chords: Sequence[Chord]) -> float | None:
    """Mean fit of `chords` to the melody over the bars in which it sounds; None where it is silent."""
    rows = []
    for bar in bars:
        if not any(n.end > bar.start + EPS and n.start < bar.end - EPS for n in melody):
            continue
        inside = [c for c in chords if c.end > bar.start + EPS and c.beat < bar.end - EPS]
        parts = [(min(c.end, bar.end) - max(c.beat, bar.start), c) for c in inside]
        spans = [
            (beats, melody_fit(melody, Bar(0, max(c.beat, bar.start), min(c.end, bar.end), bar.metre), c))
            for beats, c in parts
        ]
        total = sum(beats for beats, _ in spans)
        rows.append(sum(beats * fit for beats, fit in spans) / total if total else 0.0)
    return sum(rows) / len(rows) if rows else None
