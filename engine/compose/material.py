"""The user's own MIDI as material: followed where it sounds, varied as seeds, carried to where it is silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

from bridge.timeline import Bar
from engine.compose.form import BarShape
from engine.compose.measure import bar_notes
from engine.compose.morph import morph
from engine.compose.pitches import EPS, chord_at, clip_notes, in_order, no_overlaps
from engine.compose.room import heard_parts
from engine.compose.seats import ROLE_STREAM, Seat
from engine.compose.song import Song, seed_rows, seed_stream
from engine.compose.strikes import repitch
from engine.compose.vary import vary_bar
from engine.score import Heard, Note

SOUNDING = 0.25
"""Beats that a note must ring into a bar to count as played there."""
EARLY = 0.1
"""Beats by which a player may be ahead of a bar line and still mean that bar."""
OWN_REST = 2
"""Bars of silence between two of the user's bars that are theirs, too."""


@dataclass(frozen=True, slots=True)
class Material:
    """The user's notes on one stream. `taken`: followed, and played as they stand by our stem of the same role.
    `beside`: followed, and ours is written around them. `vary`: seeds, left as far as `strength` says (0-1, None: with
    small changes). `names`: the tracks of each, for remarks."""

    taken: tuple[Note, ...] = ()
    beside: tuple[Note, ...] = ()
    vary: tuple[Note, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    strength: float | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """A stream before the parts model: its notes by form rule, the rows that stand as they are, the user's own notes
    among them, and the spans that these fill."""

    notes: tuple[Note, ...]
    standing: frozenset[int]
    own: tuple[Note, ...] = ()
    played: tuple[tuple[float, float], ...] = ()


def heard2material(
    heard: Heard, seats: Sequence[Seat], strengths: Mapping[str, float] = MappingProxyType({})
) -> dict[str, Material]:
    """Per stream what the user gave; tracks that shall be replaced, and roles without a stream, are left out.
    `strengths`: how far varied tracks are left, by name.

    A followed track of the role of a stream's first stem is that stem where it sounds: the stem plays it and carries it
    on. A band has one bass player. Only a melody is never taken over: ours answers it.
    """
    leaders = {seat.stream: seat.role for seat in seats if seat.rank == 0}
    material: dict[str, Material] = {}
    for part, use in heard_parts(heard):
        stream = "lead" if part.role == "vocals" else ROLE_STREAM.get(part.role)
        if stream is None or use == "replace" or not part.notes:
            continue
        mine = material.get(stream, Material())
        if use == "vary":
            kind, far = "vary", strengths.get(part.name, mine.strength)
            mine = replace(mine, vary=in_order((*mine.vary, *part.notes)), strength=far)
        elif leaders.get(stream) == part.role and stream != "lead":
            kind, mine = "taken", replace(mine, taken=in_order((*mine.taken, *part.notes)))
        else:
            kind, mine = "beside", replace(mine, beside=in_order((*mine.beside, *part.notes)))
        material[stream] = replace(mine, names=(*mine.names, (kind, part.name)))
    return material


def base_stream(song: Song, stream: str, material: Material) -> Base:
    """A stream by form rule: the user's bars where they gave some to vary or to be taken over; else the groove's."""
    seed = seed_stream(song, stream)
    if material.strength == 0.0:
        material = replace(material, taken=in_order((*material.taken, *material.vary)))
    if material.taken:
        rows = rows_with(song, material.taken)
        moved, _ = carried(song, stream, material.taken, seed)
        own = in_order(_held_in(song, n) for row in rows for n in own_notes(material.taken, song.bars[row].bar))
        ours = [bar.bar for row, bar in enumerate(song.bars) if row not in rows]
        notes = [*own, *(n for bar in ours for n in clip_notes(moved, bar.start, bar.end))]
        return Base(in_order(notes), rows | seed_rows(song, stream), own, follow_spans(song, rows))
    if material.vary and material.strength is not None:
        filled = rows_with(song, material.vary)
        kept, _ = carried(song, stream, material.vary, seed, changed=False)
        morphed = morph(song, stream, "your track", kept, seed, filled, material.strength)
        return Base(morphed.notes, morphed.standing | (seed_rows(song, stream) - filled))
    if material.vary:
        moved, standing = carried(song, stream, material.vary, seed)
        return Base(moved, standing | seed_rows(song, stream))
    return Base(seed, seed_rows(song, stream))


def rows_with(song: Song, notes: Sequence[Note]) -> frozenset[int]:
    """Bars of the song in which `notes` sound, and rests of up to two bars between them in one section: they are the
    player's own."""
    rows = sorted(
        row
        for row, bar in enumerate(song.bars)
        if any(n.start < bar.bar.end - SOUNDING and n.end > bar.bar.start + SOUNDING for n in notes)
        or own_notes(notes, bar.bar)
    )
    rests = [
        between
        for a, b in pairwise(rows)
        if b - a - 1 <= OWN_REST and song.owners[a] == song.owners[b]
        for between in range(a + 1, b)
    ]
    return frozenset((*rows, *rests))


def own_notes(notes: Sequence[Note], bar: Bar) -> tuple[Note, ...]:
    """The user's notes (sorted by start) that are meant for `bar`: one just ahead of the bar line belongs to it."""
    return bar_notes(notes, replace(bar, start=bar.start - EARLY, end=bar.end - EARLY))


def carried(
    song: Song, stream: str, notes: Sequence[Note], seed: Sequence[Note], *, changed: bool = True
) -> tuple[tuple[Note, ...], frozenset[int]]:
    """The stream made from the user's bars, and the bars that stand as they gave them (on the grid).

    Of the user's own bars the first two of every four stand and the others are varied. Where their idea ends before its
    section does it begins again; sections without one (a fill alone is none) take the bars of their label, or of any
    section the user filled, along with the chords. `seed` supplies fills. Without `changed` all of their bars stand.
    """
    snapped = [replace(n, start=snap(n.start, song), offset_ms=0.0) for n in notes]
    snapped = list(no_overlaps(snapped))
    filled = rows_with(song, snapped)
    out: list[Note] = []
    standing: set[int] = set()
    for row, bar in enumerate(song.bars):
        if stream not in bar.streams:
            continue
        here = [r for r in filled if song.owners[r] == song.owners[row]]
        if (bar.fill and stream == "drums" and not here) or (bar.ending and row not in filled) or not filled:
            out += bar_notes(seed, bar.bar)
            continue
        source = row if row in filled else _again(song, row, filled)
        moved = moved_bar(song, stream, bar_notes(snapped, song.bars[source].bar), song.bars[source], bar)
        if source == row and (bar.position % 4 < 2 or not changed):
            standing.add(row)
        elif source == row or bar.position % 4 == 3:
            rng = song.draw("carry", stream, row)
            moved = vary_bar(
                stream, moved, bar.bar, song.near(bar), song.key_at(bar), rng, steps=song.groove.steps_per_quarter
            )
        out += moved
    return no_overlaps(out), frozenset(standing)


def snap(beat: float, song: Song) -> float:
    """`beat` on the nearest step of the groove's grid, counted from the bar line before it."""
    step = 1.0 / song.groove.steps_per_quarter
    start = max((b.bar.start for b in song.bars if b.bar.start <= beat + step / 2), default=0.0)
    return start + round((beat - start) / step) * step


def follow_spans(song: Song, rows: frozenset[int]) -> tuple[tuple[float, float], ...]:
    """Runs of neighbouring bars as (start, end) in beats, `EARLY` before their bar lines."""
    spans: list[tuple[float, float]] = []
    for row in sorted(rows):
        start, end = song.bars[row].bar.start - EARLY, song.bars[row].bar.end - EARLY
        if spans and abs(spans[-1][1] - start) < EPS:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return tuple(spans)


def _held_in(song: Song, note: Note) -> Note:
    """A note of the user's inside the run of sections it belongs to: not before it begins, not after it ends."""
    first = min((f.start for f in song.form if f.start - EARLY <= note.start < f.end), default=note.start)
    if note.start < first:
        note = replace(note, start=first, length=max(note.end - first, 0.05))
    end = note.start
    for section in song.form:
        if section.start <= end + EPS and end < section.end:
            end = section.end
    return replace(note, length=end - note.start) if note.end > end else note


def _again(song: Song, row: int, filled: frozenset[int]) -> int:
    """The user's bar that is played again in bar `row`: the idea that they began before it in its section goes round,
    else as another section has it. A last bar alone is a fill: it closes, and is no idea."""
    runs = [run for run in _runs(filled, song) if not _closes(song, run)]
    own = [run for run in runs if song.owners[run[0]] == song.owners[row] and run[0] < row]
    if own:
        return own[-1][(row - own[-1][0]) % len(own[-1])]
    return _like(song, row, frozenset(r for run in runs for r in run) or filled)


def _runs(rows: frozenset[int], song: Song) -> list[list[int]]:
    """Neighbouring rows of one section, in order."""
    runs: list[list[int]] = []
    for row in sorted(rows):
        if runs and row - runs[-1][-1] == 1 and song.owners[row] == song.owners[runs[-1][0]]:
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


def _closes(song: Song, run: Sequence[int]) -> bool:
    """Whether a run is the last bar alone of a section of several."""
    bars = song.shapes[song.owners[run[0]]].bars
    return len(run) == 1 < len(bars) and song.bars[run[0]].position == len(bars) - 1


def _like(song: Song, row: int, filled: frozenset[int]) -> int:
    """The user's bar that suits bar `row`: same label first, then the nearest energy; the same place in the section."""
    shape = song.shapes[song.owners[row]].section
    owners = sorted({song.owners[r] for r in filled})
    best = min(
        owners,
        key=lambda i: (song.shapes[i].section.label != shape.label, abs(song.shapes[i].section.energy - shape.energy)),
    )
    rows = sorted(r for r in filled if song.owners[r] == best)
    run = list(range(rows[0], rows[-1] + 1))
    return run[song.bars[row].position % len(run)]


def moved_bar(song: Song, stream: str, notes: Sequence[Note], source: BarShape, target: BarShape) -> tuple[Note, ...]:
    """The notes of one bar laid into another, along with the chords."""
    shift = target.bar.start - source.bar.start
    out = []
    for note in notes:
        start = note.start + shift
        if start >= target.bar.end - EPS:
            continue
        pitch = note.pitch
        if stream != "drums" and shift:
            old, new = chord_at(song.chords, note.start), chord_at(song.chords, start)
            pitch = repitch(pitch, old, new, song.key_at(target))
        out.append(replace(note, start=start, pitch=pitch, length=min(note.length, target.bar.end - start)))
    return in_order(out)
