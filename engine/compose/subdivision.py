"""Do the user's notes split the beat in three? A groove on a grid of sixteenths would lose where they lie.

The other way round nothing is asked: eighths that are written even are swung by a groove in triplets, as players do.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.score import Heard, Note

THIRDS, QUARTERS = (1 / 3, 2 / 3), (0.25, 0.5, 0.75)
NEAR = 0.045
"""Beats within which a note lies on a place: the two grids are 1/12 of a beat apart at the nearest."""
ENOUGH = 8
"""Notes off the beat that it takes to say anything."""
MOST = 0.7
"""Share of them that the triplets' grid must hold."""


def heard2feel(heard: Heard) -> str:
    """ "triplet" where the tracks that are followed or varied are played so, else ""."""
    uses = (*heard.uses, *("follow",) * (len(heard.parts) - len(heard.uses)))
    return notes2feel(n for part, use in zip(heard.parts, uses, strict=False) if use != "replace" for n in part.notes)


def notes2feel(notes: Iterable[Note]) -> str:
    """As `heard2feel`. Chords count once."""
    places = [beat % 1.0 for beat in {round(n.start, 3) for n in notes}]
    off = [p for p in places if NEAR < p < 1.0 - NEAR]
    if len(off) < ENOUGH:
        return ""
    thirds = sum(any(abs(p - x) <= NEAR for x in THIRDS) for p in off)
    quarters = sum(any(abs(p - x) <= NEAR for x in QUARTERS) for p in off)
    return "triplet" if thirds >= MOST * len(off) and thirds > quarters else ""
