"""An edit of a take: the scope's sections x stems are written anew, everything else stays as it stands.

Chords, key and groove are the take's own. Notes outside the scope are the very same values, and the feel marks them as
played, so that performing the edited score leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bridge.errors import RequestError
from bridge.messages import Render, Scope
from engine.compose.candidates import SEED, choices2remarks, choose_versions
from engine.compose.form import SectionShape
from engine.compose.keys import Keys
from engine.compose.material import Base, Material, base_stream, heard2material
from engine.compose.measure import bar_notes
from engine.compose.parts import streams2parts
from engine.compose.pitches import EPS, clip_notes, in_order
from engine.compose.room import heard2room
from engine.compose.seats import Seat
from engine.compose.song import Song
from engine.compose.vary import vary_bar
from engine.compose.writers import Writers, write_canvas
from engine.diffusion.canvas import STREAMS
from engine.grooves import groove
from engine.report import Tick
from engine.score import FormSection, Heard, Note, Part, Score

TRIES = 8
"""Rounds of small changes after which a section that still equals the old one stays (some bars have no other form)."""


def edit_band(
    request: Render,
    shapes: Sequence[SectionShape],
    seats: Sequence[Seat],
    heard: Heard,
    writers: Writers,
    tick: Tick,
    previous: Score,
) -> Score:
    """`previous` with the scope of `request` written anew by its seed.

    Raises `RequestError` for a scope that names a section or stem the take does not have.
    """
    scope = request.scope or Scope("")
    form = tuple(shape.section for shape in shapes)
    sections = _named_sections(scope, form)
    titles = _named_stems(scope, seats)
    if not previous.feel.groove:
        raise RequestError(
            "scope.take",
            "this take was not composed by the band, so the band cannot edit it.",
            field="scope.take",
            hint="Render it anew.",
        )
    keys = Keys(previous.keys) if previous.keys else Keys.steady(previous.key)
    song = Song(tuple(shapes), previous.chords, keys, groove(previous.feel.groove), request.seed)
    rows = frozenset(r for r, owner in enumerate(song.owners) if owner in sections)
    old = {part.name: part.notes for part in previous.parts}
    streams = {s: _leader_notes(s, seats, old) for s in STREAMS}
    inside = [seat for seat in seats if seat.title in titles]
    material = heard2material(heard, seats)
    bases = {s.stream: base_stream(song, s.stream, material.get(s.stream, Material())) for s in inside if s.rank == 0}
    fresh = {stream: _fresh_seed(song, stream, base, streams[stream], rows) for stream, base in bases.items()}
    given = {s: frozenset(range(len(song.bars))) - (rows if s in fresh else frozenset()) for s in STREAMS}
    canvas_notes = {s: streams[s] for s in STREAMS}
    drawn = write_canvas(writers, song, canvas_notes, given, request.seed, tick)
    lines: list[str] = []
    chosen = {s: tuple(streams[s]) for s in STREAMS}
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
    parts = tuple(
        Part(
            seat.title,
            seat.role,
            _merged(old.get(seat.title, ()), written[seat.title], form, sections, seat.title in titles),
            seat.instrument,
        )
        for seat in seats
    )
    kept = tuple(p for p in previous.parts if p.name not in {seat.title for seat in seats})
    standing = _standing((*parts, *kept), form, sections, titles)
    yours = tuple((s.title, *span) for s in inside if s.rank == 0 for span in bases[s.stream].played)
    feel = replace(previous.feel, as_played=(*standing, *yours))
    where = ", ".join(form[i].name for i in sorted(sections))
    line = f"edit: {', '.join(sorted(titles))} in {where} written anew with seed {request.seed}"
    return Score(
        previous.key, previous.chords, (*parts, *kept), form, (*previous.remarks, line, *lines), feel, previous.keys
    )


def _named_sections(scope: Scope, form: Sequence[FormSection]) -> frozenset[int]:
    for i, name in enumerate(scope.sections):
        if name not in [f.name for f in form]:
            raise RequestError(
                "scope.section", f'there is no section "{name}".', field=f"scope.sections[{i}]",
                hint=f"One of {', '.join(f.name for f in form)}.",
            )  # fmt: skip
    return frozenset(i for i, f in enumerate(form) if not scope.sections or f.name in scope.sections)


def _named_stems(scope: Scope, seats: Sequence[Seat]) -> frozenset[str]:
    titles = [seat.title for seat in seats]
    for i, name in enumerate(scope.stems):
        if name not in titles:
            raise RequestError(
                "scope.stem",
                f'there is no stem "{name}".',
                field=f"scope.stems[{i}]",
                hint=f"One of {', '.join(titles)}.",
            )
    return frozenset(t for t in titles if not scope.stems or t in scope.stems)


def _leader_notes(stream: str, seats: Sequence[Seat], old: dict[str, tuple[Note, ...]]) -> tuple[Note, ...]:
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


def _merged(
    old: Sequence[Note], new: Sequence[Note], form: Sequence[FormSection], sections: frozenset[int], wanted: bool
) -> tuple[Note, ...]:
    """The old notes outside the scope, the very same values, and the new ones inside it."""
    if not wanted:
        return tuple(old)
    spans = [(form[i].start, form[i].end) for i in sorted(sections)]
    kept = [n for n in old if not any(a - EPS <= n.start < b - EPS for a, b in spans)]
    fresh = [n for a, b in spans for n in clip_notes(new, a, b)]
    return tuple(sorted((*kept, *fresh), key=lambda n: (n.start, n.pitch)))


def _standing(
    parts: Sequence[Part], form: Sequence[FormSection], sections: frozenset[int], titles: frozenset[str]
) -> tuple[tuple[str, float, float], ...]:
    """Spans that the performer leaves alone: every part outside the scope."""
    spans: list[tuple[str, float, float]] = []
    for part in parts:
        for i, section in enumerate(form):
            if part.name not in titles or i not in sections:
                spans.append((part.name, section.start, section.end))
    return tuple(spans)
