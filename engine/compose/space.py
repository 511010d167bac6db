"""A part that keeps clear of another one: strikes that fall on the other's go to a free place near by, or go.

The first beat of a bar, kick and backbeat stay: a band meets there. A bar in which nothing else is left keeps its
strongest strike.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from engine.compose.form import BarShape
from engine.compose.measure import KICKS, SNARES, bar_notes
from engine.compose.pitches import in_order
from engine.compose.seats import Seat
from engine.compose.song import Song
from engine.compose.strikes import NEAR, Strike, grid_places, notes2strikes, place2rank, released, struck_at
from engine.score import Note

WITHIN = 0.12
"""Beats within which two onsets are heard as one."""
REACH = 0.5
"""Beats by which a strike may move to a free place."""


def clear_of(
    song: Song, seat: Seat, notes: Sequence[Note], others: Sequence[Note], rows: Sequence[int]
) -> tuple[Note, ...]:
    """`notes` with the strikes of the bars `rows` away from the onsets of `others` (both sorted by start)."""
    wanted = set(rows)
    out: list[Note] = []
    for row, bar in enumerate(song.bars):
        here = bar_notes(notes, bar.bar)
        taken = [n.start for n in bar_notes(others, bar.bar)]
        if row not in wanted or bar.ending or not here or not taken:
            out += here
        elif seat.stream == "drums":
            out += [n for n in here if not _meets(n.start, taken) or _holds_the_beat(n, bar)] or here[:1]
        else:
            out += (n for strike in _away(song, bar, notes2strikes(here), taken) for n in strike)
    return in_order(out)


def _meets(start: float, taken: Sequence[float]) -> bool:
    return any(abs(start - t) < WITHIN for t in taken)


def _holds_the_beat(note: Note, bar: BarShape) -> bool:
    rank = place2rank(note.start, bar)
    return rank == 0 or (note.pitch in (*KICKS, *SNARES) and note.velocity >= 60 and rank == 1)


def _away(song: Song, bar: BarShape, strikes: list[Strike], taken: Sequence[float]) -> list[Strike]:
    steps = song.groove.steps_per_quarter
    free = [p for p in grid_places(bar, steps) if not _meets(p, taken)]
    stays = [s for s in strikes if not _meets(s[0].start, taken) or place2rank(s[0].start, bar) == 0]
    out = list(stays)
    for strike in (s for s in strikes if s not in stays):
        start = strike[0].start
        open_places = [p for p in free if all(abs(p - s[0].start) > 1 / steps - NEAR for s in out)]
        near = [p for p in open_places if abs(p - start) <= REACH + NEAR]
        if near:
            place = min(near, key=lambda p: (round(abs(p - start), 3), place2rank(p, bar), p < start))
            length = min(max(n.length for n in strike), bar.bar.end - place)
            out.append(struck_at(strike, place, length, song.chords, song.key_at(bar), 4))
    if not out:
        out = [min(strikes, key=lambda s: place2rank(s[0].start, bar))]
    out.sort(key=lambda s: s[0].start)
    return [*(released(a, b[0].start) for a, b in pairwise(out)), out[-1]]
