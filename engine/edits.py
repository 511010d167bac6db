"""The performed score of an edit: inside the scope the new notes, everywhere else the earlier take's, note for note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bridge.errors import RequestError
from bridge.messages import Scope, StemWanted
from bridge.timeline import Clock
from engine.scope import EPS, scope2spans, within
from engine.score import Note, Part, Score


def merge_edit(new: Score, old: Score, scope: Scope, clock: Clock) -> Score:
    """Parts outside the scope (those that the request no longer names, too) are `old`'s; inside a part the notes of
    other bars are `old`'s. New notes are not played before their stretch: what lies there is not touched. Raises
    `RequestError` for a scope without a bar.
    """
    spans = scope2spans(scope, old.sections)
    before = {part.name: part for part in old.parts}
    parts = [_merge_part(part, before.get(part.name), scope, spans, clock) for part in new.parts]
    named = {part.name for part in parts}
    parts += [part for part in old.parts if part.name not in named]
    return replace(new, parts=tuple(parts), chords=old.chords, sections=old.sections)


def keep_notes(old: Score, scope: Scope, stems: Sequence[StemWanted]) -> Score:
    """The score of an edit that changes the sound alone: `old` with the instruments that `stems` wish for in its scope.

    Raises `RequestError` for a stem in the scope that the take does not have: there are no notes to keep.
    """
    have = {part.name for part in old.parts}
    wanted = {stem.title: stem for stem in stems if not scope.stems or stem.title in scope.stems}
    for i, stem in enumerate(stems):
        if stem.title in wanted and stem.title not in have:
            raise RequestError(
                "scope.stem",
                f"{scope.take} has no stem {stem.title!r} whose notes could be kept.",
                field=f"stems[{i}]",
                hint="Leave it out, or let its notes be new.",
            )
    parts = (
        replace(part, instrument=wanted[part.name].instrument) if part.name in wanted else part for part in old.parts
    )
    titles = ", ".join(part.name for part in old.parts if part.name in wanted)
    line = f"edit: the sound of {titles} made anew, notes kept"
    return replace(old, parts=tuple(parts), remarks=(*old.remarks, line))


def _merge_part(new: Part, old: Part | None, scope: Scope, spans: Sequence[tuple[float, float]], clock: Clock) -> Part:
    if old is None:
        return new
    if scope.stems and new.name not in scope.stems:
        return old
    kept = [note for note in old.notes if not within(note.start, spans)]
    written = [_not_early(note, spans, clock) for note in new.notes if within(note.start, spans)]
    return replace(new, notes=tuple(sorted([*kept, *written], key=lambda n: (n.start, n.pitch))))


def _not_early(note: Note, spans: Sequence[tuple[float, float]], clock: Clock) -> Note:
    start = next(start for start, end in spans if start - EPS <= note.start < end - EPS)
    earliest = 1000.0 * (clock.beat2second(start) - clock.beat2second(note.start))
    return replace(note, offset_ms=max(note.offset_ms, earliest))
