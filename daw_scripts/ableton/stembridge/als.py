"""Tempo and time signatures out of a saved set: `.als` is gzip-packed XML, of which only the main track is read.

Live's objects know the tempo of this moment only; the course of an automated tempo stands in the file. It is unpacked
in small pieces and nothing is built from it but two short lists, so a set of any size costs little at a time. What is
longer than the bounds below, or declares entities, is refused.

Layout (Live 10 to 12): `MainTrack` (before Live 12 `MasterTrack`) holds `Tempo` and `TimeSignature`, each with a
`Manual` value and an `AutomationTarget Id`; `AutomationEnvelope`s name that id as `PointeeId` and hold the events. The
first event lies before the song (-63072000) and gives the value at its start. A time signature is one number:
numerator - 1 + 99 * log2(denominator). Sources: public readers of the format, named in the README.
"""

from __future__ import annotations

import re
import zlib
from typing import BinaryIO, Generator, Iterator, NamedTuple, TypeVar

from .trouble import Trouble

READ = 64 << 10
MAX_UNPACKED = 1 << 30
MAX_MAIN_TRACK = 64 << 20
MAX_EVENTS = 20_000
OPENINGS = (b"<MainTrack", b"<MasterTrack")
CLOSINGS = (b"</MainTrack>", b"</MasterTrack>")
LONGEST = max(len(word) for word in OPENINGS + CLOSINGS)
TAGS_PER_STEP = 2_000
TAG = re.compile(rb"<(/?)([A-Za-z_][\w.]*)((?:\s+[\w.:]+=\"[^\"<]*\")*)\s*(/?)>")
ATTRIBUTE = re.compile(rb"([\w.:]+)=\"([^\"<]*)\"")
BPM = (20.0, 999.0)


class TempoEvent(NamedTuple):
    """A break point of the tempo's envelope: beat, bpm, and whether the line that ends here is drawn as a curve."""

    beat: float
    bpm: float
    curved: bool


class MetreEvent(NamedTuple):
    """A time signature from `beat` on."""

    beat: float
    beats: int
    unit: int


Event = TypeVar("Event", TempoEvent, MetreEvent)


class SavedSet(NamedTuple):
    """`tempi` and `metres` are in order; with one entry there is no automation. None: the file says nothing of it."""

    tempi: list[TempoEvent] | None
    metres: list[MetreEvent] | None


def code2metre(code: int) -> tuple[int, int]:
    """Numerator and denominator of a time signature's number. Raises ValueError."""
    beats, power = code % 99 + 1, code // 99
    if code < 0 or power > 4:
        raise ValueError(f"no time signature: {code}")
    return beats, 1 << power


def read_saved_set(file: BinaryIO) -> Generator[None, None, SavedSet]:
    """Reads an open `.als` step by step: stops after each small piece of work.

    Raises `Trouble` for a file that is no set, is damaged, or breaks a bound; OSError where it cannot be read.
    """
    main = b""
    for piece in _main_track(file):
        main = piece
        if not piece:
            yield
    reader = _MainTrack()
    for count, match in enumerate(TAG.finditer(main)):
        reader.tag(match)
        if count % TAGS_PER_STEP == TAGS_PER_STEP - 1:
            yield
    return reader.result()


def _main_track(file: BinaryIO) -> Iterator[bytes]:
    """Gives b"" while it unpacks, then the main track's XML."""
    kept, found, unpacked = bytearray(), False, 0
    for data in _unpacked(file):
        unpacked += len(data)
        if unpacked > MAX_UNPACKED:
            raise Trouble("The saved set is too large to be read for its tempo.")
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            raise Trouble("The saved set is no Live set (it declares entities).")
        fresh = max(len(kept) - LONGEST, 0)
        kept += data
        if not found:
            at = max(kept.find(word) for word in OPENINGS)
            found, fresh = at >= 0, 0
            del kept[: at if found else -LONGEST]
        if found:
            end = max(kept.find(word, fresh) for word in CLOSINGS)
            if end >= 0:
                yield bytes(kept[:end])
                return
            if len(kept) > MAX_MAIN_TRACK:
                raise Trouble("The saved set's main track is too large to be read for its tempo.")
        yield b""
    raise Trouble("The saved set is damaged, or of a version that is not known: it has no main track.")


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    """The file's content in pieces of at most a few hundred kilobytes."""
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        while not unpacker.eof:
            packed = unpacker.unconsumed_tail or file.read(READ)
            if not packed:
                raise Trouble("The saved set is cut off. Save it again.")
            yield unpacker.decompress(packed, 4 * READ)
    except zlib.error:
        raise Trouble("The saved set is no Live set, or it is damaged. Save it again.") from None


