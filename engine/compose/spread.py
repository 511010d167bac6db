"""Pads that leave the middle to those who play there: where two parts comp already (keys and a guitar), a pad does not
hold the very same tones once more.

It keeps the tones that only it has, and at least two: the chord stays whole, for the others have the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.compose.measure import bar_notes
from engine.compose.pitches import in_order
from engine.compose.seats import Seat
from engine.compose.song import Song
from engine.compose.strikes import Strike, notes2strikes
from engine.score import Note

CROWD = 2
"""Parts that comp in a bar from which on a pad is thinned."""
LEAST_VOICES = 2
HALF = 0.5
"""Share of a pad's tone that another must hold with it to count as the same tone."""


def thin_pads(song: Song, seats: Sequence[Seat], parts: Mapping[str, Sequence[Note]]) -> dict[str, tuple[Note, ...]]:
    """The parts by title (each sorted by start), pads and strings thinned in bars where two others comp."""
    comping = [tuple(parts[s.title]) for s in seats if s.stream == "comp" and parts.get(s.title)]
    out = {title: tuple(notes) for title, notes in parts.items()}
    if len(comping) < CROWD:
        return out
    for seat in (s for s in seats if s.stream == "pad"):
        thinned: list[Note] = []
        for bar in song.bars:
            here = bar_notes(out.get(seat.title, ()), bar.bar)
            around = [notes for notes in comping if bar_notes(notes, bar.bar)]
            if len(around) < CROWD or bar.ending:
                thinned += here
                continue
            strikes = notes2strikes(here)
            end = max((n.end for n in here), default=bar.bar.end)
            others = [n for notes in around for n in notes if n.start < end and n.end > bar.bar.start]
            thinned += (note for strike in strikes for note in _thinned(strike, others))
        out[seat.title] = in_order(thinned)
    return out


def _thinned(strike: Strike, others: Sequence[Note]) -> Strike:
    """The strike without the tones that others hold for half of it, the most doubled ones first."""
    shares = {n.pitch: _held(n, others) for n in strike}
    doubled = sorted((n for n in strike if shares[n.pitch] >= HALF), key=lambda n: (-shares[n.pitch], n.pitch))
    gone = {n.pitch for n in doubled[: max(len(strike) - LEAST_VOICES, 0)]}
    return tuple(n for n in strike if n.pitch not in gone)


def _held(note: Note, others: Sequence[Note]) -> float:
    """Share of a note's length in which another part sounds the same pitch."""
    spans = sorted((max(o.start, note.start), min(o.end, note.end)) for o in others if o.pitch == note.pitch)
    covered, reached = 0.0, note.start
    for start, end in spans:
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered / max(note.length, 1e-9)
