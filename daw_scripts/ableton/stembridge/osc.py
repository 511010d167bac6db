"""OSC messages and SLIP frames, encoded and decoded here because Live's Python has no package for them.

Types: s string, i int32, h int64, f float32, d float64, T, F, N. Bounded: what is longer than `MAX_PACKET` or nested
deeper than `MAX_DEPTH` is refused, never guessed at.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple, Sequence

MAX_PACKET = 65_507
"""Bytes of the largest packet that is sent or taken, over UDP and TCP."""
MAX_ARGUMENTS = 32
MAX_MESSAGES = 256
MAX_DEPTH = 4
BUNDLE = b"#bundle\x00"
END, ESC, ESC_END, ESC_ESC = b"\xc0", b"\xdb", b"\xdb\xdc", b"\xdb\xdd"
NUMBERS = {"i": (">i", 4), "h": (">q", 8), "f": (">f", 4), "d": (">d", 8)}
CONSTANTS = {"T": True, "F": False, "N": None}


class OscError(ValueError):
    """Bytes that are no OSC, or values that do not fit into it."""


class Message(NamedTuple):
    """One message: its address and values."""

    address: str
    values: list[Any]


def encode(address: str, tags: str, values: Sequence[Any]) -> bytes:
    """One message with these type tags (no comma). Raises `OscError` where a value does not fit its tag."""
    if len(tags) != len(values):
        raise OscError(f"{len(tags)} types for {len(values)} values")
    body = [_text(address), _text("," + tags)]
    for tag, value in zip(tags, values):
        if tag == "s":
            body.append(_text(value))
        else:
            try:
                body.append(struct.pack(NUMBERS[tag][0], value))
            except (KeyError, struct.error) as error:
                raise OscError(f"{value!r} does not fit the type {tag!r}") from error
    packet = b"".join(body)
    if len(packet) > MAX_PACKET:
        raise OscError(f"a message of {len(packet)} bytes is too long")
    return packet


def decode(packet: bytes) -> list[Message]:
    """All messages of a packet, those of bundles in order. Raises `OscError`."""
    messages: list[Message] = []
    _collect(packet, messages, 0)
    return messages


def _collect(packet: bytes, messages: list[Message], depth: int) -> None:
    if not packet.startswith(BUNDLE):
        messages.append(_message(packet))
        return
    if depth == MAX_DEPTH or len(packet) < 16:
        raise OscError("a bundle is cut off or nested too deeply")
    at = 16
    while at < len(packet):
        size = struct.unpack_from(">i", packet, at)[0] if at + 4 <= len(packet) else -1
        if size <= 0 or size % 4 or at + 4 + size > len(packet) or len(messages) >= MAX_MESSAGES:
            raise OscError("a bundle is cut off or too long")
        _collect(packet[at + 4 : at + 4 + size], messages, depth + 1)
        at += 4 + size


def _message(packet: bytes) -> Message:
    if not packet.startswith(b"/") or len(packet) % 4 or len(packet) > MAX_PACKET:
        raise OscError("not an OSC message")
    address, at = _string(packet, 0)
    tags, at = _string(packet, at) if at < len(packet) else (",", at)
    if not tags.startswith(",") or len(tags) > MAX_ARGUMENTS + 1:
        raise OscError("no type tags")
    values: list[Any] = []
    for tag in tags[1:]:
        if tag == "s":
            text, at = _string(packet, at)
            values.append(text)
        elif tag in CONSTANTS:
            values.append(CONSTANTS[tag])
        elif tag in NUMBERS:
            form, size = NUMBERS[tag]
            if at + size > len(packet):
                raise OscError("a message is cut off")
            values.append(struct.unpack_from(form, packet, at)[0])
            at += size
        else:
            raise OscError(f"the type {tag!r} is not known")
    if at != len(packet):
        raise OscError("bytes are left over")
    return Message(address, values)


def _text(value: Any) -> bytes:
    if not isinstance(value, str):
        raise OscError(f"{value!r} is no text")
    raw = value.replace("\0", " ").encode("utf-8", "replace")
    return raw + b"\0" * (4 - len(raw) % 4)


def _string(packet: bytes, at: int) -> tuple[str, int]:
    end = packet.find(b"\0", at)
    if end < 0:
        raise OscError("a string does not end")
    try:
        return packet[at:end].decode("utf-8"), at + (end - at) // 4 * 4 + 4
    except UnicodeDecodeError as error:
        raise OscError("a string is not UTF-8") from error


def frame(packet: bytes) -> bytes:
    """A packet as a SLIP frame with END on both sides (OSC 1.1 over TCP)."""
    return END + packet.replace(ESC, ESC_ESC).replace(END, ESC_END) + END


class Frames:
    """Cuts a TCP stream into packets."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Packets completed by `data`. Raises `OscError` where the stream is no SLIP or a packet is too long."""
        parts = (self._rest + data).split(END)
        self._rest = parts.pop()
        if len(self._rest) > 2 * MAX_PACKET:
            raise OscError("a packet is too long")
        return [_unescape(part) for part in parts if part]


def _unescape(part: bytes) -> bytes:
    pieces = part.split(ESC)
    out = [pieces[0]]
    for piece in pieces[1:]:
        if piece[:1] == b"\xdc":
            out.append(END + piece[1:])
        elif piece[:1] == b"\xdd":
            out.append(ESC + piece[1:])
        else:
            raise OscError("the stream is no SLIP")
    return b"".join(out)
