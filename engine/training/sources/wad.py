"""WAD files: the lumps of a game's data, and MUS, the music format that such lumps may hold.

Layout after the Doom specifications: a header of kind, number of lumps and place of the directory, then per lump its
place, size and eight letters of name. MUS is a stream of events on 16 channels at 140 ticks a second, channel 15 the
drums.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from mido import Message, MetaMessage, MidiFile, MidiTrack

TICKS_PER_SECOND = 140
TICKS_PER_BEAT = 70
"""MUS has no beats: at 120 beats a minute a beat is 70 ticks."""
CHANNELS = (*range(9), *range(10, 16), 9)
"""MIDI's channel of each of MUS's: drums lie on 15 there, on 9 here."""
RELEASE, PRESS, WHEEL, SYSTEM, CONTROL, END = 0, 1, 2, 3, 4, 6


def wad2lumps(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of every lump. Raises ValueError where the file is none, or cut off."""
    if len(data) < 12 or data[:4] not in (b"IWAD", b"PWAD"):
        raise ValueError("no WAD file: it does not begin with IWAD or PWAD")
    count, at = struct.unpack("<ii", data[4:12])
    if count < 0 or at < 12 or at + 16 * count > len(data):
        raise ValueError(f"the WAD's directory of {count} lumps lies outside the file")
    for i in range(count):
        place, size, name = struct.unpack("<ii8s", data[at + 16 * i : at + 16 * i + 16])
        if place < 0 or size < 0 or place + size > len(data):
            raise ValueError(f"lump {i} of the WAD lies outside the file")
        yield name.rstrip(b"\0").decode("latin-1"), data[place : place + size]


def lump2midi(lump: bytes) -> MidiFile | None:
    """The music of a lump, MIDI or MUS; None where it holds neither."""
    if lump[:4] == b"MThd":
        return MidiFile(file=io.BytesIO(lump))
    return mus2midi(lump) if lump[:4] == b"MUS\x1a" else None


def mus2midi(lump: bytes) -> MidiFile:
    """MUS as MIDI at 120 beats a minute: notes and programs. Raises ValueError where it is cut off."""
    length, start = struct.unpack("<HH", lump[4:8])
    data = lump[start : start + length]
    track = MidiTrack([MetaMessage("set_tempo", tempo=round(1e6 * TICKS_PER_BEAT / TICKS_PER_SECOND))])
    velocity = [100] * 16
    at = wait = 0
    try:
        while True:
            event, at = data[at], at + 1
            kind, channel = event >> 4 & 7, CHANNELS[event & 15]
            if kind == END:
                break
            messages, at = _event(kind, channel, data, at, velocity)
            for message in messages:
                track.append(message.copy(time=wait))
                wait = 0
            if event & 128:
                more, delay = True, 0
                while more:
                    delay, more, at = delay * 128 + (data[at] & 127), bool(data[at] & 128), at + 1
                wait += delay
    except IndexError as error:
        raise ValueError("the MUS lump is cut off") from error
    song = MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT)
    song.tracks.append(track)
    return song


def _event(kind: int, channel: int, data: bytes, at: int, velocity: list[int]) -> tuple[list[Message], int]:
    """Messages of one event and the place after it; wheel, system and most controls are left out."""
    if kind == RELEASE:
        return [Message("note_off", channel=channel, note=data[at] & 127)], at + 1
    if kind == PRESS:
        pitch, after = data[at], at + 1
        if pitch & 128:
            velocity[channel], after = data[after] & 127, after + 1
        return [Message("note_on", channel=channel, note=pitch & 127, velocity=velocity[channel])], after
    if kind in (WHEEL, SYSTEM):
        data[at]
        return [], at + 1
    if kind == CONTROL:
        number, value = data[at], data[at + 1]
        return ([Message("program_change", channel=channel, program=value & 127)] if number == 0 else []), at + 2
    raise ValueError(f"MUS has no event of kind {kind}")
