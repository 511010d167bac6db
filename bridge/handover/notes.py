"""Notes of a part as whole ticks, with micro-timing and without two sounding notes on one key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from bridge.handover.tempo import TICKS
from bridge.timeline import Clock

DRUM_CHANNEL = 9
"""Channel 10 of General MIDI, counted from 0."""


class NoteLike(Protocol):
    """What is read of a note: beats, MIDI pitch 0-127, velocity 1-127, micro-timing in milliseconds."""

    @property
    def start(self) -> float: ...
    @property
    def length(self) -> float: ...
    @property
    def pitch(self) -> int: ...
    @property
    def velocity(self) -> int: ...
    @property
    def offset_ms(self) -> float: ...


class SpanLike(Protocol):
    """What is read of a section: its name and its beats."""

    @property
    def name(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...


@dataclass(frozen=True, slots=True)
class TickNote:
    """A note from tick `on` to tick `off`, counted from the start of its file."""

    on: int
    off: int
    pitch: int
    velocity: int


def notes2ticks(notes: Iterable[NoteLike], clock: Clock, start: float) -> list[TickNote]:
    """Notes sorted by tick; tick 0 is beat `start`.

    `offset_ms` is added in seconds and turned back into beats by the tempo that reigns there. What would begin before
    tick 0 begins on it, and every note lasts a tick at least. A note that is struck again while it sounds ends
    where it is struck; struck twice on one tick it is one note, as loud and as long as the greater of the two.
    """

    def tick(beat: float, offset_ms: float) -> int:
        second = clock.beat2second(beat) + offset_ms / 1000.0
        return max(0, round((clock.second2beat(second) - start) * TICKS))

    struck: dict[int, dict[int, TickNote]] = {}
    for note in notes:
        on = tick(note.start, note.offset_ms)
        off = max(on + 1, tick(note.start + note.length, note.offset_ms))
        key = struck.setdefault(note.pitch, {})
        twin = key.get(on)
        if twin is None:
            key[on] = TickNote(on, off, note.pitch, note.velocity)
        else:
            key[on] = TickNote(on, max(off, twin.off), note.pitch, max(note.velocity, twin.velocity))
    result = []
    for key in struck.values():
        ons = sorted(key)
        for on, following in zip(ons, [*ons[1:], None], strict=True):
            one = key[on]
            off = one.off if following is None else min(one.off, following)
            result.append(TickNote(on, off, one.pitch, one.velocity))
    return sorted(result, key=lambda n: (n.on, n.pitch))


def ticks2events(notes: Iterable[TickNote], channel: int) -> list[tuple[int, bytes]]:
    """(tick, three MIDI bytes) of note-ons and note-offs in time order; on one tick the offs come first."""
    events = []
    for note in notes:
        events.append((note.on, 1, bytes((0x90 | channel, note.pitch, note.velocity))))
        events.append((note.off, 0, bytes((0x80 | channel, note.pitch, 0))))
    return [(tick, data) for tick, _, data in sorted(events)]
