"""Whether SongGeneration can answer a request, before anything is loaded. Light: no torch."""

from __future__ import annotations

from bridge.arrangement import ACCOMPANIMENT, Section
from bridge.checkpoints import Checkpoint
from bridge.errors import RequestError
from bridge.messages import Render
from engine.song.lyrics import sections2lyric

STEMS = ("vocals", ACCOMPANIMENT)
"""Roles of the stems that it makes."""


def check_song(request: Render, checkpoint: Checkpoint) -> None:
    """Raises `RequestError` on the field that asks for what it cannot do."""
    name = checkpoint.name
    for i, stem in enumerate(request.stems):
        if stem.role not in STEMS:
            raise RequestError(
                "stem.song",
                f"{name!r} sings and plays a whole song: its stems are vocals and accompaniment, not {stem.role}.",
                field=f"stems[{i}].role",
                hint="Ask for vocals, accompaniment or both; other stems need another renderer and request.",
            )
        if stem.role in [other.role for other in request.stems[:i]]:
            raise RequestError(
                "stem.song", f"{name!r} makes one stem of {stem.role}.", field=f"stems[{i}].role", hint="Leave one out."
            )
    for field, given in (("scope", request.scope is not None), ("continues", bool(request.continues))):
        if given:
            raise RequestError(
                "song.whole",
                f"{name!r} writes a song as a whole: it can neither write parts of a take anew nor go on after one.",
                field=field,
                hint="Ask for further takes, or with another seed.",
            )
    _check_length(request, checkpoint)
    sections2lyric(request.arrangement.sections, request.arrangement.timeline())


def _check_length(request: Render, checkpoint: Checkpoint) -> None:
    assert checkpoint.song is not None
    arrangement = request.arrangement
    clock = arrangement.timeline()
    start, most = clock.beat2second(arrangement.start), checkpoint.song.seconds
    seconds = clock.beat2second(arrangement.end) - start
    if seconds > most:
        last = first_beyond(arrangement.sections, clock.second2beat(start + most))
        raise RequestError(
            "song.too_long",
            f"the sections last {seconds:.0f} s; {checkpoint.name!r} writes songs of {most:.0f} s at most.",
            field="arrangement.sections",
            hint=f"Leave out what comes from {last.name!r} on, or shorten the song.",
        )


def first_beyond(sections: tuple[Section, ...], beat: float) -> Section:
    """The first section that ends after the beat."""
    return min((s for s in sections if s.end > beat), key=lambda s: s.start)
