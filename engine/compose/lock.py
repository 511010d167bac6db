"""Kick and bass that meet: a bass laid on the kick of drums that the user gave, a kick laid on a bass that they gave.

The band's own drums and bass are coupled already, as their groove has it. A groove that somebody else played knows
nothing of it: here our part goes to where theirs is, keeps its pitches, its first beats and its chords, and lets go
what would blur the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from engine.compose.form import BarShape
from engine.compose.material import Base, Material, base_stream, rows_with, snap
from engine.compose.measure import KICKS, SNARES, bar_notes
from engine.compose.pitches import EPS, in_order
from engine.compose.song import Song
from engine.compose.strikes import NEAR, Strike, chord_begins, notes2strikes, place2rank, released, struck_at
from engine.score import Note

TOGETHER = 0.12
"""Beats within which kick and bass meet."""
REACH = 0.75
"""Beats by which a bass note may move to a kick."""
HARD = 60
"""Velocity of a backbeat; softer snares are ghost notes."""


def base_of(song: Song, stream: str, material: Mapping[str, Material]) -> Base:
    """A stream before the parts model, laid on the user's kick or bass where they gave one."""
    base = base_stream(song, stream, material.get(stream, Material()))
    return replace(base, notes=coupled(song, stream, base.notes, material))


def coupled(song: Song, stream: str, notes: Sequence[Note], material: Mapping[str, Material]) -> tuple[Note, ...]:
    """`notes` of our bass (drums) laid on the user's kick (bass) in the bars where theirs plays and ours is not their
    own; any other stream as it is."""
    partner = {"bass": "drums", "drums": "bass"}.get(stream)
    theirs = material.get(partner, Material()) if partner else Material()
    given = in_order((*theirs.taken, *theirs.beside))
    if not given:
        return tuple(notes)
    own = rows_with(song, material[stream].taken) if stream in material else frozenset()
    rows = rows_with(song, given) - own
    on_grid = in_order(replace(n, start=snap(n.start, song)) for n in given)
    lay = _bass_on_kick if stream == "bass" else _kick_on_bass
    out: list[Note] = []
    for row, bar in enumerate(song.bars):
        here = bar_notes(notes, bar.bar)
        there = bar_notes(on_grid, bar.bar)
        out += lay(song, bar, here, there) if row in rows and here and there and not bar.ending else here
    return in_order(out)


def _bass_on_kick(song: Song, bar: BarShape, notes: tuple[Note, ...], drums: Sequence[Note]) -> Sequence[Note]:
    kicks = sorted({n.start for n in drums if n.pitch in KICKS})
    if not kicks:
        return notes
    strikes = notes2strikes(notes)
    fixed = [s for s in strikes if _on(s[0].start, kicks) or place2rank(s[0].start, bar) == 0]
    fixed += [s for s in strikes if s not in fixed and chord_begins(song.chords, s[0].start)]
    free = [s for s in strikes if s not in fixed]
    out = list(fixed)
    for kick in kicks:
        if any(abs(s[0].start - kick) < TOGETHER for s in out):
            continue
        near = [s for s in free if abs(s[0].start - kick) <= REACH]
        model = min(near, key=lambda s: abs(s[0].start - kick)) if near else _before(strikes, kick)
        if near:
            free.remove(model)
        length = max(n.length for n in model)
        out.append(struck_at(model, kick, length, song.chords, song.key_at(bar), 0))
    out += [s for s in free if place2rank(s[0].start, bar) == 1 and s[0].velocity >= HARD and len(out) < 3]
    out.sort(key=lambda s: s[0].start)
    ends = [*(s[0].start for s in out[1:]), bar.bar.end]
    return [n for strike, end in zip(out, ends, strict=True) for n in released(strike, end)]


def _kick_on_bass(song: Song, bar: BarShape, notes: tuple[Note, ...], bass: Sequence[Note]) -> Sequence[Note]:
    backbeats = [n.start for n in notes if n.pitch in SNARES and n.velocity >= HARD]
    kicks = [n for n in notes if n.pitch in KICKS]
    others = [n for n in notes if n.pitch not in KICKS]
    if not kicks:
        return notes
    onsets = [s for s in sorted({n.start for n in bass}) if not _on(s, backbeats)]
    most = max(len(kicks) + 2, 3)
    old = [n.start for n in kicks]
    chosen = sorted(onsets, key=lambda s: (not _on(s, old), place2rank(s, bar), s))[:most]
    one = [n for n in kicks if n.start < bar.bar.start + EPS]
    loud = max(n.velocity for n in kicks)
    laid = [
        Note(s, 0.25, kicks[0].pitch, loud if place2rank(s, bar) <= 1 else max(loud - 12, 1))
        for s in chosen
        if not any(abs(n.start - s) < NEAR for n in one)
    ]
    return in_order((*others, *one, *laid))


def _on(beat: float, places: Sequence[float]) -> bool:
    return any(abs(beat - place) < TOGETHER for place in places)


def _before(strikes: Sequence[Strike], beat: float) -> Strike:
    """The last strike before `beat`, else the first one."""
    return next((s for s in reversed(strikes) if s[0].start < beat), strikes[0])
