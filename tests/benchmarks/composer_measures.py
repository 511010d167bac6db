"""What a composer's answer is measured by, against the held-out truth and by itself.

Conventions: an `Answer` is a whole song, what was given and what was written; `hidden` [bars, streams] says which bars
were written. Pairwise measures look at hidden bars only; the others at whole songs. Rates are 0-1, entropies in bits;
None where there is nothing to measure. Definitions: groove consistency and pitch-class entropy after the Jazz
Transformer (Wu and Yang 2020), overlapping area of histograms after Yang and Lerch (2018), here of pooled histograms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Bar
from engine.compose.measure import GRID, backbeat_stability, bar_notes, chord_tone_rate, kick_bass_agreement, overlap
from engine.compose.pitches import chord_at
from engine.diffusion.canvas import STREAMS, Canvas
from engine.score import Note

PITCHED = STREAMS[1:]
Notes = Mapping[str, Sequence[Note]]
Hidden = NDArray[np.bool_]
PITCH_BINS = np.arange(0, 129, 1)
LENGTH_BINS = np.array([0, 0.2, 0.3, 0.45, 0.6, 0.9, 1.2, 1.8, 2.4, 3.6, 4.8, 1e9])
IOI_BINS = np.array([0, 0.2, 0.3, 0.4, 0.6, 0.9, 1.2, 1.8, 2.4, 3.6, 4.8, 1e9])
DENSITY_BINS = np.array([0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 1e9])
"""Lengths and distances in beats, densities in notes a bar."""
FEATURES = {"pitch": PITCH_BINS, "length": LENGTH_BINS, "IOI": IOI_BINS, "density": DENSITY_BINS}
Histograms = dict[str, dict[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class Answer:
    """`canvas`: form, chords, key and the true notes; `notes`: all notes of the answer by stream, sorted by start."""

    canvas: Canvas
    hidden: Hidden
    notes: Notes


def found_notes(answer: Answer) -> dict[str, NDArray[np.float64]]:
    """Per stream [2, 3]: onsets and onsets with pitch; common, written and true ones in the hidden bars."""
    out: dict[str, NDArray[np.float64]] = {}
    for s, stream in enumerate(STREAMS):
        truth = _events(answer, answer.canvas.notes.get(stream, ()), s)
        mine = _events(answer, answer.notes.get(stream, ()), s)
        pairs: list[tuple[set[Any], set[Any]]] = [({t for t, _ in mine}, {t for t, _ in truth}), (mine, truth)]
        out[stream] = np.array([[len(a & b), len(a), len(b)] for a, b in pairs], dtype=np.float64)
    return out


def f1(counts: NDArray[np.float64]) -> float | None:
    """F1 of (common, written, true); None where there is neither."""
    return float(2 * counts[0] / (counts[1] + counts[2])) if counts[1] + counts[2] else None


def _events(answer: Answer, notes: Sequence[Note], stream: int) -> set[tuple[int, int]]:
    """(step, pitch) of the notes that begin in the stream's hidden bars."""
    grid = answer.canvas.grid
    steps = ((grid.beat2step(n.start), n.pitch) for n in notes)
    return {
        (step, pitch)
        for step, pitch in steps
        if step is not None and step < grid.steps and answer.hidden[grid.bar[step], stream]
    }


def bars_of(canvas: Canvas) -> list[Bar]:
    """All bars in order."""
    return [bar for section in canvas.sections for bar in section.bars]


def strong_chord_tones(answer: Answer, stream: str) -> float | None:
    """Share of a pitched stream's notes on strong beats that belong to the chord."""
    return chord_tone_rate(answer.notes.get(stream, ()), bars_of(answer.canvas), answer.canvas.chords)


def in_key(answer: Answer) -> float | None:
    """Share of the pitched notes in the key's scale, or in the chord of the moment, which the request gave."""
    key, chords = answer.canvas.key, answer.canvas.chords
    notes = _pitched(answer)
    if not notes:
        return None
    inside = 0
    for note in notes:
        chord = chord_at(chords, note.start)
        inside += note.pitch % 12 in key.scale or (chord is not None and note.pitch % 12 in chord.pitch_classes)
    return inside / len(notes)


def groove_consistency(answer: Answer) -> float | None:
    """How alike neighbouring bars' kick and snare are."""
    return backbeat_stability(answer.notes.get("drums", ()), bars_of(answer.canvas))


def kick_bass(answer: Answer) -> float | None:
    """Overlap of the kick's and the bass's onsets."""
    return kick_bass_agreement(answer.notes.get("drums", ()), answer.notes.get("bass", ()), bars_of(answer.canvas))


