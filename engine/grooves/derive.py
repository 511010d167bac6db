"""Levels that a groove's file leaves out, made from its verse and chorus.

intro: the verse before the band has arrived: no backbeat, no lead. bridge: the verse's backbeat on the ride over the
chorus's pad and the verse's bass, comp thinned to its first hit in every half bar, the lead silent.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.grooves.groove import Event, Level, Pattern

BACKBEAT = frozenset({"snare", "clap", "stick", "open", "crash", "crash2", "tom1", "tom2", "tom3", "tom4"})


def derive_levels(levels: dict[str, Level]) -> dict[str, Level]:
    """All five levels; those written in the file as they stand."""
    verse, chorus = levels["verse"], levels["chorus"]
    derived = {
        "intro": Level("intro", _intro(verse)),
        "bridge": Level("bridge", _bridge(verse, chorus), crash=verse.crash),
    }
    return {**derived, **levels}


def alternatives(levels: dict[str, Level], others: Sequence[Level]) -> tuple[dict[str, Level], ...]:
    """All five levels once for every alternative: the first of every level together, then the second. `others`: streams
    that replace those of the level of their name; a level with fewer alternatives takes its last one again."""
    count = max((sum(o.name == name for o in others) for name in levels), default=0)
    out = []
    for k in range(count):
        changed = dict(levels)
        for name, level in levels.items():
            mine = [o for o in others if o.name == name]
            if mine:
                streams = {**level.streams, **mine[min(k, len(mine) - 1)].streams}
                changed[name] = Level(name, streams, level.crash)
        out.append(derive_levels(changed))
    return tuple(out)


def _keep(pattern: Pattern, events: list[Event]) -> Pattern:
    return Pattern(pattern.bars, pattern.steps, tuple(events), pattern.low, pattern.high, pattern.shape)


def _intro(verse: Level) -> dict[str, Pattern]:
    drums = verse.streams["drums"]
    kept = [e for e in drums.events if e.symbol not in BACKBEAT]
    streams = {name: pattern for name, pattern in verse.streams.items() if name not in ("drums", "lead")}
    return {"drums": _keep(drums, kept or list(drums.events)), **streams}


def _bridge(verse: Level, chorus: Level) -> dict[str, Pattern]:
    drums = verse.streams["drums"]
    lanes = {e.symbol for e in drums.events}
    moved = [
        Event(e.step, e.length, "ride", e.octave, e.dynamic) if e.symbol == "hat" and "ride" not in lanes else e
        for e in drums.events
        if e.symbol != "open"
    ]
    comp = verse.streams["comp"]
    half = comp.steps // 2 or 1
    seen: set[int] = set()
    thinned: list[Event] = []
    for event in comp.events:
        if event.step // half not in seen:
            seen.add(event.step // half)
            thinned.append(event)
    return {
        "drums": _keep(drums, moved),
        "bass": verse.streams["bass"],
        "comp": _keep(comp, thinned),
        "pad": chorus.streams["pad"],
        "arp": verse.streams["arp"],
    }
