"""A groove in half time or in double time: its bar over two bars of the song, or twice in one; or with even eighths.

Half time keeps every stroke and doubles all lengths; swing goes from eighths to quarters. Double time halves them: what
falls between two steps of the grid goes to the step before it, where nothing stands yet. Triplets have no half on their
grid, so that triplet grooves have no double time. Even eighths bring a swung groove to a grid of sixteenths: the last
third of a beat becomes its second half, the middle one the sixteenth before that.
"""

from __future__ import annotations

from dataclasses import replace

from engine.grooves.groove import Groove, Level, Pattern

HALF, DOUBLE, EVEN = "half", "double", "even"
PACES = {HALF: 2.0, DOUBLE: 0.5}
"""How long a stroke lasts in each, against the groove as written."""
EVEN_STEPS = (0, 1, 2)
"""Sixteenths of a beat on which its thirds come to lie."""


def can_pace(groove: Groove, pace: str) -> bool:
    """Whether the groove can be played so."""
    if pace == EVEN:
        return groove.unit == 4
    return pace == HALF or groove.feel == "straight"


def paced(groove: Groove, pace: str) -> Groove:
    """`groove` in half or double time or even, named "NAME:half"; itself for "", and where it is even as written."""
    if not pace or (pace == EVEN and groove.feel == "straight"):
        return groove
    if pace == EVEN:
        return _evened(groove)
    slower = PACES[pace]
    beats, unit = (groove.beats * 2, groove.unit) if pace == HALF else (groove.beats, groove.unit * 2)
    even = groove.swing_unit * 2 > 16 and pace == DOUBLE
    return replace(
        groove,
        name=f"{groove.name}:{pace}",
        beats=beats,
        unit=unit,
        bpm_low=groove.bpm_low * slower,
        bpm_high=groove.bpm_high * slower,
        swing=0.5 if even else groove.swing,
        swing_unit=groove.swing_unit if even else round(groove.swing_unit / slower),
        progressions=tuple(
            replace(p, chords=tuple(replace(c, beats=c.beats * slower) for c in p.chords)) for p in groove.progressions
        ),
        levels={name: _level(level, pace) for name, level in groove.levels.items()},
        fills=tuple(_level(level, pace) for level in groove.fills),
        alternatives=tuple({name: _level(v, pace) for name, v in levels.items()} for levels in groove.alternatives),
        pace=pace,
    )


def _evened(groove: Groove) -> Groove:
    return replace(
        groove,
        name=f"{groove.name}:{EVEN}",
        feel="straight",
        swing=0.5,
        levels={name: _level(level, EVEN) for name, level in groove.levels.items()},
        fills=tuple(_level(level, EVEN) for level in groove.fills),
        alternatives=tuple({name: _level(v, EVEN) for name, v in levels.items()} for levels in groove.alternatives),
        pace=EVEN,
    )


def _level(level: Level, pace: str) -> Level:
    return Level(level.name, {name: _pattern(p, name, pace) for name, p in level.streams.items()}, level.crash)


def _pattern(pattern: Pattern, stream: str, pace: str) -> Pattern:
    if pace == EVEN:
        even = tuple(
            replace(e, step=_even(e.step), length=_even(e.step + e.length) - _even(e.step)) for e in pattern.events
        )
        return replace(pattern, steps=pattern.steps * 4 // 3, events=even)
    if pace == HALF:
        slow = tuple(replace(e, step=e.step * 2, length=e.length * 2) for e in pattern.events)
        return replace(pattern, steps=pattern.steps * 2, events=slow)
    taken: set[tuple[int, str]] = set()
    events = []
    for event in sorted(pattern.events, key=lambda e: (e.step % 2, e.step)):
        slot = (event.step // 2, event.symbol if stream == "drums" else "")
        if slot not in taken:
            taken.add(slot)
            events.append(replace(event, step=event.step // 2, length=max(event.length // 2, 1)))
    return replace(pattern, steps=pattern.steps // 2, events=tuple(sorted(events, key=lambda e: e.step)))


def _even(step: int) -> int:
    """A place on the grid of thirds on that of sixteenths."""
    return step // 3 * 4 + EVEN_STEPS[step % 3]
