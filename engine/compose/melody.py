"""A lead melody by rule: motifs, phrases of four bars, chord tones on the pulses, steps between them.

It is the seed of the lead stream, which no groove can hold: the parts model continues it, and where the model does
worse, it is the lead. A label's theme is made once, so a second verse sings the first one's tune over its chords;
only the ends of its phrases differ.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bridge.timeline import Metre
from engine.compose.form import BarShape, SectionShape
from engine.compose.pitches import EPS, chord_at, nearest, pulses, scale_tones, step
from engine.score import Chord, Key, Note

LOW, HIGH = 57, 86
CENTRES = {"intro": 69, "verse": 67, "bridge": 70, "chorus": 74, "ending": 69}
BUSYNESS = {"intro": 0.25, "verse": 0.5, "bridge": 0.4, "chorus": 0.62, "ending": 0.2}
FAST = 140.0
"""Quarter notes a minute above which a tune is thinned."""

Rhythm = tuple[tuple[float, float], ...]
"""(start, length) pairs in beats from the bar's start."""

BINARY: tuple[tuple[Rhythm, float, float], ...] = (
    (((0.0, 1.0),), 0.5, -0.3),
    (((0.0, 0.5), (0.5, 0.5)), 0.35, 0.5),
    (((0.5, 0.5),), 0.22, 0.15),
    (((0.0, 0.75), (0.75, 0.25)), 0.12, 0.2),
    (((0.0, 0.5), (0.5, 0.25), (0.75, 0.25)), 0.02, 0.2),
    ((), 0.3, -0.25),
)
"""One pulse split in two: rhythm of a pulse of length 1, its weight, and how the weight grows with busyness."""
TERNARY: tuple[tuple[Rhythm, float, float], ...] = (
    (((0.0, 1.0),), 0.5, -0.3),
    (((0.0, 2 / 3), (2 / 3, 1 / 3)), 0.4, 0.45),
    (((2 / 3, 1 / 3),), 0.2, 0.15),
    (((0.0, 1 / 3), (1 / 3, 1 / 3), (2 / 3, 1 / 3)), 0.05, 0.3),
    ((), 0.3, -0.25),
)
MOVES = (-2, -1, -1, -1, 0, 1, 1, 1, 2, 3)
"""Scale steps of a melody's contour; steps are commoner than leaps."""


@dataclass(frozen=True, slots=True)
class Motif:
    """A bar of tune without pitches: its rhythm and, for each note, the scale steps from the note before."""

    rhythm: Rhythm
    moves: tuple[int, ...]


def write_bar(
    shape: SectionShape,
    bar: BarShape,
    chords: Sequence[Chord],
    key: Key,
    before: int | None,
    *,
    triplet: bool,
    seed: int,
    bpm: float = 120.0,
) -> tuple[Note, ...]:
    """One bar of the theme of the section's label. `before` is the pitch that the tune comes from. At a fast tempo a
    tune has fewer notes in a bar."""
    section = shape.section
    theme = zlib.crc32(f"{section.label} {bar.level}".encode())
    final = bar.position == len(shape.bars) - 1
    place = bar.position % 4
    metre = bar.whole.metre
    length = bar.bar.end - bar.bar.start
    if bar.ending:
        motif = Motif(((0.0, length),), (0,))
    elif final or place == 3:
        turn = section.index + bar.position // 4
        motif = cadence(np.random.default_rng([seed, theme, 3, turn % 3]), metre, triplet)
    else:
        which = (0, 1, 0)[place]
        busyness = BUSYNESS[bar.level] - 0.3 * max(math.log2(bpm / FAST), 0.0)
        motif = make_motif(np.random.default_rng([seed, theme, which]), metre, triplet, busyness)
    return sing(motif, bar, chords, key, before, CENTRES[bar.level], home=final)


