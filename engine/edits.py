"""The performed score of an edit: inside the scope the new notes, everywhere else the earlier take's, note for note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bridge.messages import Scope
from bridge.timeline import Clock
from engine.score import Note, Part, Score

EPS = 1e-6


def merge_edit(new: Score, old: Score, scope: Scope, clock: Clock) -> Score:
    """Parts outside the scope (those that the request no longer names, too) are `old`'s; inside a part the notes of
    other sections are `old`'s. New notes are not played before their section: what lies there is not touched.
    """
    spans = [(s.start, s.end) for s in old.sections if not scope.sections or s.name in scope.sections]
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
    kept = [note for note in old.notes if not _within(note, spans)]
    written = [_not_early(note, spans, clock) for note in new.notes if _within(note, spans)]
    return replace(new, notes=tuple(sorted([*kept, *written], key=lambda n: (n.start, n.pitch))))


def _within(note: Note, spans: Sequence[tuple[float, float]]) -> bool:
    return any(start - EPS <= note.start < end - EPS for start, end in spans)


def _not_early(note: Note, spans: Sequence[tuple[float, float]], clock: Clock) -> Note:
    start = next(start for start, end in spans if start - EPS <= note.start < end - EPS)
    earliest = 1000.0 * (clock.beat2second(start) - clock.beat2second(note.start))
    return replace(note, offset_ms=max(note.offset_ms, earliest))
