"""The way to the engine: its endpoint file, and OSC over a TCP connection that never waits.

Everything happens in `tick`, called about ten times a second from Live's main thread: it looks for the file, connects,
sends what is waiting, and returns what came, a bounded amount of each.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import sys
import tempfile
from typing import Any, NamedTuple, Sequence

from . import PROTOCOL, VERSION
from .osc import Frames, Message, OscError, decode, encode, frame

ROOT = "/stembridge/v1"
HOST = "127.0.0.1"
ENDPOINT = "endpoint.json"
MAX_ENDPOINT_BYTES = 64 << 10
READ = 32 << 10
READS_PER_TICK = 4
MAX_UNSENT = 1 << 20
LOOK_EVERY = 1.0
"""Seconds between two looks for the engine while there is none; doubled after each failure up to `LOOK_LAST`."""
LOOK_LAST = 8.0
CONNECT_WITHIN = 3.0
PING_EVERY = 4.0
SILENT_AFTER = 15.0
IN_PROGRESS = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, getattr(errno, "WSAEWOULDBLOCK", errno.EAGAIN)}

NOT_RUNNING = "The stembridge engine is not running. Start it in a terminal: stembridge engine start"


class Endpoint(NamedTuple):
    """What the endpoint file says: where the engine listens, its secret, its version."""

    port: int
    token: str
    version: str
    protocol: int
    pid: int


def endpoint_folders(chosen: str = "") -> list[str]:
    """Where the endpoint file may lie, the likeliest first: the same folders as the engine's own."""
    if chosen:
        return [chosen]
    named = os.environ.get("STEMBRIDGE_RUNTIME")
    if named:
        return [os.path.abspath(named)]
    folders = []
    xdg = os.environ.get("XDG_RUNTIME_DIR")
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or os.path.join(os.path.expanduser("~"), "AppData", "Local")
        folders.append(os.path.join(local, "Temp", "stembridge"))
    else:
        if xdg:
            folders.append(os.path.join(xdg, "stembridge"))
        if sys.platform == "darwin":
            folders.append(os.path.expanduser("~/Library/Caches/TemporaryItems/stembridge"))
        else:
            folders.append(f"/run/user/{os.getuid()}/stembridge")
            folders.append(os.path.join(tempfile.gettempdir(), f"runtime-{os.getuid()}", "stembridge"))
    return folders


