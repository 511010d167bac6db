"""What a re-roll plays instead: another version of the take's groove, or the beat of a kindred one.

A groove has one beat and perhaps several bass lines and voicings. Written anew from the same page, bars come back
nearly as they were; so a re-roll turns the page: drums take the beat of a groove that shares style words, grid and
metre, other parts another version of the groove, or the kindred one's where it has none.
"""

from __future__ import annotations

from dataclasses import replace

from engine.compose.song import Song
from engine.grooves import Groove, book
from engine.grooves.pace import can_pace, paced

NEAREST = 3
"""So many kindred grooves the seed chooses among."""


def turned(song: Song, stream: str) -> Song:
    """`song` in the groove that a re-roll of `stream` is written from."""
    groove = song.groove
    name, _, number = groove.name.partition(":")[0].partition("/")
    written = next((g for g in book() if g.name == name), None)
    others: list[Groove] = []
    if stream not in ("drums", "lead") and written is not None:
        mine = int(number or 1) - 1
        others = [written.version(k) for k in range(1 + len(written.alternatives)) if k != mine]
        others = [paced(g, groove.pace) for g in others]
    others = others or kindred(groove)[:NEAREST]
    if stream == "lead" or not others:
        return song
    return replace(song, groove=others[int(song.draw("anew", stream).integers(len(others)))])


def kindred(groove: Groove) -> list[Groove]:
    """Grooves of the book on the same grid that share style words, the nearest first."""
    others = [paced(g, groove.pace) for g in book() if not groove.pace or can_pace(g, groove.pace)]
    alike = [
        (len(set(g.tags) & set(groove.tags)) - 0.1 * _tempo_gap(groove, g), g)
        for g in others
        if g.name != groove.name
        and g.feel == groove.feel
        and (g.beats, g.unit) == (groove.beats, groove.unit)
        and set(g.tags) & set(groove.tags)
    ]
    return [g for _, g in sorted(alike, key=lambda pair: (-pair[0], pair[1].name))]


def _tempo_gap(a: Groove, b: Groove) -> float:
    """How many times ten beats per minute the middles of two grooves' tempi are apart."""
    return abs((a.bpm_low + a.bpm_high) - (b.bpm_low + b.bpm_high)) / 20.0