def density_ratio(answer: Answer) -> float | None:
    """Notes in hidden bars as a share of the true ones: the request's density."""
    counts = found_notes(answer).values()
    true = sum(c[1, 2] for c in counts)
    return float(sum(c[1, 1] for c in counts) / true) if true else None


def density_error(answer: Answer) -> float | None:
    """How far each stream's notes in the hidden bars are from the true number, as a share of it, weighted by it."""
    counts = [c[1] for c in found_notes(answer).values()]
    true = sum(c[2] for c in counts)
    return float(sum(abs(c[1] - c[2]) for c in counts) / true) if true else None


def pitch_class_entropy(answer: Answer) -> float | None:
    """Bits of the distribution of pitch classes of all pitched notes."""
    counts = Counter(n.pitch % 12 for n in _pitched(answer))
    share = np.array(list(counts.values()), dtype=np.float64)
    return float(-(share / share.sum() * np.log2(share / share.sum())).sum()) if len(share) else None


def section_likeness(answer: Answer, same: bool) -> float | None:
    """Likeness of bars at the same place in two sections of the same label (or of two labels), over all streams and
    pairs of sections: onsets with drum pitch, or with the pitch's distance from the chord's root."""
    rows = {stream: _bar_sets(answer, stream) for stream in STREAMS}
    first = np.concatenate(([0], np.cumsum([len(s.bars) for s in answer.canvas.sections])))
    likeness: list[float] = []
    for (i, a), (j, b) in combinations(enumerate(answer.canvas.sections), 2):
        if (a.label == b.label) != same:
            continue
        for k in range(min(len(a.bars), len(b.bars))):
            for bars in rows.values():
                x, y = bars[int(first[i]) + k], bars[int(first[j]) + k]
                likeness += [overlap(x, y)] if x or y else []
    return float(np.mean(likeness)) if likeness else None


def _bar_sets(answer: Answer, stream: str) -> list[frozenset[tuple[int, int]]]:
    out = []
    for bar in bars_of(answer.canvas):
        found = set()
        for note in bar_notes(answer.notes.get(stream, ()), bar):
            chord = None if stream == "drums" else chord_at(answer.canvas.chords, note.start)
            pitch = note.pitch if chord is None else (note.pitch - chord.root) % 12
            found.add((round((note.start - bar.start) * GRID), pitch))
        out.append(frozenset(found))
    return out


def _pitched(answer: Answer) -> list[Note]:
    return [n for stream in PITCHED for n in answer.notes.get(stream, ())]


def histograms(canvas: Canvas, notes: Notes) -> Histograms:
    """Per feature and stream: counts of pitch, length (drums have none), distance between onsets, notes a bar."""
    bars = bars_of(canvas)
    out: Histograms = {feature: {} for feature in FEATURES}
    for stream in STREAMS:
        mine = notes.get(stream, ())
        starts = sorted({round(n.start, 3) for n in mine})
        values: dict[str, list[float]] = {
            "pitch": [n.pitch for n in mine],
            "length": [n.length for n in mine if stream != "drums"],
            "IOI": [b - a for a, b in pairwise(starts)],
            "density": [len(found) for bar in bars if (found := bar_notes(mine, bar))],
        }
        for feature, bins in FEATURES.items():
            out[feature][stream] = np.histogram(values[feature], bins)[0].astype(np.float64)
    return out


def overlapping_area(a: Mapping[str, NDArray[np.float64]], b: Mapping[str, NDArray[np.float64]]) -> float | None:
    """Mean over streams of the common area of two normalised histograms; a stream that only one of them plays is 0."""
    areas = []
    for stream in b:
        x, y = a[stream], b[stream]
        if y.sum():
            areas.append(float(np.minimum(x / x.sum(), y / y.sum()).sum()) if x.sum() else 0.0)
    return float(np.mean(areas)) if areas else None


Measure = Callable[[Answer], float | None]
MUSICAL: dict[str, Measure] = {
    **{f"tones {s}": (lambda a, s=s: strong_chord_tones(a, s)) for s in PITCHED},  # type: ignore[misc]
    "in key": in_key,
    "groove": groove_consistency,
    "kick-bass": kick_bass,
    "dens ratio": density_ratio,
    "dens err": density_error,
    "PC bits": pitch_class_entropy,
    "same lab": lambda a: section_likeness(a, True),
    "diff lab": lambda a: section_likeness(a, False),
}
"""Columns that need no second song beside the truth."""
