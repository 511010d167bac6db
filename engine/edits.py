"""The performed score of an edit: inside the scope the new notes, everywhere else the earlier take's, note for note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bridge.messages import Scope
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
