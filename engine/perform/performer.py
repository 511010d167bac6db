"""From a written score to a played one: velocities and `offset_ms` of every note.

Conventions: an offset is a swing delay plus a human part of at most `BOUND_MS` either way (push of the role, strum, the
player's scatter, the lean of a reference's groove). Random draws belong to (seed, part, bar): writing one bar anew
leaves the others bit-identical. Hits closer than a 32nd note share their draw, so that a flam keeps its order.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Bar, Clock
from engine.perform.dynamics import phrase_factor, rise_factor, rises_after, section_factor
from engine.perform.swing import swing_ms
from engine.perform.template import Lesson, part2lesson
from engine.score import Feel, FormSection, Note, Part, Score

BOUND_MS = 25.0
SLOT = 0.125
"""Beats: hits whose starts round to the same slot are one gesture of the player."""
SPREAD_VELOCITY = 4.9
"""Standard deviation of a player's velocities at one place of the bar (measured, see `engine.perform`)."""
TOP_VELOCITY = 4.0
"""By how much the highest note of a chord sings out."""
TRUNCATE = 2.0
"""Standard deviations at which the scatter is cut off."""
STRUM_MS = {"guitar": 5.0, "keys": 1.5, "strings": 2.5, "pad": 2.0, "brass": 1.5}
"""Milliseconds between neighbouring strings or fingers of a chord."""
ROLE_LOOSENESS = {"drums": 1.0, "bass": 0.8, "arp": 0.5, "lead": 1.2, "pad": 1.5, "strings": 1.5}
SNARES = (37, 38, 39, 40)
EPS = 1e-6

Draws = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a note lies: its bar, the section's index, and the bar's number in the section."""

    bar: Bar
    section: int
    position: int


def perform(score: Score, clock: Clock, feel: Feel, seed: int) -> Score:
    """`score` as the band plays it: the same notes with velocities shaped and `offset_ms` set.

    Lengths are only ever shortened, so that no note runs into the next strike of its own pitch. Notes inside
    `feel.as_played` spans come back untouched; no other note sounds before the first section begins.
    """
    places = _places(score.sections)
    starts = [place.bar.start for place in places]
    parts = tuple(_perform_part(part, score.sections, places, starts, clock, feel, seed) for part in score.parts)
    return replace(score, parts=parts, feel=feel)


def _perform_part(
    part: Part,
    form: Sequence[FormSection],
    places: Sequence[Place],
    starts: Sequence[float],
    clock: Clock,
    feel: Feel,
    seed: int,
) -> Part:
    kept_spans = [(a, b) for name, a, b in feel.as_played if name == part.name]
    earliest = clock.beat2second(form[0].start) if form else 0.0
    flams = _flams(part.notes) if part.role == "drums" else {}
    lesson = part2lesson(part, feel, clock)
    draws: dict[int, Draws] = {}
    played: list[Note] = []
    for _, group in groupby(sorted(part.notes, key=lambda n: (n.start, n.pitch)), key=lambda n: round(n.start, 6)):
        strike = list(group)
        beat = strike[0].start
        slot = round(beat / SLOT) * SLOT
        row = max(bisect_right(starts, max(slot, beat) + EPS) - 1, 0)
        if not places or any(a - EPS <= beat < b - EPS for a, b in kept_spans):
            played += strike
            continue
        if row not in draws:
            draws[row] = _draw(places[row].bar, part.name, seed)
        cell = draws[row][min(max(round((slot - places[row].bar.start) / SLOT), 0), len(draws[row]) - 1)]
        own = max(bisect_right(starts, beat + EPS) - 1, 0)
        pitches = flams.get(round(beat / SLOT), frozenset())
        played += _play_strike(strike, part.role, pitches, places[own], form, cell, clock, feel, earliest, lesson)
    return replace(part, notes=_untangled(played, starts, clock, kept_spans))


def _play_strike(
    strike: Sequence[Note],
    role: str,
    flam: frozenset[int],
    place: Place,
    form: Sequence[FormSection],
    cell: Draws,
    clock: Clock,
    feel: Feel,
    earliest: float,
    lesson: Lesson | None,
) -> list[Note]:
    """All notes that begin together. `cell` [2]: standard draws of timing and loudness. `flam`: the drums struck within
    the same 32nd but not at once; they are pushed as one. `lesson`: what a reference says of the part."""
    beat = strike[0].start
    section = form[place.section]
    late = swing_ms(beat, feel, clock, lesson.template if lesson else None)
    pushes = dict(feel.push_ms)
    scatter = float(cell[0]) * feel.loose_ms * ROLE_LOOSENESS.get(role, 1.0)
    strum = STRUM_MS.get(role, 0.0) if feel.loose_ms > 0 else 0.0
    downwards = round((beat - place.bar.start) * 2) % 2 == 1
    ordered = sorted(strike, key=lambda n: -n.pitch if downwards else n.pitch)
    position = place.position + (beat - place.bar.start) / max(place.bar.end - place.bar.start, EPS)
    factor = section_factor(section.energy, feel.dynamics) * phrase_factor(position, feel.dynamics)
    factor *= rise_factor(position, len(section.bars), rises_after(form, place.section), feel.dynamics)
    if role == "drums":
        factor = 1.0 + (factor - 1.0) * 0.8
    top = max(note.pitch for note in strike)
    notes = []
    for k, note in enumerate(ordered):
        push = pushes.get(role, 0.0)
        if role == "drums":
            push = pushes.get("snare", 0.0) if any(p in SNARES for p in flam or (note.pitch,)) else 0.0
        # Drums struck within one 32nd lean as one, so that a flam keeps its order.
        lean = lesson.lean_ms(round(beat / SLOT) * SLOT, min(flam, default=note.pitch), clock) if lesson else 0.0
        human = min(max(push + scatter + k * strum + lean, -BOUND_MS), BOUND_MS)
        offset = late + human
        floor = (earliest - clock.beat2second(beat)) * 1000.0
        own = lesson.velocity(note) if lesson else note.velocity
        lead_voice = TOP_VELOCITY if note.pitch == top and len(strike) > 2 and role != "drums" else 0.0
        velocity = round(own * factor + lead_voice + float(cell[1]) * SPREAD_VELOCITY)
        notes.append(replace(note, velocity=min(max(velocity, 1), 127), offset_ms=max(offset, floor)))
    return notes


def _draw(bar: Bar, name: str, seed: int) -> Draws:
    """Standard normal draws [slots of the bar, 2], cut off at `TRUNCATE`, by seed, part and the bar's own place."""
    slots = max(1, int((bar.end - bar.start) / SLOT + 0.5)) + 1
    at = round(bar.start * 1000) & 0xFFFFFFFF
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), at])
    return np.clip(rng.standard_normal((slots, 2)), -TRUNCATE, TRUNCATE)