class _Parameter:
    """`Tempo` or `TimeSignature` of the mixer: its value without automation, and the id that envelopes point at."""

    def __init__(self) -> None:
        self.manual: str | None = None
        self.target: str | None = None


class _MainTrack:
    """Collects what is wanted while the main track's tags pass by."""

    def __init__(self) -> None:
        self._path: list[bytes] = []
        self._wanted = {b"Tempo": _Parameter(), b"TimeSignature": _Parameter()}
        self._envelopes: dict[str, list[dict[str, str]]] = {}
        self._events: list[dict[str, str]] | None = None
        self._count = 0

    def tag(self, match: re.Match[bytes]) -> None:
        closing, name, attributes, empty = match.groups()
        if closing:
            while self._path and self._path.pop() != name:
                pass
            return
        parent = self._path[-1] if self._path else b""
        if parent in self._wanted and b"Mixer" in self._path:
            self._parameter(self._wanted[parent], name, attributes)
        elif name == b"PointeeId":
            self._events = self._envelopes.setdefault(_attributes(attributes).get("Value", ""), [])
        elif name in (b"FloatEvent", b"EnumEvent") and self._events is not None:
            self._count += 1
            if self._count <= 50 * MAX_EVENTS:
                self._events.append(_attributes(attributes))
        elif name == b"AutomationEnvelope":
            self._events = None
        if not empty:
            self._path.append(name)

    def _parameter(self, parameter: _Parameter, name: bytes, attributes: bytes) -> None:
        if name == b"Manual" and parameter.manual is None:
            parameter.manual = _attributes(attributes).get("Value")
        elif name == b"AutomationTarget" and parameter.target is None:
            parameter.target = _attributes(attributes).get("Id")

    def result(self) -> SavedSet:
        try:
            tempi = [_tempo(event) for event in self._course(b"Tempo")]
            metres = [_metre(event) for event in self._course(b"TimeSignature")]
        except (KeyError, ValueError):
            raise Trouble("The saved set's tempo is written in a way that is not known.") from None
        if len(tempi) > MAX_EVENTS or len(metres) > MAX_EVENTS:
            raise Trouble(f"The tempo automation has more than {MAX_EVENTS} points.")
        return SavedSet(_ordered(tempi), _ordered(metres))

    def _course(self, name: bytes) -> list[dict[str, str]]:
        """The parameter's events, or its value without automation as the one event."""
        parameter = self._wanted[name]
        events = self._envelopes.get(parameter.target or "", [])
        if events or parameter.manual is None:
            return events
        return [{"Time": "0", "Value": parameter.manual}]


def _ordered(events: list[Event]) -> list[Event] | None:
    """In order of time (stable: two points at one beat are a jump); None for none. The first holds from beat 0."""
    events.sort(key=lambda event: event.beat)
    before = [event for event in events if event.beat <= 0.0]
    if len(before) > 1:
        events = events[len(before) - 1 :]
    return events or None


def _attributes(raw: bytes) -> dict[str, str]:
    return {name.decode("ascii"): value.decode("utf-8", "replace") for name, value in ATTRIBUTE.findall(raw)}


def _tempo(event: dict[str, str]) -> TempoEvent:
    beat, bpm = float(event["Time"]), float(event["Value"])
    if not BPM[0] <= bpm <= BPM[1] or not abs(beat) < 1e9:
        raise ValueError("no tempo")
    return TempoEvent(beat, bpm, "CurveControl1X" in event)


def _metre(event: dict[str, str]) -> MetreEvent:
    beat = float(event["Time"])
    if not abs(beat) < 1e9:
        raise ValueError("no position")
    return MetreEvent(beat, *code2metre(int(event["Value"])))
