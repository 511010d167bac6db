"""Is it music? Measurements on notes that the composer chooses by and the benchmark reports.

Conventions: beats are quarter notes; rates are 0-1; `None` where there is nothing to measure. Positions in a bar are
compared on a grid of twelfths of a beat, which holds sixteenths and triplets alike. The metrics follow the ones in
use for symbolic music (groove consistency and chord-tone rates as in the Jazz Transformer's MusDr and in MusPy).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from bridge.timeline import Bar
from engine.compose.pitches import EPS, chord_at, pulses
from engine.score import Chord, FormSection, Key, Note

KICKS = (35, 36)
SNARES = (37, 38, 39, 40)
GRID = 12


def bar_notes(notes: Sequence[Note], bar: Bar) -> tuple[Note, ...]:
    """Notes (sorted by start) that begin in `bar`."""
    first = bisect_left(notes, bar.start - EPS, key=lambda n: n.start)
    return tuple(notes[first : bisect_left(notes, bar.end - EPS, lo=first, key=lambda n: n.start)])


def onsets(notes: Sequence[Note], bar: Bar, pitches: Sequence[int] | None = None) -> frozenset[int]:
    """Grid positions in `bar` (twelfths of a beat from its start) where a note begins; only of `pitches` if given."""
    chosen = bar_notes(notes, bar)
    return frozenset(round((n.start - bar.start) * GRID) for n in chosen if pitches is None or n.pitch in pitches)


def overlap(a: frozenset[int] | frozenset[tuple[int, int]], b: frozenset[int] | frozenset[tuple[int, int]]) -> float:
    """Jaccard similarity of two sets; two empty ones are alike."""
    return 1.0 if not a and not b else len(a & b) / len(a | b)


def density_error(notes: Sequence[Note], bars: Sequence[Bar], notes_per_bar: float) -> float:
    """How far the notes per bar are from what was asked, as a share of it."""
    if not bars:
        return 0.0
    have = sum(len(bar_notes(notes, bar)) for bar in bars) / len(bars)
    return abs(have - notes_per_bar) / max(notes_per_bar, 1.0)


def kick_bass_agreement(drums: Sequence[Note], bass: Sequence[Note], bars: Sequence[Bar]) -> float | None:
    """Overlap of the kick's and the bass's onsets, mean over the bars where both play."""
    rows = [(onsets(drums, bar, KICKS), onsets(bass, bar)) for bar in bars]
    both = [overlap(kick, low) for kick, low in rows if kick and low]
    return sum(both) / len(both) if both else None


def kick_on_one(drums: Sequence[Note], bars: Sequence[Bar]) -> float | None:
    """Share of the bars with drums that have a kick on the first beat."""
    played = [bar for bar in bars if bar_notes(drums, bar)]
    hits = [0 in onsets(drums, bar, KICKS) for bar in played]
    return sum(hits) / len(hits) if hits else None


def backbeat_stability(drums: Sequence[Note], bars: Sequence[Bar]) -> float | None:
    """How alike neighbouring bars' kick and snare are (groove consistency)."""
    rows = [
        frozenset(
            (round((n.start - bar.start) * GRID), int(n.pitch in KICKS))
            for n in bar_notes(drums, bar)
            if n.pitch in KICKS or n.pitch in SNARES
        )
        for bar in bars
    ]
    rows = [row for row in rows if row]
    pairs = [overlap(a, b) for a, b in pairwise(rows)]
    return sum(pairs) / len(pairs) if pairs else None


def same_label_similarity(notes: Sequence[Note], form: Sequence[FormSection], chords: Sequence[Chord]) -> float | None:
    """Likeness of the same bar in sections of the same label: onsets with pitch relative to the chord's root."""

    def row(bar: Bar) -> frozenset[tuple[int, int]]:
        found: set[tuple[int, int]] = set()
        for note in bar_notes(notes, bar):
            chord = chord_at(chords, note.start)
            found.add((round((note.start - bar.start) * GRID), (note.pitch - (chord.root if chord else 0)) % 12))
        return frozenset(found)

    likeness: list[float] = []
    for section in form:
        if section.index == 0:
            continue
        first = next(f for f in form if f.label == section.label)
        pairs = zip(first.bars, section.bars, strict=False)
        likeness += [overlap(a, b) for a, b in ((row(x), row(y)) for x, y in pairs) if a or b]
    return sum(likeness) / len(likeness) if likeness else None


def strong_beats(bar: Bar) -> tuple[float, ...]:
    """Beats at which a pulse of the bar begins."""
    at, beats = bar.start, []
    for length in pulses(bar.metre.beats, bar.metre.unit):
        if at < bar.end - EPS:
            beats.append(at)
        at += length
    return tuple(beats)


def chord_tone_rate(notes: Sequence[Note], bars: Sequence[Bar], chords: Sequence[Chord]) -> float | None:
    """Share of the notes beginning on a pulse that belong to the chord."""
    hits: list[bool] = []
    for bar in bars:
        strong = {round(b * GRID) for b in strong_beats(bar)}
        for note in bar_notes(notes, bar):
            chord = chord_at(chords, note.start)
            if round(note.start * GRID) in strong and chord is not None:
                hits.append(note.pitch % 12 in chord.pitch_classes)
    return sum(hits) / len(hits) if hits else None


def root_rate(bass: Sequence[Note], bars: Sequence[Bar], chords: Sequence[Chord]) -> float | None:
    """Share of the bass notes on a bar's first beat, or where a chord begins, that are the chord's bass note."""
    begins = {round(c.beat * GRID) for c in chords} | {round(b.start * GRID) for b in bars}
    hits: list[bool] = []
    for note in bass:
        chord = chord_at(chords, note.start)
        if round(note.start * GRID) in begins and chord is not None:
            hits.append(note.pitch % 12 == (chord.root if chord.bass is None else chord.bass))
    return sum(hits) / len(hits) if hits else None


def in_key_rate(notes: Sequence[Note], key: Key) -> float | None:
    """Share of the notes whose pitch class belongs to the key."""
    return sum(n.pitch % 12 in key.scale for n in notes) / len(notes) if notes else None


def covered_by(notes: Sequence[Note], spans: Sequence[tuple[float, float]]) -> float:
    """Share of the notes that sound inside one of the sorted, disjoint `spans` (a given melody's)."""
    if not notes or not spans:
        return 0.0
    ends = [b for _, b in spans]
    hits = 0
    for note in notes:
        i = bisect_right(ends, note.start + EPS)
        hits += i < len(spans) and spans[i][0] < note.end - EPS
    return hits / len(notes)


def leaps(notes: Sequence[Note]) -> float | None:
    """Share of the steps between neighbouring notes of a melody that leap by more than a fifth."""
    moves = [abs(b.pitch - a.pitch) for a, b in pairwise(notes)]
    return sum(m > 7 for m in moves) / len(moves) if moves else None
