"""A part becomes sound: every note at its sample, placed in the stereo field, with its share of the room.

A note-on lies at `second2sample(clock.beat2second(start) + offset_ms / 1000, rate)` and sounds at exactly that index.
Notes are rendered alone and added in the order of the part; the room works on an absolute grid: any range of a part is
bit-identical to the same range of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Clock, second2sample
from engine.report import Tick
from engine.sampler import kit as kits
from engine.sampler.bank import Bank
from engine.sampler.drumfont import CHOKES, KICK_ROOM, KICKS, MAX_SECONDS
from engine.sampler.instrument import Instrument
from engine.sampler.player import MAX_RELEASE_SECONDS
from engine.sampler.room import BLOCK, Room, reach
from engine.score import Part
from engine.tape import Audio

CHOKE_FADE_SECONDS = 0.006
MAX_HIT_SECONDS = 8.0
MIN_HOLD_SECONDS = 0.02
TICK_EVERY = 32
STRETCH = 8 * BLOCK
"""So many samples are finished at a time, or more where notes are long."""


@dataclass(frozen=True)
class Event:
    """A note in samples from the project's start. `beat` is its place in the score."""

    on: int
    off: int
    pitch: int
    velocity: int
    beat: float


@dataclass(frozen=True)
class _Hit:
    """A note that is added at sample `on`; `room`: a drum's share of the room."""

    on: int
    play: Callable[[], Audio]
    room: float = 1.0


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
    out = np.zeros((2, samples + tail), np.float32)
    at = 0
    for piece in stream_part(bank, part, instrument, clock, rate, start_sample, samples + tail, tick):
        out[:, at : at + piece.shape[1]] = piece
        at += piece.shape[1]
    return out


