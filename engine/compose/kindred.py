"""A second comp from a kindred groove: another hand-written pattern of the same grid, voiced as the role plays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.compose.form import BarShape, SectionShape
from engine.compose.keys import Keys
from engine.compose.measure import onsets, overlap
from engine.compose.pitches import EPS, chords_in, clip_notes, in_order, no_overlaps
from engine.compose.seats import RANGES, Seat
from engine.grooves import Groove, Voicing, book, ending, last_voicing, realise
from engine.grooves.groove import ROOTED
from engine.grooves.pace import can_pace, paced
from engine.score import Chord, Note

SUITS = 0.1
"""What a voicing as the role plays is worth beside kinship."""
APART = 0.5
"""What a rhythm of its own is worth beside kinship."""
VAGUE = frozenset(("versatile", "slow", "fast", "and", "n", "music", "time", "dark", "southern", "strings", "guitar"))


def kindred_comp(
    seat: Seat,
    sounding: Sequence[Note],
    shapes: Sequence[SectionShape],
    chords: Sequence[Chord],
    keys: Keys,
    groove: Groove,
    twin: int,
) -> tuple[Note, ...] | None:
    """The comp of a kindred groove: of a style that shares words, the more the better, and rather one that is voiced as
    the role plays; else one so voiced, of the same tempo. None where no other groove has this grid and metre.
    """
    bars = [b for s in shapes for b in s.bars if seat.stream in b.streams]
    others = [paced(other, groove.pace) for other in book() if not groove.pace or can_pace(other, groove.pace)]
    beside = [other for other in others if other.name != groove.name and _plays_along(groove, other)]
    akin = [other for other in beside if _shared(groove, other)]
    suited = [other for other in beside if _suits(other, seat.role)] or beside
    in_pace = [other for other in suited if other.bpm_low < groove.bpm_high and groove.bpm_low < other.bpm_high]

    def worth(other: Groove) -> float:
        alike = _mean_overlap(other, bars, sounding, chords, keys)
        return _kinship(groove, other) + SUITS * _suits(other, seat.role) - APART * alike

    fitting = [(worth(other), other.name, other) for other in akin or in_pace or suited]
    if not fitting:
        return None
    ranked = [other for _, _, other in sorted(fitting, key=lambda o: (-o[0], o[1]))]
    kin = ranked[twin % len(ranked)]
    notes: list[Note] = []
    voice: Voicing | None = None
    for bar in bars:
        near = chords_in(chords, bar.whole.start - EPS, 2 * bar.whole.end - bar.whole.start)
        if bar.ending:
            written = ending(kin, "comp", bar.whole, near, keys.at(bar.bar.start), voice)
        else:
            written = realise(kin, bar.level, "comp", bar.whole, bar.position, near, keys.at(bar.bar.start), voice)
        voice = last_voicing(written) or voice
        notes += clip_notes(written, bar.bar.start, bar.bar.end)
    return no_overlaps(_apart(notes, sounding, seat.role))


def _plays_along(groove: Groove, other: Groove) -> bool:
    """Whether `other`'s comp fits beside `groove`: the same grid and metre."""
    has_comp = all("comp" in other.levels[level].streams for level in ("verse", "chorus"))
    return has_comp and other.feel == groove.feel and (other.beats, other.unit) == (groove.beats, groove.unit)


def _suits(groove: Groove, role: str) -> bool:
    """Whether the comp is voiced as the role plays: guitars on their roots, keys led by voices."""
    shapes = [groove.levels[level].streams["comp"].shape for level in ("verse", "chorus")]
    return all((shape in ROOTED) == (role == "guitar") for shape in shapes)


def _kinship(groove: Groove, other: Groove) -> float:
    """How well two grooves go together: shared tags and tempo."""
    shared = len(_shared(groove, other))
    middle = (groove.bpm_low + groove.bpm_high) / 2
    return 0.2 * min(shared, 4) + (0.2 if other.bpm_low <= middle <= other.bpm_high else 0.0)


def _shared(groove: Groove, other: Groove) -> frozenset[str]:
    """Words that the tags of both hold, without those that say nothing of the style."""
    mine, theirs = (frozenset(" ".join(g.tags).split()) for g in (groove, other))
    return (mine & theirs) - VAGUE


def _mean_overlap(
    groove: Groove, bars: Sequence[BarShape], sounding: Sequence[Note], chords: Sequence[Chord], keys: Keys
) -> float:
    """How much of the groove's comp falls on the same places as `sounding`, 0-1, over the first bars."""
    rows = []
    for bar in bars[:12]:
        near = chords_in(chords, bar.whole.start - EPS, 2 * bar.whole.end - bar.whole.start)
        mine = realise(groove, bar.level, "comp", bar.whole, bar.position, near, keys.at(bar.bar.start))
        rows.append(overlap(onsets(in_order(mine), bar.bar), onsets(sounding, bar.bar)))
    return sum(rows) / len(rows) if rows else 0.0


def _apart(notes: Sequence[Note], sounding: Sequence[Note], role: str) -> list[Note]:
    """The part in the octave where it doubles the fewest of the notes that sound already."""
    low, high = RANGES[role]
    taken = {(round(n.start, 3), n.pitch) for n in sounding}
    mean = sum(n.pitch for n in notes) / max(len(notes), 1)

    def doubled(shift: int) -> float:
        same = sum((round(n.start, 3), n.pitch + shift) in taken for n in notes)
        return same / max(len(notes), 1) + (0.1 if shift else 0.0)

    shift = min((s for s in (0, 12, -12) if low + 5 <= mean + s <= high - 5 or s == 0), key=doubled)
    return [replace(n, pitch=n.pitch + shift) for n in notes]
