"""Are a request's wishes about the music possible? Controls of stems, strengths of variations, chords by name.

Nothing is clamped: what is out of range, contradicts itself or names nobody is refused with the field that says it.
"""

from __future__ import annotations

import math

from bridge.arrangement import ACCOMPANIMENT, Arrangement
from bridge.chordnames import name2chord
from bridge.errors import RequestError
from bridge.messages import Render, StemWanted
from bridge.timeline import Clock

CONTROLS = ("density", "register", "complexity")
MAX_CHORDS = 5000
UNWRITTEN = ("vocals", ACCOMPANIMENT)
"""Roles whose notes the band does not write, so that nothing of theirs can be asked for."""


def check_wishes(request: Render, clock: Clock) -> None:
    """Raises `RequestError` for a wish that cannot be met."""
    for i, stem in enumerate(request.stems):
        _check_controls(stem, f"stems[{i}]")
    _check_space(request)
    if request.scope is not None:
        _check_strength(request.scope.strength, "scope.strength")
        if request.scope.notes == "keep" and request.scope.strength != 1.0:
            raise RequestError(
                "scope.strength",
                "notes that are kept are not varied.",
                field="scope.strength",
                hint="Leave the strength out, or let the notes be new.",
            )
    for i, track in enumerate(request.arrangement.tracks):
        if track.strength is None:
            continue
        field = f"arrangement.tracks[{i}].strength"
        _check_strength(track.strength, field)
        if track.use != "vary":
            raise RequestError(
                "track.strength", f"{track.name!r} is not varied.", field=field, hint='It goes with "use": "vary".'
            )
    _check_chords(request.arrangement, clock)


def stem2rivals(request: Render, stem: StemWanted) -> tuple[str, ...]:
    """Titles of the other stems that `stem` leaves space for; none where it names a track of the user's alone."""
    name = stem.leave_space_for
    others = [other for other in request.stems if other.title != stem.title]
    named = [other.title for other in others if other.title == name]
    return tuple(named or [other.title for other in others if other.role == name])


def _check_controls(stem: StemWanted, where: str) -> None:
    for name in CONTROLS:
        value = getattr(stem, name)
        if value is None:
            continue
        field = f"{where}.{name}"
        if not -1.0 <= value <= 1.0:
            raise RequestError(
                f"stem.{name}", f"{name} is a number from -1 to 1.", field=field, hint="0 is as the music wants."
            )
        if stem.role in UNWRITTEN:
            raise RequestError(f"stem.{name}", f"the band writes no notes for {stem.role}.", field=field)
        if name == "register" and stem.role == "drums":
            raise RequestError(
                "stem.register", "drums have no register.", field=field, hint="Choose another kit by its instrument."
            )


def _check_space(request: Render) -> None:
    tracks = request.arrangement.tracks
    known = {s.title for s in request.stems} | {s.role for s in request.stems}
    known |= {t.name for t in tracks} | {t.role for t in tracks if t.role}
    waits: dict[str, tuple[str, ...]] = {}
    for i, stem in enumerate(request.stems):
        name, field = stem.leave_space_for, f"stems[{i}].leave_space_for"
        if not name:
            continue
        if stem.role in UNWRITTEN:
            raise RequestError("stem.space", f"the band writes no notes for {stem.role}.", field=field)
        if name == stem.title:
            raise RequestError("stem.space", f"{name!r} cannot make room for itself.", field=field)
        if name not in known:
            raise RequestError(
                "stem.space", f"there is no stem or track {name!r} to leave space for.", field=field,
                hint=f"One of {', '.join(sorted(known - {stem.title}))}.",
            )  # fmt: skip
        waits[stem.title] = stem2rivals(request, stem)
    for title in waits:
        if _waits_for(title, title, waits):
            i = next(i for i, stem in enumerate(request.stems) if stem.title == title)
            raise RequestError(
                "stem.space",
                f"{title!r} would make room for itself by way of {', '.join(waits[title])}.",
                field=f"stems[{i}].leave_space_for",
                hint="Let one of them keep its place.",
            )


def _waits_for(start: str, goal: str, waits: dict[str, tuple[str, ...]]) -> bool:
    seen: set[str] = set()
    open_ones = list(waits.get(start, ()))
    while open_ones:
        name = open_ones.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            open_ones += waits.get(name, ())
    return False


def _check_strength(value: float, field: str) -> None:
    if not 0.0 <= value <= 1.0:
        raise RequestError(
            "strength", "the strength is a number from 0 to 1.", field=field, hint="0 is the same, 1 is new."
        )


def _check_chords(arrangement: Arrangement, clock: Clock) -> None:
    chords = arrangement.chords
    if len(chords) > MAX_CHORDS:
        raise RequestError("too_many", f"{len(chords)} of them; at most {MAX_CHORDS}.", field="arrangement.chords")
    for i, chord in enumerate(chords):
        field = f"arrangement.chords[{i}]"
        if not math.isfinite(chord.beat) or (i and chord.beat <= chords[i - 1].beat):
            raise RequestError("chord.order", "chords must follow each other in time.", field=f"{field}.beat")
        if chord.beat > clock.end:
            raise RequestError("chord.outside", f"beat {chord.beat:g} is after the timeline.", field=f"{field}.beat")
        name2chord(chord.symbol, f"{field}.symbol")
