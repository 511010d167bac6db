"""What a request wishes of its stems beyond style and groove: how dense, how high, how complex, and beside whom.

Wishes are relative to what the music has by itself: 0 leaves it as it is. They are met on the notes that the band has
written (`engine.compose.shaping`), never on the user's own playing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bridge.messages import Render, StemWanted
from bridge.timeline import Clock
from bridge.wishes import stem2rivals
from engine.compose.room import heard_parts
from engine.compose.words import Worded, WordWishes, words2wishes
from engine.score import FormSection, Heard, Note


@dataclass(frozen=True, slots=True)
class Wish:
    """`density`, `register`, `complexity` -1 to 1. `rivals`: titles of stems, `theirs`: notes of the user's tracks (by
    start), whose onsets the stem keeps clear of. `unheard`: a track that it was to keep clear of, of which
    no notes are known."""

    density: float = 0.0
    register: float = 0.0
    complexity: float = 0.0
    rivals: tuple[str, ...] = ()
    theirs: tuple[Note, ...] = ()
    unheard: str = ""

    @property
    def asks(self) -> bool:
        """Whether anything is wished at all."""
        return bool(self.density or self.register or self.complexity or self.rivals or self.theirs or self.unheard)


def request2words(request: Render) -> WordWishes:
    """What the style words say of the request's stems."""
    return words2wishes(request.style, tuple(dict.fromkeys(stem.role for stem in request.stems)))


def with_instruments(request: Render, said: WordWishes) -> Render:
    """The request with the instruments that its words name, for the first stem of their role that names none itself."""
    stems: list[StemWanted] = []
    for stem in request.stems:
        first = stem.role not in {other.role for other in stems}
        named = said.instruments.get(stem.role, "") if first and not stem.instrument else stem.instrument
        stems.append(msgspec.structs.replace(stem, instrument=named))
    return msgspec.structs.replace(request, stems=tuple(stems))


def request2wishes(request: Render, heard: Heard) -> dict[str, Wish]:
    """The wishes by title of the stem, without those that ask for nothing. What a stem's own fields leave open, style
    words may ask of its role."""
    said = request2words(request).wishes
    wishes: dict[str, Wish] = {}
    for stem in request.stems:
        rivals = stem2rivals(request, stem)
        other = "" if rivals else stem.leave_space_for
        theirs = _track_notes(heard, other) if other else ()
        worded = said.get(stem.role, Worded())
        wish = Wish(
            density=worded.density if stem.density is None else stem.density,
            register=_registered(stem, worded),
            complexity=stem.complexity or 0.0,
            rivals=rivals,
            theirs=theirs,
            unheard="" if theirs else other,
        )
        if wish.asks:
            wishes[stem.title] = wish
    return wishes


def _registered(stem: StemWanted, worded: Worded) -> float:
    if stem.role == "drums":
        return 0.0
    return worded.register if stem.register is None else stem.register


def track_strengths(request: Render) -> dict[str, float]:
    """How far tracks that are varied shall be left, by name."""
    return {track.name: track.strength for track in request.arrangement.tracks if track.strength is not None}


def mean_bpm(clock: Clock, form: Sequence[FormSection]) -> float:
    """Quarter notes per minute over the sections as a whole."""
    beats = sum(f.end - f.start for f in form)
    seconds = sum(clock.beat2second(f.end) - clock.beat2second(f.start) for f in form)
    return 60.0 * beats / max(seconds, 1e-9)


def _track_notes(heard: Heard, name: str) -> tuple[Note, ...]:
    """Notes of the user's tracks of that name, or else role, that stay in the song."""
    stays = [part for part, use in heard_parts(heard) if use != "replace"]
    named = [part for part in stays if part.name == name] or [part for part in stays if part.role == name]
    return tuple(sorted((n for part in named for n in part.notes), key=lambda n: n.start))
