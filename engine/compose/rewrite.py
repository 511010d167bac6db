"""Bars of a song are written anew around what stands: the heart of an edit and of a continuation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.compose.candidates import SEED, choices2remarks, choose_versions
from engine.compose.material import Base, Material, base_stream, heard2material
from engine.compose.measure import bar_notes
from engine.compose.parts import streams2parts
from engine.compose.pitches import EPS, in_order
from engine.compose.room import heard2room
from engine.compose.seats import Seat
from engine.compose.song import Song
from engine.compose.vary import vary_bar
from engine.compose.writers import Writers, write_canvas
from engine.diffusion.canvas import STREAMS
from engine.report import Tick
from engine.score import Heard, Note

TRIES = 8
"""Rounds of small changes after which a section that still equals the old one stays (some bars have no other form)."""


@dataclass(frozen=True)
class Rewritten:
    """Notes of every stem for the whole song, of which only the wanted bars count; `played`: spans (stem, start beat,
    end beat) that are the user's own playing; `remarks`: which version stands where."""

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
) -> Rewritten:
    """Writes the bars `rows` of the stems `titles` by the song's seed, hearing `old` (notes by stem) on both sides."""
    streams = {s: _leader_notes(s, seats, old) for s in STREAMS}
    inside = [seat for seat in seats if seat.title in titles]
    material = heard2material(heard, seats)
    bases = {s.stream: base_stream(song, s.stream, material.get(s.stream, Material())) for s in inside if s.rank == 0}
    fresh = {stream: _fresh_seed(song, stream, base, streams[stream], rows) for stream, base in bases.items()}
    given = {s: frozenset(range(len(song.bars))) - (rows if s in fresh else frozenset()) for s in STREAMS}
    drawn = write_canvas(writers, song, streams, given, song.seed, tick)
    lines: list[str] = []
    chosen = dict(streams)
    for stream in (s for s in STREAMS if s in fresh):
        versions: dict[str, Sequence[Note]] = {SEED: fresh[stream]}
        versions.update({f"parts model, draw {k + 1}": draw[stream] for k, draw in enumerate(drawn)})
        notes, choices = choose_versions(song, stream, versions, chosen["drums"], sorted(rows))
        chosen[stream] = notes
        lines += choices2remarks(choices)
    written = streams2parts(song, seats, chosen, material, bases, heard2room(heard))
    for seat in inside:
        free = rows - _played_rows(song, bases.get(seat.stream)) if seat.rank == 0 else rows
        written[seat.title] = _unlike(song, seat, written[seat.title], old.get(seat.title, ()), free)
    played = tuple((s.title, *span) for s in inside if s.rank == 0 for span in bases[s.stream].played)
    return Rewritten(written, played, tuple(lines))


def _leader_notes(stream: str, seats: Sequence[Seat], old: Mapping[str, tuple[Note, ...]]) -> tuple[Note, ...]:
    leaders = [seat.title for seat in seats if seat.stream == stream and seat.rank == 0]
    return old.get(leaders[0], ()) if leaders else ()


def _fresh_seed(song: Song, stream: str, base: Base, old: Sequence[Note], rows: frozenset[int]) -> tuple[Note, ...]:
    """The stream as it stands with new form-rule bars in `rows`, every second of them changed a little more."""
    played = _played_rows(song, base)
    notes: list[Note] = []
    for row, bar in enumerate(song.bars):
        here = bar_notes(base.notes if row in rows else old, bar.bar)
        if row in rows and row % 2 and not (bar.fill or bar.ending or row in played):
            rng = song.draw("edit", stream, row)
            here = vary_bar(
                stream, here, bar.bar, song.near(bar), song.key_at(bar), rng, steps=song.groove.steps_per_quarter
            )
        notes += here
    return in_order(notes)


def _played_rows(song: Song, base: Base | None) -> frozenset[int]:
    """Bars that are the user's own playing."""
    spans = base.played if base is not None else ()
    return frozenset(r for r, b in enumerate(song.bars) if any(x - EPS <= b.bar.start < y - EPS for x, y in spans))


def _unlike(
    song: Song, seat: Seat, notes: Sequence[Note], old: Sequence[Note], rows: frozenset[int]
) -> tuple[Note, ...]:
    """`notes`, changed where an edited section would otherwise sound exactly as before."""
    kind = "percussion" if seat.stream == "drums" and seat.rank else seat.stream
    by_section: dict[int, list[int]] = {}
    for row in sorted(rows):
        by_section.setdefault(song.owners[row], []).append(row)
    bars = [bar_notes(notes, bar.bar) for bar in song.bars]
    for section_rows in by_section.values():
        for attempt in range(TRIES):
            if any(_plain(bars[r]) != _plain(bar_notes(old, song.bars[r].bar)) for r in section_rows):
                break
            rng = song.draw("unlike", seat.title, section_rows[0], attempt)
            row = section_rows[int(rng.integers(len(section_rows)))]
            bar = song.bars[row]
            bars[row] = vary_bar(
                kind,
                bars[row],
                bar.bar,
                song.near(bar),
                song.key_at(bar),
                rng,
                steps=song.groove.steps_per_quarter,
                changes=1 + attempt // 2,
            )
    return in_order(n for bar in bars for n in bar)


def _plain(notes: Sequence[Note]) -> list[tuple[float, int]]:
    return [(round(n.start, 4), n.pitch) for n in notes]
