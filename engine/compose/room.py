"""Leaves room for a melody that the user gave: our lead rests or answers in its gaps, our chords stay below it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from engine.compose.pitches import EPS, clip_notes, no_overlaps
from engine.score import Heard, Note, Part

BREATH = 0.5
"""Beats: a shorter rest in the given melody belongs to it."""
UNKNOWN_FLOOR = 64
"""Lowest pitch assumed for a melody that is only heard as sound."""
LOWEST_COMP = 43
HIGHEST_ARP = 96
NEAR = 4
"""Semitones: an arpeggio this close to the melody blurs it."""


@dataclass(frozen=True, slots=True)
class Room:
    """Where a given melody sounds: sorted disjoint spans in beats, and its notes where they are known."""

    spans: tuple[tuple[float, float], ...] = ()
    notes: tuple[Note, ...] = ()

    def floor(self, start: float, end: float) -> int | None:
        """The lowest pitch of the melody sounding in [start, end); None where it rests."""
        inside = [n.pitch for n in self.notes if n.end > start + EPS and n.start < end - EPS]
        if inside:
            return min(inside)
        return UNKNOWN_FLOOR if any(b > start + EPS and a < end - EPS for a, b in self.spans) else None


def heard_parts(heard: Heard) -> tuple[tuple[Part, str], ...]:
    """The user's parts with their uses; a part without a use is followed."""
    uses = (*heard.uses, *("follow",) * (len(heard.parts) - len(heard.uses)))
    return tuple(zip(heard.parts, uses, strict=True))


def heard2room(heard: Heard) -> Room:
    """The room that `follow`ed lead and vocal tracks, and audio that sounds, ask for."""
    notes = sorted(
        (
            note
            for part, use in heard_parts(heard)
            if use == "follow" and part.role in ("lead", "vocals")
            for note in part.notes
        ),
        key=lambda n: n.start,
    )
    return Room(merge((*((n.start, n.end) for n in notes), *heard.activity)), tuple(notes))


def given_melody(heard: Heard) -> tuple[Note, ...]:
    """The notes of the user's lead and vocal tracks that shall be kept in mind: followed or varied."""
    parts = (p for p, use in heard_parts(heard) if use != "replace" and p.role in ("lead", "vocals"))
    return tuple(sorted((n for part in parts for n in part.notes), key=lambda n: n.start))


def merge(spans: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Sorted disjoint spans; rests shorter than `BREATH` are closed."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + BREATH:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return tuple(merged)


def answer(lead: Sequence[Note], room: Room) -> tuple[Note, ...]:
    """Our lead kept to the gaps of the given melody: a note must begin in one, and ends where the melody begins."""
    kept: list[Note] = []
    edges = [0.0 - 1e9, *(x for span in room.spans for x in span), 1e9]
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        kept += [n for n in clip_notes(lead, start, end) if n.length >= 0.1]
    return tuple(kept)


def below(chords: Sequence[Note], room: Room) -> tuple[Note, ...]:
    """Chord notes moved by octaves under the melody that sounds with them; one that would be mud is left out."""
    kept: list[Note] = []
    for note in chords:
        floor = room.floor(note.start, note.end)
        pitch = note.pitch
        while floor is not None and pitch >= floor and pitch - 12 >= LOWEST_COMP:
            pitch -= 12
        if floor is None or pitch < floor:
            kept.append(replace(note, pitch=pitch))
    return no_overlaps(kept)


def aside(arpeggio: Sequence[Note], room: Room) -> tuple[Note, ...]:
    """Arpeggio notes that would sound among the given melody's, moved an octave away from it."""
    kept: list[Note] = []
    for note in arpeggio:
        near = [n.pitch for n in room.notes if n.end > note.start + EPS and n.start < note.end - EPS]
        blurs = [p for p in near if abs(p - note.pitch) <= NEAR]
        shift = 0 if not blurs else 12 if note.pitch >= max(blurs) and note.pitch + 12 <= HIGHEST_ARP else -12
        kept.append(replace(note, pitch=note.pitch + shift))
    return no_overlaps(kept)
