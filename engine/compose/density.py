"""A part with fewer or more strikes: weak ones go first, new ones come where the grid is free and playable.

A wish of -1 halves the strikes of a section, 1 doubles them (drums: single hits). What does not come out even in one
bar is made up for in the next, section by section, so that a label's sections stay alike. The first strike of a bar,
new chords and the backbeat are the last to go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from engine.compose.form import BarShape
from engine.compose.measure import KICKS, SNARES, bar_notes
from engine.compose.pitches import EPS, chord_at, in_order, nearest, scale_tones, step
from engine.compose.seats import Seat
from engine.compose.song import Song
from engine.compose.strikes import (
    NEAR,
    Strike,
    chord_begins,
    fastest_beats,
    grid_places,
    notes2strikes,
    place2rank,
    released,
    sections_of,
    struck_at,
)
from engine.score import Note

TIMEKEEPERS = (42, 51, 53, 44, 46, 70, 54, 69, 82)
CYMBALS = (49, 57, 55, 52)
SNARE, KICK, SHAKER, TAMBOURINE = 38, 36, 70, 54
LEGATO = 0.15
"""Beats: a shorter rest before a strike that goes is filled by the strike before it."""


def with_density(song: Song, seat: Seat, notes: Sequence[Note], amount: float, rows: Sequence[int]) -> tuple[Note, ...]:
    """`notes` (sorted by start) with the bars `rows` made thinner or denser. A section whose first bars have room for
    less than is wished makes up for it later, as far as it can."""
    bars = {row: bar_notes(notes, bar.bar) for row, bar in enumerate(song.bars)}
    for group in sections_of(rows, song.owners):
        due = 0.0
        for row in group:
            bar, here = song.bars[row], bars[row]
            if not here or bar.ending:
                continue
            due += size(seat.stream, here) * 2.0**amount
            goal = max(round(due), 1)
            bars[row] = _resized(song, seat, bar, here, goal)
            due = min(max(due - size(seat.stream, bars[row]), -1.0), 1.0)
    return in_order(note for row in sorted(bars) for note in bars[row])


def size(stream: str, notes: Sequence[Note]) -> int:
    """Hits of drums, strikes of everything else."""
    return len(notes) if stream == "drums" else len(notes2strikes(notes))


def _resized(song: Song, seat: Seat, bar: BarShape, notes: tuple[Note, ...], goal: int) -> tuple[Note, ...]:
    have = size(seat.stream, notes)
    if seat.stream == "drums":
        return _fewer_hits(bar, notes, goal) if goal < have else _more_hits(song, bar, notes, goal)
    strikes = notes2strikes(notes)
    changed = _fewer(song, bar, strikes, goal) if goal < have else _more(song, seat, bar, strikes, goal)
    return in_order(note for strike in changed for note in strike)


def _fewer(song: Song, bar: BarShape, strikes: list[Strike], goal: int) -> list[Strike]:
    def weakness(strike: Strike) -> tuple[int, int, float]:
        start = strike[0].start
        rank = 1 if chord_begins(song.chords, start) else place2rank(start, bar)
        return rank, -max(n.velocity for n in strike), start

    kept = list(strikes)
    while len(kept) > goal:
        i = max(range(len(kept)), key=lambda k: weakness(kept[k]))
        gone = kept.pop(i)
        if i and _joins(song, kept[i - 1], gone):
            end = max(n.end for n in gone)
            kept[i - 1] = tuple(replace(n, length=end - n.start) for n in kept[i - 1])
    return kept


def _joins(song: Song, strike: Strike, gone: Strike) -> bool:
    """Whether a strike may ring on through the place of the one that went."""
    same = chord_at(song.chords, strike[0].start) == chord_at(song.chords, gone[0].start)
    return same and gone[0].start - max(n.end for n in strike) < LEGATO


def _more(song: Song, seat: Seat, bar: BarShape, strikes: list[Strike], goal: int) -> list[Strike]:
    apart = fastest_beats(seat.role, song.bpm) - NEAR
    starts = [strike[0].start for strike in strikes]

    def distance(place: float) -> float:
        return min(abs(place - s) for s in starts)

    open_places = [p for p in grid_places(bar, song.groove.steps_per_quarter) if distance(p) > NEAR]
    order = sorted(open_places, key=lambda p: (max(place2rank(p, bar), 1), -round(distance(p), 3), p))
    out = list(strikes)
    for place in order:
        if len(out) >= goal:
            break
        if min(abs(place - strike[0].start) for strike in out) < apart:
            continue
        i = sum(strike[0].start < place for strike in out)
        model = out[i - 1] if i else out[0]
        following = out[i] if i < len(out) else None
        end = following[0].start if following else bar.bar.end
        length = min(end - place, max(max(n.length for n in model), apart)) * (1.0 if seat.stream == "pad" else 0.92)
        new = _between(song, seat, bar, place, length, model, following)
        if i:
            out[i - 1] = released(out[i - 1], place)
        out.insert(i, new)
    return out


def _between(
    song: Song, seat: Seat, bar: BarShape, place: float, length: float, model: Strike, following: Strike | None
) -> Strike:
    """A strike for an open place: chords again (off the pulses without their lowest voices), lines led on."""
    rank = place2rank(place, bar)
    key = song.key_at(bar)
    softer = {0: 0, 1: 3, 2: 7}.get(rank, 13)
    again = struck_at(model, place, length, song.chords, key, softer)
    if seat.stream in ("comp", "pad"):
        return again[-3:] if rank >= 2 and len(again) > 3 else again
    note = again[0]
    chord = chord_at(song.chords, place)
    if seat.stream == "bass":
        change = chord_at(song.chords, bar.bar.end)
        if following is None and change is not None and change != chord and rank >= 2:
            goal = nearest(note.pitch, {change.root if change.bass is None else change.bass}, 28, 55)
            scale = scale_tones(key, chord)
            near = [step(goal, way, scale) for way in (-1, 1)]
            note = replace(note, pitch=min(near, key=lambda p: (abs(p - note.pitch), p)))
        return (note,)
    ahead = following[0].pitch if following else note.pitch
    way = 1 if ahead > note.pitch or (ahead == note.pitch and int(place * 2) % 2) else -1
    tones = chord.pitch_classes if chord and (seat.stream == "arp" or rank <= 1) else scale_tones(key, chord)
    return (replace(note, pitch=step(note.pitch, way, tones)),)


def _hit_weight(note: Note, bar: BarShape) -> int:
    """How much a hit matters to the beat, 0-100."""
    rank = place2rank(note.start, bar)
    if note.pitch in KICKS:
        return (95, 80, 45, 40)[rank]
    if note.pitch in SNARES:
        return 10 if note.velocity < 60 else 90 if rank <= 1 else 42
    if note.pitch in TIMEKEEPERS:
        return (56, 50, 35, 15)[rank]
    return 100 if note.pitch in CYMBALS else 60 if note.pitch in range(41, 51) else (32, 30, 22, 20)[rank]


def _fewer_hits(bar: BarShape, notes: Sequence[Note], goal: int) -> tuple[Note, ...]:
    order = sorted(notes, key=lambda n: (-_hit_weight(n, bar), n.start, n.pitch))
    return in_order(order[:goal])


def _more_hits(song: Song, bar: BarShape, notes: Sequence[Note], goal: int) -> tuple[Note, ...]:
    """Finer time first, then kicks between the beats, hand percussion, ghost notes."""
    times = Counter(n.pitch for n in notes if n.pitch in TIMEKEEPERS)
    keeper = times.most_common(1)[0][0] if times else TIMEKEEPERS[0]
    loud = [n.velocity for n in notes if n.pitch == keeper] or [72]
    mean = sum(loud) / len(loud)
    offers: list[tuple[int, float, int, int]] = []
    for place in grid_places(bar, song.groove.steps_per_quarter):
        here = {n.pitch for n in notes if abs(n.start - place) < NEAR}
        rank = place2rank(place, bar)
        if not here & set(TIMEKEEPERS):
            offers.append(((56, 50, 35, 15)[rank], place, keeper, round(mean * (1.0, 1.0, 0.9, 0.72)[rank])))
        if rank == 2 and not here & {*KICKS, *SNARES}:
            offers.append((30, place, KICK, 82))
        if rank == 3 and not here & set(SNARES):
            offers.append((14, place, SNARE, 34))
        if TAMBOURINE not in here and keeper != TAMBOURINE:
            offers.append(((13, 13, 9, 7)[rank], place, TAMBOURINE, 62 - 6 * rank))
        if SHAKER not in here and keeper != SHAKER:
            offers.append(((8, 8, 8, 6)[rank], place, SHAKER, 60 - 6 * rank))
    out = list(notes)
    apart = fastest_beats("drums", song.bpm) - NEAR
    for _, place, pitch, velocity in sorted(offers, key=lambda o: (-o[0], o[1])):
        if len(out) >= goal:
            break
        same = [n.start for n in out if n.pitch == pitch or {n.pitch, pitch} <= {*KICKS}]
        if all(abs(place - s) >= apart for s in same) and place < bar.bar.end - EPS:
            out.append(Note(place, 0.25, pitch, min(max(velocity, 1), 127)))
    return in_order(out)
