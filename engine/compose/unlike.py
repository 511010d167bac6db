"""A re-roll differs from what was there: where bars come back as they stood, something in them changes.

Small changes of the part's own kind come first (`engine.compose.vary`). A bar that holds one stroke, as endings do, has
none of them: then it moves by an octave as a whole, or its last stroke is struck once more. What has no other form at
all is said to the musician.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from engine.compose.form import BarShape
from engine.compose.measure import bar_notes
from engine.compose.pitches import EPS, in_order
from engine.compose.seats import RANGES, Seat
from engine.compose.song import Song
from engine.compose.vary import vary_bar
from engine.score import Note

TRIES = 8
"""Rounds of small changes before a bar changes as a whole."""

Same = Callable[[], bool]


def unlike(
    song: Song, seat: Seat, notes: Sequence[Note], old: Sequence[Note], rows: frozenset[int]
) -> tuple[tuple[Note, ...], tuple[str, ...]]:
    """`notes` (sorted by start) with a change in every edited section that would otherwise start the very same pitches
    at the same places as `old` in the bars `rows`, and lines on sections where there is no other form."""
    by_section: dict[int, list[int]] = {}
    for row in sorted(rows):
        by_section.setdefault(song.owners[row], []).append(row)
    bars = [bar_notes(notes, bar.bar) for bar in song.bars]
    lines: list[str] = []
    for owner, section_rows in by_section.items():
        before = {row: outline(bar_notes(old, song.bars[row].bar)) for row in section_rows}

        def same(rows: Sequence[int] = section_rows, before: dict[int, list[tuple[float, int]]] = before) -> bool:
            return all(outline(bars[row]) == before[row] for row in rows)

        _vary_some(song, seat, bars, section_rows, same)
        _turn_some(song, seat, bars, section_rows, same)
        if same():
            lines.append(f"{seat.title}: {song.form[owner].name} stays as it was, {_why(bars, section_rows)}")
    return in_order(n for bar in bars for n in bar), tuple(lines)


def kind(seat: Seat) -> str:
    """Which small changes suit the seat."""
    return "percussion" if seat.stream == "drums" and seat.rank else seat.stream


def outline(notes: Sequence[Note]) -> list[tuple[float, int]]:
    """Where which pitches begin: what a listener tells two versions of a bar apart by."""
    return [(round(n.start, 4), n.pitch) for n in notes]


def _vary_some(song: Song, seat: Seat, bars: list[tuple[Note, ...]], rows: Sequence[int], same: Same) -> None:
    """Small changes in bars that the seed draws, as long as all is the `same`."""
    for attempt in range(TRIES):
        if not same():
            return
        rng = song.draw("unlike", seat.title, rows[0], attempt)
        row = rows[int(rng.integers(len(rows)))]
        bar = song.bars[row]
        steps, changes = song.groove.steps_per_quarter, 1 + attempt // 2
        bars[row] = vary_bar(
            kind(seat), bars[row], bar.bar, song.near(bar), song.key_at(bar), rng, steps=steps, changes=changes
        )


def _turn_some(song: Song, seat: Seat, bars: list[tuple[Note, ...]], rows: Sequence[int], same: Same) -> None:
    """Another form of one bar as a whole, the last ones first, if all is still the `same`."""
    for row in reversed(rows):
        if not same():
            return
        bars[row] = next(other_forms(seat, bars[row], song.bars[row]), bars[row])


def other_forms(seat: Seat, notes: Sequence[Note], bar: BarShape) -> Iterator[tuple[Note, ...]]:
    """Forms of a bar that keep its chords: an octave lower or higher, and its last stroke struck again on a beat or,
    where beats are taken, between two."""
    if not notes:
        return
    pitches = [n.pitch for n in notes]
    low, high = RANGES.get(seat.role, (0, 127))
    for shift in (-12, 12) if seat.stream != "drums" else ():
        if low <= min(pitches) + shift and max(pitches) + shift <= high:
            yield tuple(replace(n, pitch=n.pitch + shift) for n in notes)
    last = max(n.start for n in notes)
    for step in (1.0, 0.5):
        again, room = last + step, bar.bar.end - last - step
        if room < 0.5 - EPS:
            continue
        first = [replace(n, length=step) if n.start == last and n.length > step else n for n in notes]
        second = [replace(n, start=again, length=min(n.length, room)) for n in notes if n.start == last]
        yield in_order((*first, *second))


def _why(bars: Sequence[tuple[Note, ...]], rows: Sequence[int]) -> str:
    return "for nothing else fits there" if any(bars[row] for row in rows) else "for it rests there"
