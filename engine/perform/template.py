"""A reference's groove, laid on what the band plays: accents and lean of the sixteenths.

Accents move velocities inside a bar and a register towards the reference's shape and leave their mean: how loud a part
is stays its own. Lean moves a note by what the reference plays early or late there, in shares of a sixteenth, so that
it fits any tempo. Both go the way only as far as the reference's weight says, and only where its groove has a hit.

Conventions: bars of four beats in quarter notes; other bars are left alone. Every note depends on its own bar only.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.timeline import Clock
from engine.score import BandTemplate, Feel, GrooveTemplate, Note, Part

LOW_DRUMS = frozenset((35, 36, 41, 43, 45, 47))
MID_DRUMS = frozenset((37, 38, 39, 40, 48, 50))
STEP_BEATS = 0.25
NEAR = 0.01
"""Beats within which a note lies on a sixteenth; grace notes do not."""
LEAST = 0.25
"""A step struck weaker than this is too faint to say when it is played."""
LEAN_BOUND_MS = 15.0
ACCENT_BOUND = 20.0
"""Velocities by which an accent may move a note."""
LOUDNESS = 0.8
"""Exponent from strengths of onsets to velocities: drums of known velocities show 0.8 and more."""


@dataclass(frozen=True)
class Lesson:
    """What a reference's groove says of one part: the `template`, and the velocities (`accents`) that it gives."""

    template: GrooveTemplate
    role: str
    accents: Mapping[Note, float]

    def velocity(self, note: Note) -> float:
        """The note's velocity in the reference's shape."""
        return self.accents.get(note, note.velocity)

    def lean_ms(self, beat: float, pitch: int, clock: Clock) -> float:
        """Milliseconds by which the template plays a pitch at `beat` late (negative: early), at the tempo there."""
        step = beat2step(beat, clock)
        band = _band(self.template, band_of(pitch, self.role))
        if step is None or band is None or band.strength[step[1]] < LEAST:
            return 0.0
        sixteenth = clock.beat2second(beat + STEP_BEATS) - clock.beat2second(beat)
        lean = self.template.weight * band.timing[step[1]] * sixteenth * 1000.0
        return min(max(lean, -LEAN_BOUND_MS), LEAN_BOUND_MS)


def part2lesson(part: Part, feel: Feel, clock: Clock) -> Lesson | None:
    """What the first of the feel's templates that holds for the part says of it; None where none holds."""
    template = next((t for t in feel.templates if not t.stems or part.name in t.stems), None)
    return Lesson(template, part.role, accents(part, template, clock)) if template else None


def band_of(pitch: int, role: str) -> str:
    """Register in which a note of a role is heard."""
    if role == "drums":
        return "low" if pitch in LOW_DRUMS else "mid" if pitch in MID_DRUMS else "high"
    return "low" if role == "bass" else "mid"


def accents(part: Part, template: GrooveTemplate, clock: Clock) -> dict[Note, float]:
    """Velocities of the part's notes that the template has a say in; bars and registers with one step have none."""
    groups: dict[tuple[int, str], list[tuple[Note, float]]] = defaultdict(list)
    for note in part.notes:
        step = beat2step(note.start, clock)
        name = band_of(note.pitch, part.role)
        band = _band(template, name)
        if step is not None and band is not None and band.strength[step[1]] > 0:
            groups[step[0], name].append((note, band.strength[step[1]] ** LOUDNESS))
    out: dict[Note, float] = {}
    for group in groups.values():
        out.update(_shaped(group, template.weight))
    return out


def _shaped(group: Sequence[tuple[Note, float]], weight: float) -> dict[Note, float]:
    """Velocities of notes with their strengths in the reference: the same mean, the reference's shape."""
    mean = sum(note.velocity for note, _ in group) / len(group)
    strength = sum(s for _, s in group) / len(group)
    moves = [weight * (mean * own / strength - note.velocity) for note, own in group]
    # All moves shrink together where one is too far: the shape and the mean stay.
    shrunk = min(1.0, ACCENT_BOUND / max(1e-9, *map(abs, moves))) if moves else 1.0
    return {note: note.velocity + shrunk * move for (note, _), move in zip(group, moves, strict=True)}


def beat2step(beat: float, clock: Clock) -> tuple[int, int] | None:
    """(bar's number in its metre, sixteenth 0-15) of a beat on a sixteenth of a 4/4 bar."""
    metre = clock.metre_at(beat)
    if (metre.beats, metre.unit) != (4, 4):
        return None
    origin = max(metre.beat, clock.start)
    steps = round((beat - origin) / STEP_BEATS)
    if steps < 0 or abs(origin + steps * STEP_BEATS - beat) > NEAR:
        return None
    # The number of a bar is its start in steps, so that bars of two metres are never one.
    return math.floor(origin / STEP_BEATS + 0.5) + steps // 16 * 16, steps % 16


def _band(template: GrooveTemplate, name: str) -> BandTemplate | None:
    return next((band for band in template.bands if band.band == name), None)