def sing(
    motif: Motif, bar: BarShape, chords: Sequence[Chord], key: Key, before: int | None, centre: int, *, home: bool
) -> tuple[Note, ...]:
    """Pitches for a motif: chord tones on the pulses, scale steps between; `home`: the last note rests on the chord."""
    strong = {round(at, 4) for at in _pulse_starts(bar.whole.metre)}
    late = bar.bar.start - bar.whole.start
    notes: list[Note] = []
    pitch = before
    for i, ((start, length), move) in enumerate(zip(motif.rhythm, motif.moves, strict=True)):
        if start < late - EPS or bar.whole.start + start >= bar.bar.end - EPS:
            continue
        at = bar.whole.start + start
        chord = chord_at(chords, at)
        tones = chord.pitch_classes if chord else frozenset(_triad(key))
        scale = scale_tones(key, chord)
        if pitch is None:
            pitch = nearest(centre, tones, LOW, HIGH)
        else:
            bend = -1 if pitch > centre + 6 else 1 if pitch < centre - 6 else 0
            pitch = step(pitch, move if not bend else bend * max(abs(move), 1), scale)
            resting = home and i == len(motif.rhythm) - 1
            if round(start, 4) in strong or resting or length >= 1.0:
                pitch = nearest(pitch, tones, max(LOW, centre - 9), min(HIGH, centre + 10))
        sounding = min(length, bar.bar.end - at)
        velocity = 100 if start < EPS else 92 if round(start, 4) in strong else 82
        notes.append(Note(at, sounding * (0.95 if length >= 0.5 else 0.9), pitch, velocity))
    return tuple(notes)


def make_motif(rng: np.random.Generator, metre: Metre, triplet: bool, busyness: float) -> Motif:
    """A bar of rhythm from pulse cells (a note may be held over an empty pulse) and a contour of small steps."""
    rhythm: list[tuple[float, float]] = []
    at = 0.0
    for length in pulses(metre.beats, metre.unit):
        cells = TERNARY if _ternary(length, metre, triplet) else BINARY
        weights = np.array([max(weight + slope * (busyness - 0.4), 0.01) for _, weight, slope in cells])
        cell = cells[int(rng.choice(len(cells), p=weights / weights.sum()))][0]
        if not cell and rhythm and rng.random() < 0.6:
            rhythm[-1] = (rhythm[-1][0], at + length - rhythm[-1][0])
        rhythm += [(at + start * length, part * length) for start, part in cell]
        at += length
    if not rhythm:
        rhythm = [(0.0, pulses(metre.beats, metre.unit)[0])]
    return Motif(tuple(rhythm), tuple(int(rng.choice(MOVES)) for _ in rhythm))


def cadence(rng: np.random.Generator, metre: Metre, triplet: bool) -> Motif:
    """The end of a phrase: a few notes, a long one, and a breath."""
    lengths = pulses(metre.beats, metre.unit)
    if len(lengths) < 2:
        return Motif(((0.0, lengths[0]),), (-1,))
    lead_in = (
        make_motif(rng, Metre(0.0, 1, 4), triplet, 0.7) if lengths[0] == 1.0 else Motif(((0.0, lengths[0]),), (1,))
    )
    rest = sum(lengths[1:])
    long = rest * float(rng.choice((0.5, 0.67, 0.75)))
    return Motif((*lead_in.rhythm, (lengths[0], long)), (*lead_in.moves, int(rng.choice((-1, -1, 1, 2)))))


def _ternary(length: float, metre: Metre, triplet: bool) -> bool:
    """Whether a pulse splits in three: dotted pulses always, quarter pulses in a triplet feel."""
    return abs(length - 12.0 / metre.unit) < EPS or (triplet and metre.unit <= 4)


def _pulse_starts(metre: Metre) -> list[float]:
    starts, at = [], 0.0
    for length in pulses(metre.beats, metre.unit):
        starts.append(at)
        at += length
    return starts


def _triad(key: Key) -> tuple[int, ...]:
    scale = sorted(scale_tones(key, None), key=lambda tone: (tone - key.tonic) % 12)
    return scale[0], scale[2], scale[4]
