"""Notes of a MIDI file: note-ons and note-offs of all chunks become notes in beats.

Conventions
-----------
track     the notes that one track chunk plays on one channel: format 0 files and mixed chunks fall apart by channel
channel   0-15; channel 9 is what musicians call 10, the drums
pedal     the sustain pedal (controller 64) is heard: a note released under it ends when the pedal is lifted, or
          where its pitch is struck again
overlap   a pitch that is struck while it sounds ends there; note-offs answer the oldest open note; note-offs without
          a note are ignored; a note without an end lasts to the end of its track
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mido import Message, MidiFile

DRUM_CHANNEL = 9


@dataclass(frozen=True, slots=True)
class SmfNote:
    """`start` and `length` in beats, MIDI `pitch`, `velocity` 1-127."""

    start: float
    length: float
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class SmfTrack:
    """Notes of one chunk on one channel, sorted by start. `program` 0-127 is the one that most of them use, None when
    the file sets none. `pedal`: some lengths were drawn out by the sustain pedal."""

    name: str
    channel: int
    program: int | None
    notes: tuple[SmfNote, ...]
    pedal: bool = False

    @property
    def is_drums(self) -> bool:
        """General MIDI's drum channel."""
        return self.channel == DRUM_CHANNEL


Timed = list[tuple[int, int, Any]]
"""(tick, index of the chunk, message), in order of ticks; within a tick as the chunks have them."""


@dataclass(slots=True)
class _Voice:
    """Notes of one chunk and channel while they are gathered: lists [start, end or None, pitch, velocity, program]."""

    notes: list[list[Any]] = field(default_factory=list)
    open: dict[int, deque[list[Any]]] = field(default_factory=lambda: defaultdict(deque))
    held: list[list[Any]] = field(default_factory=list)
    pedal: bool = False


def timed2tracks(midi: MidiFile, timed: Timed, ticks: int) -> tuple[SmfTrack, ...]:
    """Pairs note-ons with note-offs. Programs and the pedal belong to a channel, whatever chunk they stand in."""
    voices: dict[tuple[int, int], _Voice] = defaultdict(_Voice)
    programs: dict[int, int] = {}
    down: set[int] = set()
    last = [0] * len(midi.tracks)
    for tick, chunk, message in timed:
        last[chunk] = tick
        channel = getattr(message, "channel", None)
        if channel is None or message.is_meta:
            continue
        if message.type == "program_change":
            programs[channel] = message.program
        elif message.type == "note_on" and message.velocity > 0:
            voice = voices[chunk, channel]
            note = [tick, None, message.note, message.velocity, programs.get(channel)]
            voice.notes.append(note)
            voice.open[message.note].append(note)
        elif message.type in ("note_on", "note_off"):
            _release(voices[chunk, channel], message.note, tick, channel in down)
        elif message.type == "control_change" and message.control in (64, 120, 121, 123):
            _control(message, tick, channel, [v for (_, c), v in voices.items() if c == channel], down)
    names = _names(midi)
    parts = sorted(((key, voice) for key, voice in voices.items() if voice.notes), key=lambda part: part[0])
    shared = Counter(chunk for (chunk, _), _ in parts)
    out = []
    for (chunk, channel), voice in parts:
        name = names[chunk]
        if shared[chunk] > 1:
            name = (
                f"{name} {channel + 1}".strip()
                if name and channel != DRUM_CHANNEL
                else "Drums"
                if channel == DRUM_CHANNEL
                else ""
            )
        out.append(_track(name, channel, voice, last[chunk], ticks))
    return tuple(out)


def _release(voice: _Voice, pitch: int, tick: int, pedal_down: bool) -> None:
    """The oldest open note of the pitch ends, or is held by the pedal."""
    if not voice.open[pitch]:
        return
    note = voice.open[pitch].popleft()
    if pedal_down:
        voice.held.append(note)
    else:
        note[1] = tick


def _control(message: Message, tick: int, channel: int, voices: Sequence[_Voice], down: set[int]) -> None:
    """Pedal, reset of controllers, all notes off, all sound off."""
    if message.control == 64 and message.value >= 64:
        down.add(channel)
    elif message.control in (64, 121):
        down.discard(channel)
        for voice in voices:
            for note in voice.held:
                voice.pedal = True
                note[1] = tick
            voice.held.clear()
    else:
        for voice in voices:
            for pitch in list(voice.open):
                while voice.open[pitch]:
                    _release(voice, pitch, tick, channel in down and message.control == 123)


def _track(name: str, channel: int, voice: _Voice, last: int, ticks: int) -> SmfTrack:
    """Closes what is open, ends a pitch where it is struck again, and turns ticks into beats."""
    by_pitch: dict[int, list[list[Any]]] = defaultdict(list)
    for note in voice.notes:
        by_pitch[note[2]].append(note)
    for struck in by_pitch.values():
        late = 0
        for note, following in zip(struck, [*struck[1:], None], strict=True):
            if note[1] is None:
                note[1] = late if late > note[0] else last
            late = max(late, note[1])
            if following is not None and following[0] > note[0]:
                note[1] = min(note[1], following[0])
            note[1] = max(note[1], note[0] + 1)
    unique = {(n[0], n[2]): n for n in sorted(voice.notes, key=lambda n: n[3])}
    notes = tuple(
        SmfNote(n[0] / ticks, (n[1] - n[0]) / ticks, n[2], n[3])
        for n in sorted(unique.values(), key=lambda n: (n[0], n[2]))
    )
    used = Counter(n[4] for n in voice.notes)
    return SmfTrack(name, channel, used.most_common(1)[0][0], notes, voice.pedal or bool(voice.held))


def _names(midi: MidiFile) -> list[str]:
    """Of each chunk its track name, else its instrument name."""
    names = []
    for track in midi.tracks:
        found: dict[str, str] = {}
        for message in track:
            if message.type in ("track_name", "instrument_name"):
                found.setdefault(message.type, clean_text(message.name))
        names.append(found.get("track_name") or found.get("instrument_name", ""))
    return names


def clean_text(raw: str) -> str:
    """mido reads text as Latin-1; most programs write UTF-8."""
    with suppress(UnicodeEncodeError, UnicodeDecodeError):
        raw = raw.encode("latin-1").decode("utf-8")
    return "".join(c for c in raw if c.isprintable()).strip()[:200]
