"""Strikes: notes that begin together, and how strong the places of a bar are.

Ranks of places: 0 the bar's first beat, 1 another pulse, 2 the middle of a pulse (or a third of one), 3 anything finer.
Beats are quarter notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from engine.compose.form import BarShape
from engine.compose.pitches import EPS, chord_at, nearest, pulses, scale_tones
from engine.score import Chord, Key, Note

Strike = tuple[Note, ...]
NEAR = 0.02
"""Beats within which two onsets are one strike."""
FASTEST_SECONDS = {
    "drums": 0.06, "bass": 0.1, "keys": 0.09, "guitar": 0.085, "brass": 0.11, "pad": 0.2, "strings": 0.11,
    "arp": 0.055, "lead": 0.075,
}  # fmt: skip
"""Seconds between two strikes that a player of the role can still play for bars on end."""


def notes2strikes(notes: Sequence[Note]) -> list[Strike]:
    """Notes (sorted by start) that begin together, in order."""
    out: list[list[Note]] = []
    for note in notes:
        if out and note.start - out[-1][0].start < NEAR:
            out[-1].append(note)
        else:
            out.append([note])
    return [tuple(strike) for strike in out]


def place2rank(beat: float, bar: BarShape) -> int:
    """How strong the place of `beat` in its bar is, 0 (the one) to 3."""
    place = beat - bar.whole.start
    if abs(place) < NEAR:
        return 0
    at = 0.0
    for length in pulses(bar.whole.metre.beats, bar.whole.metre.unit):
        if abs(place - at) < NEAR:
            return 1
        if at < place < at + length - NEAR:
            parts = (1 / 3, 2 / 3) if abs(length - 12.0 / bar.whole.metre.unit) < EPS else (1 / 2, 1 / 3, 2 / 3)
            return 2 if any(abs(place - at - length * part) < NEAR for part in parts) else 3
        at += length
    return 3


def grid_places(bar: BarShape, steps: int) -> list[float]:
    """Beats of the grid, `steps` per quarter note, that lie in the bar."""
    span = bar.whole.end - bar.whole.start
    places = [bar.whole.start + k / steps for k in range(round(span * steps))]
    return [p for p in places if bar.bar.start - EPS <= p < bar.bar.end - EPS]


def fastest_beats(role: str, bpm: float) -> float:
    """Beats between two strikes of the role at `bpm` that are still playable."""
    return FASTEST_SECONDS[role] * bpm / 60.0


def repitch(pitch: int, old: Chord | None, new: Chord | None, key: Key) -> int:
    """A pitch over chord `old` as its like over `new`: chord tone to chord tone, else the nearest tone of the scale."""
    if old is None or new is None or (old.root, old.quality) == (new.root, new.quality):
        return pitch
    shift = (new.root - old.root + 6) % 12 - 6
    tones = new.pitch_classes if pitch % 12 in old.pitch_classes else scale_tones(key, new)
    return nearest(pitch + shift, tones, max(pitch + shift - 6, 0), min(pitch + shift + 6, 127))


def struck_at(strike: Strike, beat: float, length: float, chords: Sequence[Chord], key: Key, softer: int) -> Strike:
    """The strike once more at `beat`, over the chord that sounds there."""
    old, new = chord_at(chords, strike[0].start), chord_at(chords, beat)
    return tuple(
        replace(
            n, start=beat, length=length, pitch=repitch(n.pitch, old, new, key),
            velocity=max(n.velocity - softer, 1), offset_ms=0.0,
        )
        for n in strike
    )  # fmt: skip


def released(strike: Strike, beat: float) -> Strike:
    """The strike, let go by `beat` at the latest."""
    return tuple(replace(n, length=beat - n.start) if n.end > beat + EPS else n for n in strike)


def chord_begins(chords: Sequence[Chord], beat: float) -> bool:
    """Whether another chord begins at `beat`."""
    here, before = chord_at(chords, beat), chord_at(chords, beat - 2 * NEAR)
    return here is not None and before is not None and here != before and abs(here.beat - beat) < NEAR


def sections_of(rows: Sequence[int], owners: Sequence[int]) -> list[list[int]]:
    """Rows (bars) in order, section by section."""
    return [list(group) for _, group in groupby(sorted(rows), key=lambda row: owners[row])]
