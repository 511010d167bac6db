"""How messages reach the engine: ZeroMQ, OSC, mailbox folder; and the endpoint file that tells where.

Each transport turns bytes into calls of a `Desk` and sends events back through an `Outlet`. A transport proves
the sender (token) and bounds what it reads; what a request means is the desk's business.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from bridge.messages import Event


class Outlet(Protocol):
    """The way back to one sender. `key` is equal for two outlets that lead to the same place."""

    @property
    def key(self) -> Hashable: ...

    @property
    def client(self) -> str:
        """Whose turn in the queue a request takes: equal for one sender, if it can be, across its connections."""
        ...

    def send(self, event: Event) -> bool:
        """Sends without waiting. False: nobody is there any more, forget this outlet."""
        ...


class Desk(Protocol):
    """What the engine's front process offers to its transports. Called in the event loop's thread; never raises."""

    def receive(self, raw: bytes, outlet: Outlet) -> None:
        """Takes a request in JSON from a proven sender; answers through `outlet`."""
        ...

    def receive_file(self, path: str, outlet: Outlet) -> None:
        """Takes the path of a JSON file that holds a request; it must lie under the engine's roots."""
        ...
