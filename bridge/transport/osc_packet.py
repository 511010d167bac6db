"""OSC packets to messages and back, on top of python-osc; bounded, and safe against packets made to harm.

python-osc parses the single messages. Bundles are cut here, because a negative element size would hold its parser
for ever; so is the stream of a TCP connection (SLIP as in OSC 1.1, or a length before each packet as in OSC 1.0).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from pythonosc import slip
from pythonosc.osc_message import OscMessage, ParseError
from pythonosc.osc_message_builder import BuildError, OscMessageBuilder
from pythonosc.parsing import osc_types

MAX_PACKET = 65_507
"""Bytes of the largest UDP datagram; the same bound holds for TCP."""
MAX_ARGUMENTS = 16
MAX_MESSAGES = 256
MAX_DEPTH = 4
BUNDLE = b"#bundle\x00"


class OscError(ValueError):
    """Bytes that are no OSC packet that we take."""


class Message(NamedTuple):
    """One message: its address, type tags without the comma, and as many values."""

    address: str
    tags: str
    values: list[object]


def packet2messages(packet: bytes) -> list[Message]:
    """All messages of a packet, those of bundles in order; time tags are not waited for. Raises `OscError`."""
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
            raise OscError("a bundle is cut off or too large")
        _collect(packet[at + 4 : at + 4 + size], messages, depth + 1)
        at += 4 + size


def _message(packet: bytes) -> Message:
    if not packet.startswith(b"/") or len(packet) > MAX_PACKET or len(packet) % 4:
        raise OscError("not an OSC message")
    try:
        address, at = osc_types.get_string(packet, 0)
        tags = osc_types.get_string(packet, at)[0] if at < len(packet) else ","
        if not tags.startswith(",") or len(tags) > MAX_ARGUMENTS + 1 or not set(tags[1:]) <= set("sihfdTFN"):
            raise OscError(f"{address[:80]}: these argument types are not taken")
        values = OscMessage(packet).params
    except (osc_types.ParseError, ParseError, UnicodeDecodeError) as error:
        raise OscError("an OSC message is cut off or damaged") from error
    return Message(address, tags[1:], values)


def message2packet(address: str, tags: str, values: Sequence[object]) -> bytes:
    """One message with these type tags. Raises `OscError` where a value does not fit its tag."""
    builder = OscMessageBuilder(address)
    try:
        for tag, value in zip(tags, values, strict=True):
            text = value.replace("\0", " ") if isinstance(value, str) else value
            builder.add_arg(text, tag)  # type: ignore[arg-type]
        return builder.build().dgram
    except (BuildError, ValueError) as error:
        raise OscError(str(error)) from error


class Stream:
    """Cuts the bytes of a TCP connection into packets, and frames packets for it.

    The first byte tells the framing: SLIP begins with END (0xC0), a length with a zero byte.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.slip = True
        self._known = False

    def feed(self, data: bytes) -> list[bytes]:
        """Packets completed by `data`. Raises `OscError` where the stream cannot go on."""
        self._rest += data
        if self._rest and not self._known:
            self._known = True
            self.slip = self._rest[0] != 0
        return self._slip_packets() if self.slip else self._sized_packets()

    def frame(self, packet: bytes) -> bytes:
        """A packet as this connection's peer frames them."""
        framed: bytes = slip.encode(packet) if self.slip else struct.pack(">i", len(packet)) + packet
        return framed

    def _slip_packets(self) -> list[bytes]:
        *whole, self._rest = self._rest.split(slip.END)
        if len(self._rest) > 2 * MAX_PACKET:
            raise OscError("a packet is too large")
        try:
            return [slip.decode(part) for part in whole if part]
        except slip.ProtocolError as error:
            raise OscError("the stream is no SLIP") from error

    def _sized_packets(self) -> list[bytes]:
        packets = []
        while len(self._rest) >= 4:
            (size,) = struct.unpack_from(">i", self._rest)
            if not 0 < size <= MAX_PACKET:
                raise OscError("a packet has an impossible size")
            if len(self._rest) < 4 + size:
                break
            packets.append(self._rest[4 : 4 + size])
            self._rest = self._rest[4 + size :]
        return packets
