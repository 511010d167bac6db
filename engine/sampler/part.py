"""A part becomes sound: every note at its sample, placed in the stereo field, with its share of the room.

A note-on lies at `second2sample(clock.beat2second(start) + offset_ms / 1000, rate)` and sounds at exactly that index.
Notes are rendered alone and added in the order of the part; the room works on an absolute grid: any range of a part is
bit-identical to the same range of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Clock, second2sample
from engine.report import Tick
from engine.sampler import kit as kits
from engine.sampler.bank import Bank
from engine.sampler.drumfont import CHOKES, KICK_ROOM, KICKS, MAX_SECONDS
from engine.sampler.instrument import Instrument
from engine.sampler.player import MAX_RELEASE_SECONDS
from engine.sampler.room import BLOCK, add_room, reach
from engine.score import Part

Audio = NDArray[np.float32]

CHOKE_FADE_SECONDS = 0.006
MAX_HIT_SECONDS = 8.0
MIN_HOLD_SECONDS = 0.02
TICK_EVERY = 32


@dataclass(frozen=True)
class Event:
    """A note in samples from the project's start. `beat` is its place in the score."""

    on: int
    off: int
    pitch: int
    velocity: int
    beat: float


def render_part(
    bank: Bank,
    part: Part,
    instrument: Instrument,
    clock: Clock,
    rate: int,
    start_sample: int,
    samples: int,
    tail: int,
    tick: Tick,
) -> Audio:
    """float32 [2, samples + tail] from project sample `start_sample`: the part, placed, with its room.

    Notes that begin earlier ring in. Raises what `tick` raises.
    """
    stop = start_sample + samples + tail
    end = -(-stop // BLOCK) * BLOCK
    back = reach(rate) if instrument.room_db is not None else 0
    first = (start_sample - back) // BLOCK * BLOCK
    events = part2events(part, clock, rate)
    dry = np.zeros((2, end - first), np.float32)
    send = np.zeros(end - first, np.float32)
    if instrument.kind == "kit":
        _play_kit(instrument, events, dry, send, first, rate, tick)
    elif instrument.kind == "fontkit":
        _play_fontkit(bank, instrument, events, dry, send, first, rate, tick)
    else:
        _play_preset(bank, instrument, events, dry, first, rate, tick)
    dry *= _sides(instrument)[:, None]
    if instrument.room_db is not None:
        if instrument.kind in ("kit", "fontkit"):
            send *= np.float32(10 ** (instrument.gain_db / 20))
        else:
            np.add(dry[0], dry[1], out=send)
            send *= np.float32(0.5)
        add_room(dry, send, first, rate, 10 ** (instrument.room_db / 20))
    return dry[:, start_sample - first : stop - first]


def part2events(part: Part, clock: Clock, rate: int) -> list[Event]:
    """The part's notes in samples, in the part's order; a note lasts at least 20 ms."""
    events = []
    for note in part.notes:
        late = note.offset_ms / 1000
        on = second2sample(clock.beat2second(note.start) + late, rate)
        off = second2sample(clock.beat2second(note.end) + late, rate)
        hold = max(off - on, int(MIN_HOLD_SECONDS * rate))
        events.append(Event(on, on + hold, note.pitch, note.velocity, note.start))
    return events


def _play_preset(
    bank: Bank, instrument: Instrument, events: Sequence[Event], dry: Audio, first: int, rate: int, tick: Tick
) -> None:
    stop = first + dry.shape[1]
    ring = int(MAX_RELEASE_SECONDS * rate)
    heard = [e for e in events if e.on < stop and e.off + ring > first]
    if not heard:
        return
    play = bank.notes_of(instrument, rate, {(e.pitch, e.velocity) for e in heard})
    for k, event in enumerate(heard):
        if k % TICK_EVERY == 0:
            tick(k / len(heard))
        _add(dry, play(event.pitch, event.velocity, event.off - event.on), event.on - first)


def _play_fontkit(
    bank: Bank,
    instrument: Instrument,
    events: Sequence[Event],
    dry: Audio,
    send: Audio,
    first: int,
    rate: int,
    tick: Tick,
) -> None:
    stop = first + dry.shape[1]
    ring = int(MAX_SECONDS * rate)
    chokes = _next_choke([(e.on, CHOKES.get(e.pitch, ""), "", True) for e in events])
    heard = [(k, e) for k, e in enumerate(events) if e.on < stop and e.on + ring > first]
    if not heard:
        return
    drums = bank.drums(instrument, rate, {(e.pitch, e.velocity) for _, e in heard})
    for k, event in heard:
        if k % TICK_EVERY == 0:
            tick(k / len(events))
        sound = drums.hit(event.pitch, event.velocity)
        if k in chokes:
            sound = _choked(sound, chokes[k] - event.on, rate)
        _add(dry, sound, event.on - first)
        room = KICK_ROOM if event.pitch in KICKS else 1.0
        _add(send[None], sound.mean(axis=0, keepdims=True) * np.float32(room), event.on - first)


def _play_kit(
    instrument: Instrument, events: Sequence[Event], dry: Audio, send: Audio, first: int, rate: int, tick: Tick
) -> None:
    drums = kits.kit(instrument.kit)
    stop = first + dry.shape[1]
    ring = int(MAX_HIT_SECONDS * rate)
    chokes = _chokes(drums, events)
    for k, event in enumerate(events):
        if k % TICK_EVERY == 0:
            tick(k / len(events))
        if event.pitch not in drums.pieces or event.on >= stop or event.on + ring <= first:
            continue
        piece = drums.pieces[event.pitch]
        sound = kits.hit(piece, event.velocity, kits.variant_of(event.pitch, event.beat), rate)
        if k in chokes:
            sound = _choked(sound, chokes[k] - event.on, rate)
        _add(dry, sound, event.on - first)
        _add(send[None], sound.mean(axis=0, keepdims=True) * np.float32(piece.room), event.on - first)


def _chokes(drums: kits.Kit, events: Sequence[Event]) -> dict[int, int]:
    """Event index -> the sample at which the next hit of its choke group cuts it off."""
    pieces = [drums.pieces.get(event.pitch) for event in events]
    return _next_choke(
        [
            (e.on, p.choke, p.name, p.chokes_itself) if p else (e.on, "", "", True)
            for e, p in zip(events, pieces, strict=True)
        ]
    )


def _next_choke(hits: Sequence[tuple[int, str, str, bool]]) -> dict[int, int]:
    """Index -> the sample at which a later hit of its group cuts it off. hits: (sample, choke group or "", piece,
    whether it chokes itself)."""
    cut: dict[int, int] = {}
    ringing: dict[str, list[int]] = {}
    for k, (on, group, name, _) in sorted(enumerate(hits), key=lambda row: row[1][0]):
        if not group:
            continue
        kept = []
        for index in ringing.get(group, []):
            if name and hits[index][2] == name and not hits[k][3]:
                kept.append(index)
            elif hits[index][0] < on:
                cut[index] = on
        ringing[group] = [*kept, k]
    return cut


def _choked(sound: Audio, samples: int, rate: int) -> Audio:
    """A hit that ends at `samples`, with a fade of 6 ms after it."""
    fade = int(CHOKE_FADE_SECONDS * rate)
    cut = sound[:, : samples + fade].copy()
    ramp = cut.shape[1] - samples
    if ramp > 0:
        cut[:, samples:] *= np.linspace(1, 0, fade, dtype=np.float32)[:ramp]
    return cut


def _add(into: Audio, sound: Audio, at: int) -> None:
    """Adds [c, n] at index `at`, which may lie before 0; what lies outside is left out."""
    lo, hi = max(at, 0), min(at + sound.shape[1], into.shape[1])
    if hi > lo:
        into[:, lo:hi] += sound[:, lo - at : hi - at]


def _sides(instrument: Instrument) -> NDArray[np.float32]:
    """Gains of left and right: constant power, unity in the middle."""
    angle = (instrument.pan + 1) * np.pi / 4
    gain = np.sqrt(2) * 10 ** (instrument.gain_db / 20)
    return np.array([np.cos(angle) * gain, np.sin(angle) * gain], dtype=np.float32)