def read_endpoint(folders: Sequence[str]) -> Endpoint | None:
    """The first endpoint file that can be read, or None."""
    for folder in folders:
        try:
            with open(os.path.join(folder, ENDPOINT), "rb") as file:
                if hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid != os.getuid():
                    continue
                found = json.loads(file.read(MAX_ENDPOINT_BYTES).decode("utf-8"))
            ports = found["ports"]
            endpoint = Endpoint(
                int(ports["osc_tcp"]),
                str(found["token"]),
                str(found["version"]),
                int(found["protocol"]),
                int(found["pid"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if 0 < endpoint.port < 65_536:
            return endpoint
    return None


class Engine:
    """One connection to the engine, made again whenever it is lost.

    `state` is "absent", "connecting", "greeting" (connected, but it has not answered yet), "open" or "foreign" (another
    protocol, or no engine at all). `why` says in words what keeps it from being open.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self.state = "absent"
        self.why = NOT_RUNNING
        self.version = ""
        self._folders = folders
        self._socket: socket.socket | None = None
        self._token = ""
        self._frames = Frames()
        self._unsent = b""
        self._look_at = 0.0
        self._pause = LOOK_EVERY
        self._since = 0.0
        self._heard = 0.0
        self._pinged = 0.0

    def tick(self, now: float) -> list[Message]:
        """One step. Returns what the engine said; addresses are without the root. `/here` and `/lost` are our own."""
        if self._socket is None:
            if now >= self._look_at:
                self._look(now)
            return []
        try:
            if self.state == "connecting":
                return self._finish_connecting(now)
            messages = self._receive(now)
            if now - self._pinged > PING_EVERY:
                self._ping(now)
            if now - self._heard > SILENT_AFTER:
                raise OSError("it does not answer any more")
            self._flush()
        except OscError as error:
            return self._lose(now, f"The engine answered something that is not understood ({error}).")
        except OSError as error:
            return self._lose(now, "The connection to the engine is lost (%s)." % (error.strerror or error))
        return messages

    def send(self, address: str, tags: str, values: Sequence[Any]) -> None:
        """Queues one message; the token is added. Raises `OscError` for what OSC cannot carry, or when not open."""
        if self.state != "open":
            raise OscError("the engine is not connected")
        self._queue(address, tags, values)

    def _queue(self, address: str, tags: str, values: Sequence[Any]) -> None:
        packet = frame(encode(ROOT + address, "s" + tags, [self._token, *list(values)]))
        if len(self._unsent) + len(packet) > MAX_UNSENT:
            raise OscError("the engine reads nothing")
        self._unsent += packet

    def _ping(self, now: float) -> None:
        self._pinged = now
        self._queue("/ping", "", [])

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        self._socket = None
        self.state = "absent"
        self._frames = Frames()
        self._unsent = b""

    def _look(self, now: float) -> None:
        self._look_at = now + self._pause
        endpoint = read_endpoint(self._folders)
        if endpoint is None:
            self.state, self.why = "absent", NOT_RUNNING
            return
        if endpoint.protocol != PROTOCOL:
            self.state = "foreign"
            self.why = (
                f"The engine (version {endpoint.version}) speaks protocol {endpoint.protocol}, this script (version "
                f"{VERSION}) speaks {PROTOCOL}. Update the older one: stembridge install ableton, then restart Live."
            )
            return
        self._token, self.version = endpoint.token, endpoint.version
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self.state, self._since = "connecting", now
        code = self._socket.connect_ex((HOST, endpoint.port))
        if code and code not in IN_PROGRESS:
            self._lose(now, NOT_RUNNING)

    def _finish_connecting(self, now: float) -> list[Message]:
        assert self._socket is not None
        _, writable, failed = select.select([], [self._socket], [self._socket], 0)
        if not writable and not failed:
            return self._lose(now, NOT_RUNNING) if now - self._since > CONNECT_WITHIN else []
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return self._lose(now, NOT_RUNNING)
        self.state, self._heard = "greeting", now
        self._ping(now)
        self._flush()
        return []

    def _receive(self, now: float) -> list[Message]:
        assert self._socket is not None
        messages: list[Message] = []
        for _ in range(READS_PER_TICK):
            try:
                data = self._socket.recv(READ)
            except (BlockingIOError, InterruptedError):
                break
            if not data:
                raise OSError("it was closed")
            self._heard = now
            for packet in self._frames.feed(data):
                messages += decode(packet)
        said = [Message(_without_root(message.address), message.values) for message in messages]
        if self.state == "greeting" and any(message.address == "/pong" for message in said):
            self.state, self.why, self._pause = "open", "", LOOK_EVERY
            said.insert(0, Message("/here", [self.version]))
        return said

    def _flush(self) -> None:
        assert self._socket is not None
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent[:READ])
            except (BlockingIOError, InterruptedError):
                return
            self._unsent = self._unsent[sent:]

    def _lose(self, now: float, why: str) -> list[Message]:
        was_open, was_greeting = self.state == "open", self.state == "greeting"
        self.close()
        self.why = why
        if was_greeting:
            self.state = "foreign"
        self._look_at = now + self._pause
        self._pause = min(2 * self._pause, LOOK_LAST)
        return [Message("/lost", [why])] if was_open else []


def _without_root(address: str) -> str:
    return address[len(ROOT) :] if address.startswith(ROOT + "/") else address


def text2object(text: Any) -> dict[str, Any]:
    """A JSON object out of an event's text. Raises `OscError` for anything else."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise OscError("no JSON") from error
    if not isinstance(found, dict):
        raise OscError("no JSON object")
    return found
