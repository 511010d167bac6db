"""Small helpers on chords, scales and notes that the composing files share. Beats are quarter notes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace

from engine.score import SCALES, Chord, Key, Note

EPS = 1e-6


def chord_at(chords: Sequence[Chord], beat: float) -> Chord | None:
    """The chord that sounds at `beat`; the one before it where none does; None without chords."""
    i = bisect_right(chords, beat + EPS, key=lambda c: c.beat) - 1
    return chords[max(i, 0)] if chords else None


def chords_in(chords: Sequence[Chord], start: float, end: float) -> tuple[Chord, ...]:
    """Chords that sound in [start, end), cut to it."""
    return tuple(
        replace(c, beat=max(c.beat, start), beats=min(c.end, end) - max(c.beat, start))
        for c in chords
        if c.end > start + EPS and c.beat < end - EPS
    )


def scale_tones(key: Key, chord: Chord | None) -> frozenset[int]:
    """Pitch classes a melody may use over `chord`: the mode's scale, bent to the chord where the chord leaves it."""
    scale = {(key.tonic + d) % 12 for d in SCALES[key.mode]}
    if chord is None:
        return frozenset(scale)
    bent = set(scale)
    for tone in chord.pitch_classes - scale:
        bent -= {(tone + 1) % 12, (tone - 1) % 12} - chord.pitch_classes
        bent.add(tone)
    return frozenset(bent)


def nearest(pitch: float, classes: Iterable[int], low: int, high: int) -> int:
    """The pitch in [low, high] of one of `classes` that is nearest to `pitch`, the lower one of two equals."""
    allowed = set(classes)
    pitches = [p for p in range(low, high + 1) if p % 12 in allowed]
    return min(pitches, key=lambda p: (abs(p - pitch), p)) if pitches else round(min(max(pitch, low), high))


def step(pitch: int, steps: int, classes: frozenset[int]) -> int:
    """`pitch` moved by `steps` places along the scale of pitch `classes`."""
    direction = 1 if steps > 0 else -1
    for _ in range(abs(steps)):
        pitch += direction
        while pitch % 12 not in classes:
            pitch += direction
    return pitch


def clip_notes(notes: Iterable[Note], start: float, end: float) -> tuple[Note, ...]:
    """Notes that begin in [start, end), shortened to end by `end`, in time order."""
    kept = (
        replace(n, length=min(n.length, end - n.start)) if n.end > end + EPS else n
        for n in notes
        if start - EPS <= n.start < end - EPS
    )
    return in_order(n for n in kept if n.length > EPS)


def in_order(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Notes by start, then pitch; of notes that strike the same pitch at once the loudest one stays."""
    best: dict[tuple[float, int], Note] = {}
    for note in notes:
        slot = (round(note.start, 6), note.pitch)
        if slot not in best or best[slot].velocity < note.velocity:
            best[slot] = note
    return tuple(sorted(best.values(), key=lambda n: (n.start, n.pitch)))


def no_overlaps(notes: Sequence[Note]) -> tuple[Note, ...]:
    """Notes in order, each shortened to the next strike of its own pitch."""
    following: dict[int, float] = {}
    kept: list[Note] = []
    for note in reversed(in_order(notes)):
        stop = following.get(note.pitch)
        following[note.pitch] = note.start
        kept.append(replace(note, length=stop - note.start) if stop is not None and note.end > stop + EPS else note)
    return tuple(reversed(kept))


def pulses(beats: int, unit: int) -> tuple[float, ...]:
    """Lengths in quarter notes of a bar's felt pulses: 6/8 has two dotted ones, 7/8 goes 2+2+3, 4/4 has four."""
    if unit >= 8 and beats % 3 == 0 and beats > 3:
        return (12.0 / unit,) * (beats // 3)
    if unit >= 8:
        pairs, rest = divmod(beats, 2)
        lengths = [8.0 / unit] * pairs
        if rest and lengths:
            lengths[-1] += 4.0 / unit
        return tuple(lengths) or (4.0 / unit,)
    return (4.0 / unit,) * beats