def _places(form: Sequence[FormSection]) -> list[Place]:
    return [Place(bar, i, k) for i, section in enumerate(form) for k, bar in enumerate(section.bars)]


def _flams(notes: Sequence[Note]) -> dict[int, frozenset[int]]:
    """Slot -> pitches, for the slots in which drums are struck one after the other."""
    slots: dict[int, list[Note]] = {}
    for note in notes:
        slots.setdefault(round(note.start / SLOT), []).append(note)
    return {k: frozenset(n.pitch for n in hits) for k, hits in slots.items() if len({n.start for n in hits}) > 1}


def _untangled(
    notes: Sequence[Note], starts: Sequence[float], clock: Clock, kept: Sequence[tuple[float, float]]
) -> tuple[Note, ...]:
    """Notes in written order, each released before the next strike of its own pitch.

    Across a bar line the earliest time is taken at which that strike may be played, so that no draw of one bar reaches
    into another.
    """
    following: dict[int, Note] = {}
    out: list[Note] = []
    for note in sorted(notes, key=lambda n: (n.start, n.pitch), reverse=True):
        after = following.get(note.pitch)
        following[note.pitch] = note
        if after is not None and not any(a - EPS <= note.start < b - EPS for a, b in kept):
            same_bar = bisect_right(starts, note.start + EPS) == bisect_right(starts, after.start + EPS)
            lead = after.offset_ms if same_bar else -BOUND_MS
            end = clock.second2beat(clock.beat2second(after.start) + (lead - note.offset_ms) / 1000.0)
            if note.end > end + EPS:
                note = replace(note, length=max(end - note.start, 0.01))
        out.append(note)
    return tuple(reversed(out))
