"""Second parts of a stream: another guitar, strings over a pad, brass, percussion, a harmony line.

Each is arranged around what its stream already plays: another pattern (the one that falls least on the same
beats), another register, never a copy.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bridge.timeline import Bar
from engine.compose.form import BarShape, SectionShape
from engine.compose.keys import Keys
from engine.compose.kindred import kindred_comp
from engine.compose.measure import bar_notes, onsets, overlap
from engine.compose.pitches import (
    EPS,
    chord_at,
    chords_in,
    clip_notes,
    nearest,
    no_overlaps,
    pulses,
    scale_tones,
    step,
)
from engine.compose.seats import RANGES, Seat, in_range
from engine.grooves import Groove, Voicing
from engine.grooves.voicing import chord2pitches
from engine.score import Chord, Key, Note

Strike = tuple[float, float, str]
"""Start and length in beats from the bar's start, and what is struck: "chord", "high" (its upper two voices) or "next"
(one tone after another)."""
Pattern = Callable[[Bar, bool, int], tuple[Strike, ...]]

SHAKER, TAMBOURINE, CONGA_HIGH, CONGA_LOW, CLAVE = 70, 54, 63, 64, 75
REGISTERS = {
    "keys": ((60, 79), (48, 67)),
    "guitar": ((43, 64), (58, 76)),
    "brass": ((58, 77), (53, 70)),
    "pad": ((64, 79), (48, 65)),
    "strings": ((69, 88), (55, 72)),
}  # fmt: skip


def arrange_double(
    seat: Seat,
    sounding: Sequence[Note],
    shapes: Sequence[SectionShape],
    chords: Sequence[Chord],
    keys: Keys,
    *,
    groove: Groove,
    seed: int,
    twin: int = 0,
) -> tuple[Note, ...]:
    """A part for `seat` beside `sounding`, what its stream plays already (sorted by start). `twin` counts the second
    parts of the same role before this one: each takes another pattern and register."""
    triplet = groove.feel == "triplet"
    if seat.role in ("keys", "guitar"):
        written = kindred_comp(seat, sounding, shapes, chords, keys, groove, twin)
        if written is not None:
            return written
    if seat.stream == "drums":
        return _percussion(seat, shapes, triplet=triplet, seed=seed)
    if seat.stream == "bass":
        return _thinned(_second_bass(sounding, shapes, chords), twin)
    if seat.stream == "lead":
        return _thinned(_harmony_line(seat, sounding, shapes, chords, keys), twin)
    if seat.stream == "arp":
        return _thinned(_mirrored(sounding, shapes, chords, keys), twin)
    return _chordal(seat, sounding, shapes, chords, keys, triplet=triplet, twin=twin)


def _thinned(notes: tuple[Note, ...], twin: int) -> tuple[Note, ...]:
    """A third and further line: every second, third ... note of the second one, let ring to the next."""
    kept = notes[:: twin + 1]
    rung = [replace(n, length=max(n.length, 0.5)) for n in kept] if twin else kept
    return no_overlaps(rung)


def _sustain(bar: Bar, triplet: bool, position: int) -> tuple[Strike, ...]:
    return ((0.0, bar.metre.bar_beats, "chord"),)


def _broken(bar: Bar, triplet: bool, position: int) -> tuple[Strike, ...]:
    parts = (0.0, 1 / 3, 2 / 3) if triplet else (0.0, 0.5)
    return tuple((at + length * x, length, "next") for at, length in _starts(bar) for x in parts)


def _stabs(bar: Bar, triplet: bool, position: int) -> tuple[Strike, ...]:
    starts = _starts(bar)
    off = 2 / 3 if triplet else 0.5
    first, *rest = starts
    hits: list[Strike] = [(first[0], 0.3 * first[1], "chord")] if position % 2 == 0 else []
    if rest:
        at, length = rest[len(rest) // 2 - 1] if len(rest) > 1 else rest[0]
        hits.append((at + length * off, length * 0.9, "chord"))
        if position % 4 == 3:
            at, length = rest[-1]
            hits.append((at + length * off, length * (1 - off) * 0.8, "chord"))
    return tuple(hits)


def _swell(bar: Bar, triplet: bool, position: int) -> tuple[Strike, ...]:
    return ((0.0, bar.metre.bar_beats, "chord"),) if position % 2 else ()


def _line(bar: Bar, triplet: bool, position: int) -> tuple[Strike, ...]:
    starts = _starts(bar)
    half = starts[len(starts) // 2][0] if len(starts) > 1 else bar.metre.bar_beats
    first: Strike = (0.0, half, "high")
    return (first, (half, bar.metre.bar_beats - half, "high")) if len(starts) > 1 else (first,)


PATTERNS: dict[str, dict[str, tuple[Pattern, ...]]] = {
    "keys": {"quiet": (_sustain, _broken), "loud": (_broken, _sustain)},
    "guitar": {"quiet": (_broken, _sustain), "loud": (_broken, _sustain)},
    "brass": {"quiet": (_swell,), "loud": (_stabs,)},
    "pad": {"quiet": (_sustain,), "loud": (_sustain,)},
    "strings": {"quiet": (_sustain, _line), "loud": (_line,)},
}


def _chordal(
    seat: Seat,
    sounding: Sequence[Note],
    shapes: Sequence[SectionShape],
    chords: Sequence[Chord],
    keys: Keys,
    *,
    triplet: bool,
    twin: int,
) -> tuple[Note, ...]:
    mean = sum(n.pitch for n in sounding) / len(sounding) if sounding else 0.0
    registers = sorted(REGISTERS[seat.role], key=lambda r: (-abs((r[0] + r[1]) / 2 - mean), r))
    bars = [b for s in shapes for b in s.bars if seat.stream in b.streams]
    picked: dict[str, tuple[Pattern, tuple[int, int]]] = {}
    for mood, patterns in PATTERNS[seat.role].items():
        ordered = _by_likeness(patterns, sounding, [b for b in bars if _mood(b) == mood], triplet)
        rounds, k = divmod(twin, len(ordered))
        picked[mood] = (ordered[k], registers[(twin + rounds) % len(registers)])
    notes: list[Note] = []
    before: Voicing | None = None
    for bar in bars:
        pattern, (low, high) = picked[_mood(bar)]
        pattern = _sustain if bar.ending else pattern
        written, before = _play(pattern, bar, chords, keys.at(bar.bar.start), low, high, before, triplet, seat.role)
        notes += clip_notes(written, bar.bar.start, bar.bar.end)
    return no_overlaps(notes)


def _mood(bar: BarShape) -> str:
    return "loud" if bar.level == "chorus" else "quiet"


def _by_likeness(
    patterns: Sequence[Pattern], sounding: Sequence[Note], bars: Sequence[BarShape], triplet: bool
) -> list[Pattern]:
    """Patterns, the one first whose onsets fall least on those of `sounding`."""

    def likeness(pattern: Pattern) -> float:
        struck = [frozenset(round(at * 12) for at, _, _ in pattern(b.whole, triplet, b.position)) for b in bars[:16]]
        rows = [overlap(places, onsets(sounding, b.bar)) for places, b in zip(struck, bars[:16], strict=True)]
        return sum(rows) / len(rows) if rows else 0.0

    return sorted(patterns, key=likeness)


def _play(
    pattern: Pattern,
    bar: BarShape,
    chords: Sequence[Chord],
    key: Key,
    low: int,
    high: int,
    before: Voicing | None,
    triplet: bool,
    role: str,
) -> tuple[list[Note], Voicing | None]:
    """A bar of chord strikes; a strike that lasts over a change of chord is struck again there."""
    notes: list[Note] = []
    here = bar.whole.start
    shape = "seventh" if role == "brass" else "triad"
    for count, (at, length, kind) in enumerate(pattern(bar.whole, triplet, bar.position)):
        start, end = here + at, min(here + at + length, bar.bar.end)
        for chord in chords_in(chords, start, end) if end > start + EPS else ():
            pitches = chord2pitches(chord, key, shape, low, high, before)
            before = Voicing(pitches)
            struck = {
                "chord": pitches,
                "high": pitches[-2:],
                "next": (pitches[(count + bar.position) % len(pitches)],),
            }[kind]
            velocity = 88 if at < EPS else 78
            notes += [Note(chord.beat, chord.beats * 0.97, p, velocity) for p in struck]
    return notes, before


def _percussion(seat: Seat, shapes: Sequence[SectionShape], *, triplet: bool, seed: int) -> tuple[Note, ...]:
    """Hand percussion beside a kit: shaker and tambourine, or congas, or clave, by rank and seed."""
    rng = np.random.default_rng([seed, zlib.crc32(seat.title.encode()), 5])
    kind = (int(rng.integers(2)) + seat.rank) % 3
    notes: list[Note] = []
    for shape in shapes:
        for bar in shape.bars:
            if "drums" not in bar.streams:
                continue
            parts = (0.0, 1 / 3, 2 / 3) if triplet else (0.0, 0.5) if bar.level != "chorus" else (0.0, 0.25, 0.5, 0.75)
            struck: list[Note] = []
            for k, (at, length) in enumerate(_starts(bar.whole)):
                start = bar.whole.start + at
                if kind == 0:
                    struck += [Note(start + x * length, 0.2, SHAKER, 70 if x in (0.0, 0.5) else 52) for x in parts]
                    struck += [Note(start, 0.2, TAMBOURINE, 76)] if k % 2 and bar.level == "chorus" else []
                elif kind == 1:
                    struck += [
                        Note(start + x * length, 0.2, CONGA_LOW if k % 2 else CONGA_HIGH, 74 if x else 60)
                        for x in parts[1:]
                    ]
                else:
                    struck += [Note(start + parts[-1] * length, 0.2, CLAVE, 72)] if (k + bar.position) % 2 else []
                    struck += [Note(start, 0.2, TAMBOURINE, 70)] if k % 2 else []
            if bar.ending:
                struck = [n for n in struck if n.start < bar.whole.start + EPS] or [
                    Note(bar.bar.start, 0.2, TAMBOURINE, 80)
                ]
            notes += clip_notes(struck, bar.bar.start, bar.bar.end)
    return no_overlaps(notes)


def _second_bass(sounding: Sequence[Note], shapes: Sequence[SectionShape], chords: Sequence[Chord]) -> tuple[Note, ...]:
    """Long roots an octave from a bass that moves; over a bass of long notes, its fifths struck short."""
    low, high = RANGES["bass"]
    bars = [b for s in shapes for b in s.bars if "bass" in b.streams]
    busy = len(sounding) > 2 * len(bars)
    mean = sum(n.pitch for n in sounding) / len(sounding) if sounding else 36.0
    floor = low if mean > low + 12 else low + 14
    notes: list[Note] = []
    for bar in bars:
        for chord in chords_in(chords, bar.bar.start, bar.bar.end):
            root = chord.root if chord.bass is None else chord.bass
            if busy or chord.beats < 1.0:
                notes.append(Note(chord.beat, chord.beats, nearest(floor, {root}, floor, high), 84))
                continue
            fifth = nearest(low + 16, chord.pitch_classes - {root}, low, high)
            for k in range(int(chord.beats + EPS)):
                pitch = fifth if k % 2 else nearest(low + 12, {root}, low, high)
                notes.append(Note(chord.beat + k + 0.5, 0.4, pitch, 78))
    return no_overlaps(notes)


def _harmony_line(
    seat: Seat, sounding: Sequence[Note], shapes: Sequence[SectionShape], chords: Sequence[Chord], keys: Keys
) -> tuple[Note, ...]:
    """Thirds and sixths under the first lead where the song is loud; elsewhere long chord tones where it breathes."""
    low, high = RANGES[seat.role]
    notes: list[Note] = []
    for shape in shapes:
        for bar in shape.bars:
            if "lead" not in bar.streams:
                continue
            first = bar_notes(sounding, bar.bar)
            if bar.level == "chorus" and first:
                for note in first:
                    chord = chord_at(chords, note.start)
                    scale = scale_tones(keys.at(note.start), chord)
                    third = step(note.pitch, -2, scale)
                    if chord is not None and third % 12 not in chord.pitch_classes and note.length >= 0.75:
                        third = nearest(third, chord.pitch_classes, low - 6, note.pitch - 1)
                    notes.append(replace(note, pitch=max(third, low - 6), velocity=max(note.velocity - 12, 1)))
                continue
            begin = max([n.end for n in first], default=bar.bar.start)
            chord = chord_at(chords, begin)
            if chord is None or (bar.bar.end - begin < 0.75 and first):
                continue
            at = min(np.ceil(begin * 2 - EPS) / 2, bar.bar.end - 0.25)
            centre = (low + high) // 2 - 6
            notes.append(Note(float(at), bar.bar.end - float(at), nearest(centre, chord.pitch_classes, low, high), 74))
    return no_overlaps(notes)


def _mirrored(
    sounding: Sequence[Note], shapes: Sequence[SectionShape], chords: Sequence[Chord], keys: Keys
) -> tuple[Note, ...]:
    """The first arpeggio's rhythm with its pitches backwards, an octave off; broken chords where it rests."""
    notes: list[Note] = []
    for shape in shapes:
        for bar in shape.bars:
            if "arp" not in bar.streams:
                continue
            first = bar_notes(sounding, bar.bar)
            if not first:
                written, _ = _play(_broken, bar, chords, keys.at(bar.bar.start), 60, 79, None, False, "pad")
                notes += clip_notes(written, bar.bar.start, bar.bar.end)
                continue
            by_chord: dict[Chord | None, list[Note]] = {}
            for note in first:
                by_chord.setdefault(chord_at(chords, note.start), []).append(note)
            mean = sum(n.pitch for n in first) / len(first)
            for group in by_chord.values():
                turned = [n.pitch for n in reversed(group)]
                shift = 12 if mean < 74 else -12
                notes += [
                    replace(n, pitch=in_range(p + shift, "arp"), velocity=max(n.velocity - 8, 1))
                    for n, p in zip(group, turned, strict=True)
                ]
    return no_overlaps(notes)


def _starts(bar: Bar) -> list[tuple[float, float]]:
    """(start from the bar's start, length) of every pulse, in beats."""
    out, at = [], 0.0
    for length in pulses(bar.metre.beats, bar.metre.unit):
        out.append((at, length))
        at += length
    return out
