"""An edit of a take: the scope's bars x stems are written anew, everything else stays as it stands.

Chords, key and groove are the take's own. Notes outside the scope are the very same values, and the feel marks them as
played, so that performing the edited score leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bridge.errors import RequestError
from bridge.messages import Render, Scope
from bridge.timeline import Clock
from engine.compose.form import SectionShape
from engine.compose.keys import Keys
from engine.compose.pitches import clip_notes
from engine.compose.rewrite import rewrite
from engine.compose.seats import Seat
from engine.compose.song import Song
from engine.compose.wishes import mean_bpm, request2wishes
from engine.compose.writers import Writers
from engine.grooves import groove
from engine.report import Tick
from engine.scope import joined, scope2spans, within
from engine.score import FormSection, Heard, Note, Part, Score

Spans = Sequence[tuple[float, float]]


def edit_band(
    request: Render,
    clock: Clock,
    shapes: Sequence[SectionShape],
    seats: Sequence[Seat],
    heard: Heard,
    writers: Writers,
    tick: Tick,
    previous: Score,
) -> Score:
    """`previous` with the scope of `request` written anew by its seed; a stem that it lacks is added there.

    Raises `RequestError` for a scope that names a section or stem the take does not have, or that holds no bar.
    """
    scope = request.scope or Scope("")
    form = tuple(shape.section for shape in shapes)
    _check_sections(scope, form)
    titles = _named_stems(scope, seats)
    check_composed(previous, "scope.take")
    spans = scope2spans(scope, form)
    song = Song(
        tuple(shapes), previous.chords, score2keys(previous), groove(previous.feel.groove), request.seed,
        mean_bpm(clock, form), request.harmony == "safe", request2wishes(request, heard),
    )  # fmt: skip
    rows = frozenset(row for row, bar in enumerate(song.bars) if within(bar.bar.start, spans))
    old = {part.name: part.notes for part in previous.parts}
    new = rewrite(song, seats, titles, rows, old, heard, writers, tick, scope.strength)
    parts = tuple(
        Part(
            seat.title,
            seat.role,
            _merged(old.get(seat.title, ()), new.notes[seat.title], spans, seat.title in titles),
            seat.instrument,
        )
        for seat in seats
    )
    kept = tuple(p for p in previous.parts if p.name not in {seat.title for seat in seats})
    standing = _standing((*parts, *kept), song, rows, titles)
    feel = replace(previous.feel, as_played=(*standing, *new.played))
    where = ", ".join(_where(section, spans) for section in form if _where(section, spans))
    line = f"edit: {', '.join(sorted(titles))} in {where} written anew with seed {request.seed}"
    remarks = (*previous.remarks, line, *new.remarks)
    return Score(previous.key, previous.chords, (*parts, *kept), form, remarks, feel, previous.keys)


def check_composed(take: Score, field: str) -> None:
    """Raises `RequestError` on `field` for a take that the band did not write: it has no groove to go on with."""
    if not take.feel.groove:
        raise RequestError(
            field,
            "this take was not composed by the band, so the band cannot write on in it.",
            field=field,
            hint="Render it anew.",
        )


def score2keys(score: Score) -> Keys:
    """The keys that a take is in."""
    return Keys(score.keys) if score.keys else Keys.steady(score.key)


def _where(section: FormSection, spans: Spans) -> str:
    """For people: "Verse", or "Verse, bars 3-4" where the edit covers a part of it; empty where it covers none."""
    bars = [i + 1 for i, bar in enumerate(section.bars) if within(bar.start, spans)]
    if len(bars) in (0, len(section.bars)):
        return section.name if bars else ""
    return f"{section.name}, bar {bars[0]}" + (f"-{bars[-1]}" if len(bars) > 1 else "")


def _check_sections(scope: Scope, form: Sequence[FormSection]) -> None:
    for i, name in enumerate(scope.sections):
        if name not in [f.name for f in form]:
            raise RequestError(
                "scope.section", f'there is no section "{name}".', field=f"scope.sections[{i}]",
                hint=f"One of {', '.join(f.name for f in form)}.",
            )  # fmt: skip


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


def _merged(old: Sequence[Note], new: Sequence[Note], spans: Spans, wanted: bool) -> tuple[Note, ...]:
    """The old notes outside the scope, the very same values, and the new ones inside it."""
    if not wanted:
        return tuple(old)
    kept = [n for n in old if not within(n.start, spans)]
    fresh = [n for a, b in spans for n in clip_notes(new, a, b)]
    return tuple(sorted((*kept, *fresh), key=lambda n: (n.start, n.pitch)))


def _standing(
    parts: Sequence[Part], song: Song, rows: frozenset[int], titles: frozenset[str]
) -> tuple[tuple[str, float, float], ...]:
    """Spans that the performer leaves alone: every part outside the scope."""
    out: list[tuple[str, float, float]] = []
    for part in parts:
        stands = [b.bar for row, b in enumerate(song.bars) if part.name not in titles or row not in rows]
        out += [(part.name, start, end) for start, end in joined([(bar.start, bar.end) for bar in stands])]
    return tuple(out)
