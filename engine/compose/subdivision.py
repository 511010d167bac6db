"""Do the user's notes split the beat in three? A groove on a grid of sixteenths would lose where they lie.

The other way round only drums are asked: eighths that are written even are swung by a groove in triplets, as players
do, but a drummer who plays straight sixteenths has settled it for the band, whatever the style's words say.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.score import Heard, Note

THIRDS, QUARTERS, SIXTEENTHS = (1 / 3, 2 / 3), (0.25, 0.5, 0.75), (0.25, 0.75)
NEAR = 0.045
"""Beats within which a note lies on a place: the two grids are 1/12 of a beat apart at the nearest."""
ENOUGH = 8
"""Notes off the beat that it takes to say anything."""
MOST = 0.7
"""Share of them that the triplets' grid must hold, or the straight one."""
SOME = 0.15
"""Share of them between the eighths that makes straight drums play sixteenths."""


def heard2feel(heard: Heard) -> str:
    """ "triplet" where the tracks that are followed or varied are played so, "straight" where their drums play
    sixteenths, else ""."""
    uses = (*heard.uses, *("follow",) * (len(heard.parts) - len(heard.uses)))
    parts = [part for part, use in zip(heard.parts, uses, strict=False) if use != "replace"]
    found = notes2feel(n for part in parts for n in part.notes)
    if found:
        return found
    return "straight" if plays_sixteenths(n for part in parts if part.role == "drums" for n in part.notes) else ""


def plays_sixteenths(notes: Iterable[Note]) -> bool:
    """Whether notes lie on a straight grid, and often enough between its eighths."""
    off = _off_beat(notes)
    between = sum(any(abs(p - x) <= NEAR for x in SIXTEENTHS) for p in off)
    on_grid = between + sum(abs(p - 0.5) <= NEAR for p in off)
    return between >= ENOUGH / 2 and between >= SOME * len(off) and on_grid >= MOST * len(off)


def notes2feel(notes: Iterable[Note]) -> str:
    """As `heard2feel`. Chords count once."""
    off = _off_beat(notes)
    if len(off) < ENOUGH:
        return ""
    thirds = sum(any(abs(p - x) <= NEAR for x in THIRDS) for p in off)
    quarters = sum(any(abs(p - x) <= NEAR for x in QUARTERS) for p in off)
    return "triplet" if thirds >= MOST * len(off) and thirds > quarters else ""


def _off_beat(notes: Iterable[Note]) -> list[float]:
    """Places in their beats, 0-1, of the strikes that are not on one."""
    places = [beat % 1.0 for beat in {round(n.start, 3) for n in notes}]
    return [p for p in places if NEAR < p < 1.0 - NEAR]
