"""A stem, and its form on disk when it is kept as a finished stage."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from bridge.handover.manifest import Painted
from engine.checks import StemVerdict
from engine.sampler import Instrument
from engine.stages import Chunk
from engine.tape import Audio, Sounding, Tape, windows


@dataclass(frozen=True)
class Sound:
    """A stem: `audio` float32 [2, samples] at the project's rate, in memory or on tape, what rings on, and what was
    measured.

    `instrument` plays it, or its guide; None for a voice. `painted`: what a renderer that may drift made of it, if one
    was asked. `remarks`: what else the user should know. `renderer`: whose sound it is where that is not the machine
    that was asked, else empty.
    """

    audio: Sounding
    tail: Audio | None
    instrument: Instrument | None
    verdict: StemVerdict
    painted: Painted | None = None
    remarks: tuple[str, ...] = ()
    renderer: str = ""

    @property
    def warnings(self) -> list[str]:
        """What the manifest says about the stem."""
        played = [self.instrument.remark] if self.instrument and self.instrument.remark else []
        return [*played, *self.remarks, *(problem.message for problem in self.verdict.problems)]

    @property
    def licence(self) -> str:
        """Of what is heard."""
        if self.painted is not None and self.painted.used:
            return self.painted.licence
        return self.instrument.licence if self.instrument else ""


class _Head(msgspec.Struct, frozen=True):
    """All of a sound but its samples; `samples` and `ringing` are lengths, None for no tail."""

    channels: int
    samples: int
    ringing: int | None
    instrument: Instrument | None
    verdict: StemVerdict
    painted: Painted | None
    remarks: tuple[str, ...]
    renderer: str


_head_decoder = msgspec.json.Decoder(_Head)


@dataclass(frozen=True)
class Rows:
    """A sound's samples as they lie in a file, one channel behind the other, read in windows."""

    audio: Sounding

    @property
    def nbytes(self) -> int:
        """Length."""
        return 4 * len(self.audio) * self.audio.shape[1]

    def __bytes__(self) -> bytes:
        """All of it."""
        return b"".join(self)

    def __iter__(self) -> Iterator[bytes]:
        """One piece after the other."""
        for channel in range(len(self.audio)):
            for a, b in windows(self.audio.shape[1]):
                yield np.ascontiguousarray(self.audio[:, a:b][channel], np.float32).tobytes()


def sound2chunks(sound: Sound) -> list[Chunk]:
    """Length of the head (uint32, little-endian), head as JSON, samples and tail as they lie in memory."""
    ringing = None if sound.tail is None else sound.tail.shape[1]
    channels, samples = sound.audio.shape
    rest = (sound.instrument, sound.verdict, sound.painted, sound.remarks, sound.renderer)
    head = msgspec.json.encode(_Head(channels, samples, ringing, *rest))
    parts: list[Sounding] = [sound.audio] if sound.tail is None else [sound.audio, sound.tail]
    return [struct.pack("<I", len(head)), head, *(Rows(part) for part in parts)]


def bytes2sound(raw: bytes) -> Sound:
    """The same sound, sample for sample, on a tape."""
    (length,) = struct.unpack_from("<I", raw)
    head = _head_decoder.decode(raw[4 : 4 + length])
    size = head.channels * head.samples
    audio = Tape.of(np.frombuffer(raw, np.float32, size, 4 + length).reshape(head.channels, head.samples))
    tail = None
    if head.ringing is not None:
        rest = np.frombuffer(raw, np.float32, head.channels * head.ringing, 4 + length + 4 * size)
        tail = rest.reshape(head.channels, head.ringing).copy()
    return Sound(audio, tail, head.instrument, head.verdict, head.painted, head.remarks, head.renderer)
