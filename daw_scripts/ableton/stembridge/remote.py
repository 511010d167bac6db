"""OSC from outside: TouchOSC, a Max patch, a foot switch. A UDP port of our own, read a little at every tick.

    /stembridge/live/generate | reroll | add | continue | match | take | cancel   [words: stems and sections]
    /stembridge/live/style words    /stems "drums bass"    /seed n    /takes n    /status

A button's release (a single 0) is no press. Who has sent something is told, at the port it sent from:
/message text, /progress fraction.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from .osc import Message, OscError, decode, encode

ROOT = "/stembridge/live"
MAX_PER_TICK = 16
MAX_DATAGRAM = 8 << 10


class Remote:
    """The port; 0 keeps it closed. `why` says what keeps it from being open."""

    def __init__(self, host: str, port: int) -> None:
        self.why = ""
        self._listener: tuple[str, int] | None = None
        self._socket: socket.socket | None = None
        if not port:
            return
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self.close()
            self.why = (
                f"OSC port {port} cannot be used ({error.strerror or error}): another program or control surface has "
                "it. Choose another osc_port in the script's settings.json."
            )

    @property
    def port(self) -> int:
        """The port that it listens on; 0 when closed."""
        return int(self._socket.getsockname()[1]) if self._socket else 0

    def tick(self) -> list[Message]:
        """What came, addresses without the root. What is no OSC is ignored: anything may arrive at an open port."""
        found: list[Message] = []
        for _ in range(MAX_PER_TICK):
            if self._socket is None:
                break
            try:
                packet, sender = self._socket.recvfrom(MAX_DATAGRAM)
                messages = decode(packet)
            except (BlockingIOError, InterruptedError):
                break
            except (OscError, OSError):
                continue
            for message in messages:
                if message.address.startswith(ROOT + "/") and not is_release(message.values):
                    self._listener = sender
                    found.append(Message(message.address[len(ROOT) :], message.values))
        return found

    def tell(self, address: str, tags: str, values: list[Any]) -> None:
        """Tells the last sender, if there is one."""
        if self._socket is not None and self._listener is not None:
            with contextlib.suppress(OSError, OscError):
                self._socket.sendto(encode(ROOT + address, tags, values), self._listener)

    def close(self) -> None:
        """Gives the port back."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def is_release(values: list[Any]) -> bool:
    """Whether the values are those of a button that is let go."""
    return len(values) == 1 and not isinstance(values[0], str) and not values[0]
