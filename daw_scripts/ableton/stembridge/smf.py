"""Standard MIDI files: the notes that the band shall hear are written, those that it wrote are read."""

from __future__ import annotations

import struct
from typing import NamedTuple, Sequence

TICKS = 960
MAX_BYTES = 4 << 20
MAX_NOTES = 100_000


class Note(NamedTuple):
    """`start` and `length` in beats, MIDI `pitch` 0-127, `velocity` 1-127."""

    start: float
    length: float
    pitch: int
    velocity: int


class SmfError(ValueError):
    """A file that is no MIDI file, or a damaged one."""


def notes2smf(notes: Sequence[Note], name: str, bpm: float, metre: tuple[int, int]) -> bytes:
    """A type 0 file with one track; tick 0 is beat 0. Notes of no length get one tick."""
    events: list[tuple[int, int, bytes]] = []
    for note in notes:
        start = max(round(note.start * TICKS), 0)
        end = max(round((note.start + note.length) * TICKS), start + 1)
        pitch, velocity = min(max(note.pitch, 0), 127), min(max(note.velocity, 1), 127)
        events.append((start, 1, bytes((0x90, pitch, velocity))))
        events.append((end, 0, bytes((0x80, pitch, 0))))
    events.sort()
    title = name.encode("latin-1", "replace")[:200]
    tempo = min(max(round(60e6 / bpm), 1), 0xFFFFFF)
    power = max(metre[1].bit_length() - 1, 0)
    track = [
        b"\x00\xff\x03" + _variable(len(title)) + title,
        b"\x00\xff\x51\x03" + struct.pack(">I", tempo)[1:],
        b"\x00\xff\x58\x04" + bytes((min(metre[0], 255), power, 24, 8)),
    ]
    at = 0
    for tick, _, data in events:
        track.append(_variable(tick - at) + data)
        at = tick
    track.append(b"\x00\xff\x2f\x00")
    body = b"".join(track)
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(body)) + body


def smf2notes(data: bytes) -> list[Note]:
    """All notes of all tracks, in beats from the file's start, sorted. Raises `SmfError`."""
    if len(data) > MAX_BYTES or data[:4] != b"MThd" or len(data) < 14:
        raise SmfError("it is no MIDI file")
    size, _, tracks, division = struct.unpack(">IHHH", data[4:14])
    if not division or division & 0x8000:
        raise SmfError("its time is not counted in beats")
    at = 8 + size
    notes: list[Note] = []
    for _ in range(tracks):
        if data[at : at + 4] != b"MTrk" or at + 8 > len(data):
            raise SmfError("a track is missing")
        length = struct.unpack(">I", data[at + 4 : at + 8])[0]
        if at + 8 + length > len(data):
            raise SmfError("it is cut off")
        _track(data[at + 8 : at + 8 + length], division, notes)
        at += 8 + length
    return sorted(notes)


def _track(data: bytes, division: int, notes: list[Note]) -> None:
    sounding: dict[tuple[int, int], list[tuple[int, int]]] = {}
    at, tick, status = 0, 0, 0
    try:
        while at < len(data):
            delta, at = _read_variable(data, at)
            tick += delta
            if data[at] & 0x80:
                status = data[at]
                at += 1
            if status in (0xF0, 0xF7, 0xFF):
                at += status == 0xFF
                length, at = _read_variable(data, at)
                at += length
                continue
            kind, channel = status & 0xF0, status & 0x0F
            if kind < 0x80:
                raise SmfError("it is damaged")
            first = data[at]
            second = data[at + 1] if kind not in (0xC0, 0xD0) else 0
            at += 1 if kind in (0xC0, 0xD0) else 2
            if kind == 0x90 and second:
                sounding.setdefault((channel, first), []).append((tick, second))
            elif kind in (0x80, 0x90) and sounding.get((channel, first)):
                start, velocity = sounding[channel, first].pop(0)
                notes.append(Note(start / division, max(tick - start, 1) / division, first, velocity))
                if len(notes) > MAX_NOTES:
                    raise SmfError(f"it has more than {MAX_NOTES} notes")
    except IndexError:
        raise SmfError("it is cut off") from None


def _variable(value: int) -> bytes:
    out = [value & 0x7F]
    while value > 0x7F:
        value >>= 7
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def _read_variable(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(4):
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            return value, at
    raise SmfError("it is damaged")
