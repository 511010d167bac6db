"""A stem in memory, and its form on disk when it is kept as a finished stage."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import msgspec
import numpy as np

from bridge.handover.manifest import Painted
from engine.checks import StemVerdict
from engine.sampler import Instrument
from engine.splice import Audio
from engine.stages import Chunk


@dataclass(frozen=True)
class Sound:
    """A stem in memory: `audio` float32 [2, samples] at the project's rate, what rings on, and what was measured.

    `instrument` plays it, or its guide; None for a voice. `painted`: what a renderer that may drift made of it, if one
    was asked. `remarks`: what else the user should know. `renderer`: whose sound it is where that is not the machine
    that was asked, else empty.
    """

    audio: Audio
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


def sound2chunks(sound: Sound) -> list[Chunk]:
    """Length of the head (uint32, little-endian), head as JSON, samples and tail as they lie in memory."""
    ringing = None if sound.tail is None else sound.tail.shape[1]
    channels, samples = sound.audio.shape
    rest = (sound.instrument, sound.verdict, sound.painted, sound.remarks, sound.renderer)
    head = msgspec.json.encode(_Head(channels, samples, ringing, *rest))
    parts = [sound.audio] if sound.tail is None else [sound.audio, sound.tail]
    samples_of = (np.ascontiguousarray(part, np.float32).reshape(-1).view(np.uint8).data for part in parts)
    return [struct.pack("<I", len(head)), head, *samples_of]


def bytes2sound(raw: bytes) -> Sound:
    """The same sound, sample for sample."""
    (length,) = struct.unpack_from("<I", raw)
    head = _head_decoder.decode(raw[4 : 4 + length])
    values = np.frombuffer(raw[4 + length :], np.float32)
    size = head.channels * head.samples
    audio = values[:size].reshape(head.channels, head.samples).copy()
    tail = None if head.ringing is None else values[size:].reshape(head.channels, head.ringing).copy()
    return Sound(audio, tail, head.instrument, head.verdict, head.painted, head.remarks, head.renderer)
