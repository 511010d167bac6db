"""The MIDI of a REAPER project: events inside an item's source, pooled with other items, or in a file.

    <SOURCE MIDI            HASDATA 1 960 QN: ticks per quarter note; E and e: events (ticks since the last, three
      HASDATA 1 960 QN      bytes in hex; e is a selected one), Em and em: muted ones; <X: longer events, whose first
      E 0 90 3c 60          field is time too. The last event, "all notes off", is where the source ends and an item
      E 960 80 3c 00        that loops begins again. POOLEDEVTS: items with one id share events; one of them holds
      E 2880 b0 7b 00       them.
    >

Ticks are quarter notes of the project from the item's start on, whatever the tempo does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bridge.dawfiles.media import find_file
from bridge.dawfiles.rpp_text import Block, to_number
from bridge.errors import RequestError
from bridge.midinotes import SmfNote, SmfTrack, Timed, timed2tracks
from bridge.timeline import Clock

MAX_ROUNDS = 10_000
"""Times that one item's notes come round."""
MAX_TICKS = 1 << 40


class Playing(Protocol):
    """How an item plays its source: seconds, and the rate of its playing."""

    position: float
    length: float
    loops: bool
    offset: float
    rate: float


@dataclass
class Pool:
    """Sources that hold the events of a pool, by the pool's id."""

    sources: dict[str, Block] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Block) -> Pool:
        """All pools of the project."""
        pool = cls()
        for source in _all_sources(root):
            name = " ".join(source.first("POOLEDEVTS") or [])
            if name and any(isinstance(line, list) and line and line[0] in ("E", "e") for line in source.lines):
                pool.sources.setdefault(name, source)
        return pool

    def events(self, source: Block) -> Block:
        """The source itself, or the one that holds its pool's events."""
        if any(isinstance(line, list) and line and line[0] in ("E", "e") for line in source.lines):
            return source
        return self.sources.get(" ".join(source.first("POOLEDEVTS") or []), source)


def item2notes(
    source: Block, item: Playing, clock: Clock, pool: Pool, home: Path
) -> tuple[dict[int, list[SmfNote]], str]:
    """Notes by channel in beats of the project, and what could not be read ("" where all could)."""
    file = " ".join((source.first("FILE") or [""])[:1])
    try:
        tracks, length = _file(file, home) if file else _events(pool.events(source))
    except RequestError as error:
        return {}, f"{Path(file.replace(chr(92), '/')).name or 'a MIDI item'} cannot be read ({error.message})"
    start, end = clock.second2beat(item.position), clock.second2beat(item.position + item.length)
    offset = item.offset * clock.bpm_at(max(start, 0.0)) / 60.0
    notes: dict[int, list[SmfNote]] = {}
    rate = item.rate if item.rate > 0 else 1.0
    rounds = 0
    zero = start - offset / rate
    while zero < end and rounds < MAX_ROUNDS:
        rounds += 1
        for track in tracks:
            for note in track.notes:
                at = zero + note.start / rate
                if start - 1e-6 <= at < end - 1e-6 and at >= -1e-6 and note.start < length - 1e-9:
                    stop = min(at + note.length / rate, end)
                    heard = SmfNote(max(0.0, at), max(stop - at, 1e-3), note.pitch, note.velocity)
                    notes.setdefault(track.channel, []).append(heard)
        if not item.loops or length <= 0:
            break
        zero += length / rate
    return notes, ""


def _file(name: str, home: Path) -> tuple[tuple[SmfTrack, ...], float]:
    """Notes of a MIDI file that the project names, and its length (beats)."""
    from bridge.midifile import read_smf

    path = find_file(name, home)
    if path is None:
        raise RequestError("midi.missing", "it is not there.")
    song = read_smf(path)
    return song.tracks, song.end


def _events(source: Block) -> tuple[tuple[SmfTrack, ...], float]:
    """Notes of the events inside a source, and its length (beats)."""
    import mido

    data = source.first("HASDATA") or []
    ticks = int(to_number(data, 1, 960)) or 960
    midi = mido.MidiFile(type=1, ticks_per_beat=min(ticks, 32767))
    midi.tracks.append(mido.MidiTrack())
    timed: Timed = []
    now = 0
    for line in source.lines:
        if not isinstance(line, list) or not line or line[0] not in ("E", "e", "Em", "em", "X", "x", "Xm", "xm"):
            continue
        now = min(MAX_TICKS, now + max(0, int(to_number(line, 1))))
        if line[0] in ("E", "e"):
            timed.extend((now, 0, message) for message in _messages(line[2:5]))
    return timed2tracks(midi, timed, ticks), now / ticks


def _messages(fields: list[str]) -> Iterator[object]:
    """The event as mido has it, or nothing for bytes that are no event."""
    import mido

    try:
        data = [int(text, 16) for text in fields]
        length = 2 if data and data[0] & 0xF0 in (0xC0, 0xD0) else 3
        yield mido.Message.from_bytes(data[:length])
    except (ValueError, IndexError):
        return


def _all_sources(block: Block) -> Iterator[Block]:
    for line in block.lines:
        if isinstance(line, Block):
            if line.name == "SOURCE":
                yield line
            yield from _all_sources(line)