def stream_part(
    bank: Bank,
    part: Part,
    instrument: Instrument,
    clock: Clock,
    rate: int,
    start_sample: int,
    samples: int,
    tick: Tick,
) -> Iterator[Audio]:
    """The same sound, sample for sample, in stretches one after the other: no more of it is in memory than notes that
    still sound reach into. Nobody else plays by the bank meanwhile."""
    stop = start_sample + samples
    end = -(-stop // BLOCK) * BLOCK
    back = reach(rate) if instrument.room_db is not None else 0
    first = (start_sample - back) // BLOCK * BLOCK
    hits = _part2hits(bank, instrument, part2events(part, clock, rate), first, end, rate)
    sends = instrument.kind in ("kit", "fontkit") and instrument.room_db is not None
    dry, send = Roll(2, first, end), Roll(1, first, end)
    room = None if instrument.room_db is None else Room(rate, 10 ** (instrument.room_db / 20))
    sides = _sides(instrument)[:, None]

    def finish(upto: int) -> Audio:
        begin = dry.begin
        out = dry.take(upto) * sides
        if room is not None:
            sent = send.take(upto)[0] if sends else out[0] + out[1]
            room.add(out, sent * np.float32(10 ** (instrument.gain_db / 20) if sends else 0.5))
        return out[:, max(start_sample - begin, 0) : max(stop - begin, 0)]

    # What lies before all that is still to come is finished. Notes may stand a little out of their order in time.
    since = np.minimum.accumulate([hit.on for hit in hits][::-1])[::-1]
    for k, hit in enumerate(hits):
        if k % TICK_EVERY == 0:
            tick(k / len(hits))
        finished = min(int(since[k]), end) // BLOCK * BLOCK
        if finished - dry.begin >= STRETCH:
            yield finish(finished)
        sound = hit.play()
        dry.add(sound, hit.on)
        if sends:
            send.add(sound.mean(axis=0, keepdims=True) * np.float32(hit.room), hit.on)
    while dry.begin < end:
        yield finish(min(dry.begin + STRETCH, end))


class Roll:
    """Sound [channels, any] that is added to anywhere from `begin` to `end` and taken from its beginning on; as long as
    what was added and is not yet taken."""

    def __init__(self, channels: int, begin: int, end: int) -> None:
        self.begin = begin
        self._end = end
        self._audio = np.zeros((channels, 0), np.float32)

    def add(self, sound: Audio, at: int) -> None:
        """Adds [c, n] at sample `at`; what lies before the beginning or past the end is left out."""
        lo, hi = max(at, self.begin), min(at + sound.shape[1], self._end)
        if hi <= lo:
            return
        if hi - self.begin > self._audio.shape[1]:
            grown = np.zeros((len(self._audio), hi - self.begin + STRETCH), np.float32)
            grown[:, : self._audio.shape[1]] = self._audio
            self._audio = grown
        self._audio[:, lo - self.begin : hi - self.begin] += sound[:, lo - at : hi - at]

    def take(self, upto: int) -> Audio:
        """What lies before sample `upto`, where it begins from now on."""
        out = np.zeros((len(self._audio), upto - self.begin), np.float32)
        known = min(out.shape[1], self._audio.shape[1])
        out[:, :known] = self._audio[:, :known]
        self._audio = self._audio[:, known:].copy()
        self.begin = upto
        return out


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


def _part2hits(
    bank: Bank, instrument: Instrument, events: Sequence[Event], first: int, stop: int, rate: int
) -> list[_Hit]:
    """What of the part is heard in samples [first, stop), in the part's order."""
    if instrument.kind == "kit":
        found = _kit_hits(instrument, events, first, stop, rate)
    elif instrument.kind == "fontkit":
        found = _fontkit_hits(bank, instrument, events, first, stop, rate)
    else:
        found = _preset_hits(bank, instrument, events, first, stop, rate)
    return found


def _preset_hits(
    bank: Bank, instrument: Instrument, events: Sequence[Event], first: int, stop: int, rate: int
) -> list[_Hit]:
    ring = int(MAX_RELEASE_SECONDS * rate)
    heard = [e for e in events if e.on < stop and e.off + ring > first]
    if not heard:
        return []
    play = bank.notes_of(instrument, rate, {(e.pitch, e.velocity) for e in heard})
    return [_Hit(e.on, partial(play, e.pitch, e.velocity, e.off - e.on)) for e in heard]


def _fontkit_hits(
    bank: Bank, instrument: Instrument, events: Sequence[Event], first: int, stop: int, rate: int
) -> list[_Hit]:
    ring = int(MAX_SECONDS * rate)
    chokes = _next_choke([(e.on, CHOKES.get(e.pitch, ""), "", True) for e in events])
    heard = [(k, e) for k, e in enumerate(events) if e.on < stop and e.on + ring > first]
    if not heard:
        return []
    drums = bank.drums(instrument, rate, {(e.pitch, e.velocity) for _, e in heard})

    def play(k: int, event: Event) -> Audio:
        sound = drums.hit(event.pitch, event.velocity)
        return _choked(sound, chokes[k] - event.on, rate) if k in chokes else sound

    return [_Hit(e.on, partial(play, k, e), KICK_ROOM if e.pitch in KICKS else 1.0) for k, e in heard]


def _kit_hits(instrument: Instrument, events: Sequence[Event], first: int, stop: int, rate: int) -> list[_Hit]:
    drums = kits.kit(instrument.kit)
    ring = int(MAX_HIT_SECONDS * rate)
    chokes = _chokes(drums, events)

    def play(k: int, event: Event) -> Audio:
        sound = kits.hit(drums.pieces[event.pitch], event.velocity, kits.variant_of(event.pitch, event.beat), rate)
        return _choked(sound, chokes[k] - event.on, rate) if k in chokes else sound

    return [
        _Hit(e.on, partial(play, k, e), drums.pieces[e.pitch].room)
        for k, e in enumerate(events)
        if e.pitch in drums.pieces and e.on < stop and e.on + ring > first
    ]


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


def _sides(instrument: Instrument) -> NDArray[np.float32]:
    """Gains of left and right: constant power, unity in the middle."""
    angle = (instrument.pan + 1) * np.pi / 4
    gain = np.sqrt(2) * 10 ** (instrument.gain_db / 20)
    return np.array([np.cos(angle) * gain, np.sin(angle) * gain], dtype=np.float32)
