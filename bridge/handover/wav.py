"""WAV files that say where they belong: sound, position, tempo, section markers.

Chunks, in this order: `fmt `, `fact` (float only), `bext` (EBU Tech 3285 version 1), `iXML`, `acid`, `cue `, `LIST` of
`adtl` labels, `data`. Nothing in a file depends on when or where it was written, so equal sound gives equal bytes:
the date fields of `bext` stay empty.

24-bit files hold the whole number nearest to `x * 2**23` (ties to even): rounded, not dithered, so that a stem stays
what was measured. A sample beyond full scale is an error, never clipped in silence. Float files hold the samples as
they are.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from bridge.errors import JobError
from bridge.handover.files import Sink, atomic

Bits = Literal[24, 32]


class Samples(Protocol):
    """A sound [channels, samples] that is read in stretches, `samples[:, start:stop]`: float32 there, such as an array
    or a sound on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, samples)."""

    def __getitem__(self, key: tuple[slice, slice], /) -> Any:
        """float32 [channels, samples of the second slice]; the first one is all channels."""


ORIGINATOR = "stembridge"
MAX_BYTES = 0xFFFF_FFFF
_BLOCK = 1 << 16
_FORMAT_PCM, _FORMAT_FLOAT = 1, 3
_ACID_ONE_SHOT, _ACID_ROOT_SET = 0x01, 0x02
_MIDDLE_C = 60
_TOO_HIGH = 1.0 - 2.0**-24
"""The least sample that rounds to 2**23, one step more than 24 bits hold."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a WAV file tells about itself beside its sound.

    `title` (of the stem) and `project` for people; `tempo` in quarter notes per minute and `metre` where the file
    begins; `beats` its length in quarter notes; `root` the tonic's pitch class 0-11 or None; `markers` are
    (sample counted from the file's start, name).
    """

    title: str
    project: str = ""
    tempo: float = 120.0
    metre: tuple[int, int] = (4, 4)
    beats: float = 0.0
    root: int | None = None
    markers: Sequence[tuple[int, str]] = ()


def write_wav(
    path: Path,
    audio: Samples,
    rate: int,
    *,
    bits: Bits,
    start_sample: int,
    label: Label,
    poll: Callable[[], object] = lambda: None,
) -> str:
    """Writes `audio` [channels, samples] at `rate` Hz to the new file `path`; returns the file's SHA-256.

    `start_sample`: where the first sample lies, counted from the project's start. `poll` is called every 65536 samples;
    what it raises ends the writing and leaves no file. Raises `JobError`:
    `audio.not_finite`, `audio.clipped` (24 bits only), `audio.too_long` above 4 GB, `audio.before_start` for a
    negative position, and the codes of `atomic`.
    """
    channels, samples = audio.shape
    if start_sample < 0:
        raise JobError(
            "audio.before_start",
            f'"{label.title}" would begin {-start_sample} samples before the project does.',
            hint="Begin the first section at or after the project's start.",
        )
    _check_sound(audio, bits, label.title)
    header, pad = _header(channels, samples, rate, bits, start_sample, label)
    if len(header) + samples * channels * bits // 8 + len(pad) - 8 > MAX_BYTES:
        raise JobError(
            "audio.too_long",
            f'"{label.title}" would be larger than 4 GB, the most that a WAV file holds.',
            hint="Render the song in two halves, or at a lower sample rate.",
        )
    with atomic(path) as sink:
        sink.write(header)
        _write_samples(sink, audio, bits, poll)
        sink.write(pad)
        return sink.sha256


def wav_bytes(channels: int, samples: int, bits: Bits) -> int:
    """About how many bytes a WAV file takes on disk (for `check_writable`)."""
    return channels * samples * bits // 8 + 4096


def _check_sound(audio: Samples, bits: Bits, title: str) -> None:
    import numpy as np

    unreal = clipped = 0
    for first in range(0, audio.shape[1], _BLOCK):
        piece = audio[:, first : first + _BLOCK]
        unreal += int(np.count_nonzero(~np.isfinite(piece)))
        clipped += int(np.count_nonzero((piece >= _TOO_HIGH) | (piece < -1.0))) if bits == 24 else 0
    if unreal:
        raise JobError(
            "audio.not_finite",
            f'{unreal} samples of "{title}" are not numbers.',
            hint="Ask again with another seed; if it returns, report it.",
        )
    if clipped:
        raise JobError(
            "audio.clipped",
            f'{clipped} samples of "{title}" are beyond full scale, which 24 bits cannot hold.',
            hint="Ask for 32-bit float files, or for a quieter mix.",
        )


def _write_samples(sink: Sink, audio: Samples, bits: Bits, poll: Callable[[], object]) -> None:
    """Interleaves block by block, so that a long stem is never in memory twice."""
    import numpy as np

    for first in range(0, audio.shape[1], _BLOCK):
        poll()
        frames = np.ascontiguousarray(audio[:, first : first + _BLOCK].T, dtype="<f4")
        if bits == 32:
            sink.write(frames.tobytes())
        else:
            # Scaling by a power of two and rounding are both exact in float32.
            whole = np.rint(frames * np.float32(1 << 23)).astype("<i4")
            sink.write(whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())


def _header(channels: int, samples: int, rate: int, bits: Bits, start_sample: int, label: Label) -> tuple[bytes, bytes]:
    """All bytes before the samples, and the padding after them."""
    width = bits // 8
    size = samples * channels * width
    chunks = _format(channels, samples, rate, bits)
    chunks += _chunk(b"bext", _bext(channels, rate, bits, start_sample, label))
    chunks += _chunk(b"iXML", _ixml(channels, rate, bits, start_sample, label))
    chunks += _chunk(b"acid", _acid(label))
    chunks += _cues(label.markers)
    pad = b"\0" * (size % 2)
    riff = 4 + len(chunks) + 8 + size + len(pad)
    return struct.pack("<4sI4s", b"RIFF", min(riff, MAX_BYTES), b"WAVE") + chunks + struct.pack(
        "<4sI", b"data", min(size, MAX_BYTES)
    ), pad


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body + b"\0" * (len(body) % 2)


def _format(channels: int, samples: int, rate: int, bits: Bits) -> bytes:
    frame = channels * bits // 8
    tag = _FORMAT_FLOAT if bits == 32 else _FORMAT_PCM
    body = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)
    if bits == 24:
        return _chunk(b"fmt ", body)
    return _chunk(b"fmt ", body + struct.pack("<H", 0)) + _chunk(b"fact", struct.pack("<I", min(samples, MAX_BYTES)))


def _bext(channels: int, rate: int, bits: Bits, start_sample: int, label: Label) -> bytes:
    sound = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
    note = f"{ORIGINATOR};float" if bits == 32 else ORIGINATOR
    history = f"A=PCM,F={rate},W={bits},M={sound},T={note}\r\n".encode("ascii")
    description = f"{label.project}: {label.title}" if label.project else label.title
    return (
        struct.pack(
            "<256s32s32s10s8sQH",
            _ascii(description, 256),
            _ascii(ORIGINATOR, 32),
            _ascii(label.title, 32),
            b"",
            b"",
            start_sample,
            1,
        )
        + bytes(64)
        + bytes(190)
        + history
    )


def _ixml(channels: int, rate: int, bits: Bits, start_sample: int, label: Label) -> bytes:
    sides = ("left", "right") if channels == 2 else tuple(f"channel {i + 1}" for i in range(channels))
    tracks = "".join(
        f"<TRACK><CHANNEL_INDEX>{i + 1}</CHANNEL_INDEX><INTERLEAVE_INDEX>{i + 1}</INTERLEAVE_INDEX>"
        f"<NAME>{_xml(label.title)} {side}</NAME><FUNCTION></FUNCTION></TRACK>"
        for i, side in enumerate(sides)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        "<BWFXML><IXML_VERSION>1.61</IXML_VERSION>"
        f"<PROJECT>{_xml(label.project)}</PROJECT><SCENE>{_xml(label.title)}</SCENE>"
        f"<NOTE>{_xml(label.title)}</NOTE>"
        f"<SPEED><FILE_SAMPLE_RATE>{rate}</FILE_SAMPLE_RATE><AUDIO_BIT_DEPTH>{bits}</AUDIO_BIT_DEPTH>"
        f"<DIGITIZER_SAMPLE_RATE>{rate}</DIGITIZER_SAMPLE_RATE>"
        f"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>{start_sample >> 32}</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>"
        f"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>{start_sample & 0xFFFFFFFF}</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>"
        f"<TIMESTAMP_SAMPLE_RATE>{rate}</TIMESTAMP_SAMPLE_RATE></SPEED>"
        f"<TRACK_LIST><TRACK_COUNT>{channels}</TRACK_COUNT>{tracks}</TRACK_LIST></BWFXML>"
    ).encode()


def _acid(label: Label) -> bytes:
    """Flags, root note, two constants, beats, metre (unit before beats), tempo. One-shot: hosts must not stretch."""
    flags = _ACID_ONE_SHOT | (0 if label.root is None else _ACID_ROOT_SET)
    root = _MIDDLE_C + (label.root or 0)
    beats = max(0, round(label.beats))
    return struct.pack("<IHHfIHHf", flags, root, 0x8000, 0.0, beats, label.metre[1], label.metre[0], label.tempo)


def _cues(markers: Sequence[tuple[int, str]]) -> bytes:
    if not markers:
        return b""
    points = b"".join(
        struct.pack("<II4sIII", i, sample, b"data", 0, 0, sample) for i, (sample, _) in enumerate(markers, 1)
    )
    labels = b"".join(
        _chunk(b"labl", struct.pack("<I", i) + _clean(name).encode() + b"\0") for i, (_, name) in enumerate(markers, 1)
    )
    return _chunk(b"cue ", struct.pack("<I", len(markers)) + points) + _chunk(b"LIST", b"adtl" + labels)


def _clean(text: str) -> str:
    """Without control characters, which neither XML nor a marker list can hold."""
    return "".join(c for c in text if c.isprintable())


def _xml(text: str) -> str:
    return _clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _ascii(text: str, size: int) -> bytes:
    """`bext` holds ASCII only: accents fall off, other letters become "?"."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", _clean(text)) if not unicodedata.combining(c))
    return plain.encode("ascii", "replace")[:size]
