"""Bars of a song are written anew around what stands: the heart of an edit and of a continuation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.compose.anew import turned
from engine.compose.candidates import SEED, choices2remarks, choose_versions
from engine.compose.lock import base_of, coupled
from engine.compose.material import Base, Material, heard2material, moved_bar
from engine.compose.measure import bar_notes
from engine.compose.morph import morph
from engine.compose.parts import streams2parts
from engine.compose.pitches import EPS, in_order
from engine.compose.room import heard2room
from engine.compose.seats import Seat
from engine.compose.song import Song
from engine.compose.unlike import kind, unlike
from engine.compose.vary import vary_bar
from engine.compose.writers import Writers, write_canvas
from engine.diffusion.canvas import STREAMS
from engine.report import Tick
from engine.score import Heard, Note

HOLE_MARGIN = 0.03
"""By how much the model must beat the part's own bars in a hole: on held-out songs that are like nothing it knows these
come nearer to what was there (pitch F1 .84 against .73 on a folk tune, .94 against .86 on an unseen groove)."""
NEIGHBOURS = (-4, 4, -8, 8, -2, 2, -1, 1, -3, 3)
"""Bars before and after a hole that may fill it, the likeliest first: phrases are of four bars."""


@dataclass(frozen=True)
class Rewritten:
    """Notes of every stem for the whole song, of which only the wanted bars count; `played`: spans (stem, start beat,
    end beat) that are played already, by the user or in the take; `remarks`: which version stands where."""

    notes: dict[str, tuple[Note, ...]]
    played: tuple[tuple[str, float, float], ...]
    remarks: tuple[str, ...]


def rewrite(
    song: Song,
    seats: Sequence[Seat],
    titles: frozenset[str],
    rows: frozenset[int],
    old: Mapping[str, tuple[Note, ...]],
    heard: Heard,
    writers: Writers,
    tick: Tick,
    strength: float = 1.0,
) -> Rewritten:
    """Writes the bars `rows` of the stems `titles` by the song's seed, hearing `old` (notes by stem) on both sides.

    `strength` 0-1: how far stems that `old` has leave it (`engine.compose.morph`).
    """
    streams = {s: _leader_notes(s, seats, old) for s in STREAMS}
    inside = [seat for seat in seats if seat.title in titles]
    material = heard2material(heard, seats)
    bases = {s.stream: base_of(song, s.stream, material) for s in inside if s.rank == 0}
    fresh = {stream: _fresh_seed(song, stream, base, streams[stream], rows) for stream, base in bases.items()}
    for stream in bases:
        rolled = frozenset(r for r in rows if bar_notes(streams[stream], song.bars[r].bar))
        if rolled:
            fresh[stream] = _rerolled(song, stream, fresh, streams, material, rolled)
    given = {s: frozenset(range(len(song.bars))) - (rows if s in fresh else frozenset()) for s in STREAMS}
    drawn = write_canvas(writers, song, streams, given, song.seed, tick)
    lines: list[str] = []
    chosen = dict(streams)
    for stream in (s for s in STREAMS if s in fresh):
        versions: dict[str, Sequence[Note]] = {SEED: fresh[stream]}
        versions.update(
            {
                f"parts model, draw {k + 1}": coupled(song, stream, draw[stream], material)
                for k, draw in enumerate(drawn)
            }
        )
        margin = HOLE_MARGIN if _is_hole(song, streams[stream], rows) else None
        notes, choices = choose_versions(song, stream, versions, chosen["drums"], sorted(rows), margin)
        chosen[stream] = notes
        lines += choices2remarks(choices)
    written, wished = streams2parts(song, seats, chosen, material, bases, heard2room(heard))
    stays: list[tuple[str, float, float]] = []
    for seat in inside:
        free = rows - _played_rows(song, bases.get(seat.stream)) if seat.rank == 0 else rows
        before = old.get(seat.title, ())
        written[seat.title], stuck = unlike(song, seat, written[seat.title], before, free)
        lines += stuck if before else ()
        if before and not free:
            lines.append(f"{seat.title}: these bars are your own playing, they stay as you play them")
        if strength < 1.0 and before:
            nearer = morph(song, kind(seat), seat.title, before, written[seat.title], free, strength)
            written[seat.title] = nearer.notes
            stays += [(seat.title, song.bars[r].bar.start, song.bars[r].bar.end) for r in sorted(nearer.standing)]
    played = tuple((s.title, *span) for s in inside if s.rank == 0 for span in bases[s.stream].played)
    if strength < 1.0:
        lines.append(f"strength {strength:g}: of the bars above, so much leaves what stood before")
    return Rewritten(written, (*played, *stays), (*lines, *wished))


def _rerolled(
    song: Song,
    stream: str,
    fresh: Mapping[str, Sequence[Note]],
    streams: Mapping[str, Sequence[Note]],
    material: Mapping[str, Material],
    rows: frozenset[int],
) -> tuple[Note, ...]:
    """The stream with the bars `rows`, which had notes, from another page of the book; drums on the bass that stays."""
    other = turned(song, stream)
    base = base_of(other, stream, material)
    notes = _fresh_seed(other, stream, base, streams[stream], rows)
    if stream == "drums" and other.groove is not song.groove and "bass" not in fresh:
        notes = coupled(song, stream, notes, {"bass": Material(beside=tuple(streams["bass"]))})
    bars = [bar_notes(notes if row in rows else fresh[stream], b.bar) for row, b in enumerate(song.bars)]
    return in_order(n for bar in bars for n in bar)


def _leader_notes(stream: str, seats: Sequence[Seat], old: Mapping[str, tuple[Note, ...]]) -> tuple[Note, ...]:
    leaders = [seat.title for seat in seats if seat.stream == stream and seat.rank == 0]
    return old.get(leaders[0], ()) if leaders else ()


def _fresh_seed(song: Song, stream: str, base: Base, old: Sequence[Note], rows: frozenset[int]) -> tuple[Note, ...]:
    """The stream as it stands with new bars in `rows`.

    Where the part has notes, a re-roll: form-rule bars, every second of them changed a little more. A hole in a part
    that plays elsewhere is filled from the part's own bars along the chords: they are the yardstick for what is written
    there. A section in which it has none yet comes back changed a little, as everywhere in a song.
    """
    played = _played_rows(song, base)
    heard = frozenset(r for r, bar in enumerate(song.bars) if r not in rows and bar_notes(old, bar.bar))
    notes: list[Note] = []
    for row, bar in enumerate(song.bars):
        here = bar_notes(base.notes if row in rows else old, bar.bar)
        silent = row in rows and not bar_notes(old, bar.bar)
        source = _source(song, heard, row) if silent and not bar.ending and row not in played else None
        if source is not None:
            here = moved_bar(song, stream, bar_notes(old, song.bars[source].bar), song.bars[source], bar)
        again = source is not None and any(song.owners[r] == song.owners[row] for r in heard)
        if row in rows and row % 2 and not (again or bar.fill or bar.ending or row in played):
            rng = song.draw("edit", stream, row)
            here = vary_bar(
                stream, here, bar.bar, song.near(bar), song.key_at(bar), rng, steps=song.groove.steps_per_quarter
            )
        notes += here
    return in_order(notes)


def _is_hole(song: Song, old: Sequence[Note], rows: frozenset[int]) -> bool:
    """Whether the part rests in all these bars and plays in others."""
    return bool(old) and not any(bar_notes(old, song.bars[row].bar) for row in rows)


def _source(song: Song, heard: frozenset[int], row: int) -> int | None:
    """The bar among those that are `heard` which bar `row` is most likely to be like: the same place in a section of
    the same label, else one a few bars before or after. None where nothing is near."""
    bar, label = song.bars[row], song.shapes[song.owners[row]].section.label
    alike = [
        r
        for r in heard
        if song.bars[r].position == bar.position
        and song.owners[r] != song.owners[row]
        and song.shapes[song.owners[r]].section.label == label
    ]
    if alike:
        return min(alike, key=lambda r: (abs(r - row), r))
    near = [row + step for step in NEIGHBOURS if row + step in heard]
    same = [r for r in near if song.bars[r].level == bar.level]
    return next(iter(same or near), None)


def _played_rows(song: Song, base: Base | None) -> frozenset[int]:
    """Bars that are the user's own playing."""
    spans = base.played if base is not None else ()
    return frozenset(r for r, b in enumerate(song.bars) if any(x - EPS <= b.bar.start < y - EPS for x, y in spans))
