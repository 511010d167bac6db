"""The engine's ZeroMQ side: a ROUTER for requests and their events, an XPUB for observers; on 127.0.0.1.

A second one may serve one address of this machine to clients whose CURVE key it knows (`bridge.transport.lan`).

Frames from a DEALER: `["stembridge/1", token, json]`; back: `["stembridge/1", json]`.
Observers subscribe to the token, or to token + "/" + job: each publication is `[token/job, "stembridge/1", json]`.
A subscription that does not begin with the token is not honoured, so other users of the machine hear nothing.
A client may choose its identity as `name/nonce`: connections of one name share their turns in the queue. The nonce must
be beyond guessing, for who connects with an identity that is connected gets its events.
Heartbeats: ZMTP's own on every connection, `Ping`/`Pong` from clients, a `Pong` a second to observers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import zmq

from bridge.messages import PROTOCOL, Event, Failed, encode
from bridge.transport import Desk
from bridge.transport.endpoint import HOST, same_token
from bridge.transport.refusals import Refusals
from bridge.validate import MAX_MESSAGE

if TYPE_CHECKING:
    from zmq.auth.thread import ThreadAuthenticator

    from bridge.transport.lan import LanKeys

FRAME = f"stembridge/{PROTOCOL}".encode()
DOMAIN = "stembridge"
MAX_QUEUED = 1000
HEARTBEAT_MS = 1000
DEAD_AFTER_MS = 10_000
BURST = 64
"""Messages taken before other work of the event loop gets its turn."""

log = logging.getLogger(__name__)


def bound_socket(socket: zmq.Socket[bytes]) -> None:
    """Limits that hold for each of our sockets, client or engine."""
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, MAX_QUEUED)
    socket.setsockopt(zmq.RCVHWM, MAX_QUEUED)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, DEAD_AFTER_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, DEAD_AFTER_MS)


@dataclass(frozen=True)
class Guests:
    """Tells libzmq whose CURVE key may come in (ZAP); called in the doorman's thread."""

    key: bytes
    refusals: Refusals

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether it is the key of our pass."""
        known = domain == DOMAIN and same_token(key, self.key.decode())
        if not known:
            self.refusals.count("lan.key", "a stranger's key")
        return known


class ZeroMQServer:
    """Serves a `Desk`. Make it inside a running event loop; `close` it there."""

    def __init__(
        self,
        desk: Desk,
        token: str,
        *,
        port: int = 0,
        observer_port: int = 0,
        host: str = HOST,
        keys: LanKeys | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        """Binds both sockets; port 0 lets the system choose. Beyond loopback `keys` are a must.

        Raises `zmq.ZMQError` where a port is taken or the address is not this machine's.
        """
        if keys is None and host != HOST:
            raise ValueError("nothing leaves loopback without keys")
        self._desk = desk
        self._token = token
        self._host = host
        self._refusals = refusals or Refusals()
        self._doorman: ThreadAuthenticator | None = None
        self._topic = token.encode()
        self._loop = asyncio.get_running_loop()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        self._router = self._context.socket(zmq.ROUTER)
        self._observers = self._context.socket(zmq.XPUB)
        self._due = False
        try:
            for socket in (self._router, self._observers):
                bound_socket(socket)
                if keys is not None:
                    self._lock(socket, keys)
            self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
            self._router.setsockopt(zmq.ROUTER_HANDOVER, 1)
            self._observers.setsockopt(zmq.XPUB_MANUAL, 1)
            self.port = (
                self._router.bind_to_random_port(f"tcp://{host}") if not port else self._bind(self._router, port)
            )
            self.observer_port = (
                self._bind(self._observers, observer_port)
                if observer_port
                else self._observers.bind_to_random_port(f"tcp://{host}")
            )
        except zmq.ZMQError:
            self._end_sockets()
            raise
        self._loop.add_reader(self._router.FD, self._drain)
        self._loop.add_reader(self._observers.FD, self._drain)
        self._drain_soon()

    def _bind(self, socket: zmq.Socket[bytes], port: int) -> int:
        socket.bind(f"tcp://{self._host}:{port}")
        return port

    def _lock(self, socket: zmq.Socket[bytes], keys: LanKeys) -> None:
        """Encrypts a socket not yet bound, and admits the one client key."""
        if self._doorman is None:
            from zmq.auth.thread import ThreadAuthenticator

            self._doorman = ThreadAuthenticator(self._context)
            self._doorman.start()
            self._doorman.configure_curve_callback(DOMAIN, Guests(keys.client.public.encode(), self._refusals))
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret.encode())
        socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN.encode())

    def _end_sockets(self) -> None:
        if self._doorman is not None:
            self._doorman.stop()
        self._context.destroy(linger=0)

    def close(self) -> None:
        """Unbinds. Events not yet sent are lost."""
        self._loop.remove_reader(self._router.FD)
        self._loop.remove_reader(self._observers.FD)
        self._due = True
        self._end_sockets()

    def send(self, peer: bytes, event: Event) -> bool:
        """Sends to one client. False: it is gone, or it has not read for so long that its queue is full."""
        try:
            self._router.send_multipart([peer, FRAME, encode(event)], zmq.NOBLOCK)
        except zmq.Again:
            self._refusals.count("zmq.unread", "a client asks and does not read the answers")
            return False
        except zmq.ZMQError:
            return False
        finally:
            self._drain_soon()
        return True

    def publish(self, job: str, event: Event) -> None:
        """Sends to all observers."""
        with contextlib.suppress(zmq.ZMQError):
            self._observers.send_multipart([self._topic + b"/" + job.encode(), FRAME, encode(event)], zmq.NOBLOCK)
        self._drain_soon()

    def _drain_soon(self) -> None:
        """A send may swallow the signal that something can be read; so look again."""
        if not self._due:
            self._due = True
            self._loop.call_soon(self._drain_due)

    def _drain_due(self) -> None:
        if not self._router.closed:
            self._due = False
            self._drain()

    def _drain(self) -> None:
        for _ in range(BURST):
            requests = self._take(self._router)
            if requests is not None:
                self._receive(requests)
            subscription = self._take(self._observers)
            if subscription is not None:
                self._admit(subscription[0])
            if requests is None and subscription is None:
                return
        self._drain_soon()

    @staticmethod
    def _take(socket: zmq.Socket[bytes]) -> list[bytes] | None:
        """One message of at most five frames (what lies beyond is read and thrown away), or None."""
        try:
            frames = [socket.recv(zmq.NOBLOCK)]
            while socket.getsockopt(zmq.RCVMORE):
                frame = socket.recv(zmq.NOBLOCK)
                if len(frames) < 5:
                    frames.append(frame)
        except zmq.ZMQError:
            return None
        return frames

    def _receive(self, frames: list[bytes]) -> None:
        peer = frames[0]
        if len(frames) != 4:
            self._refuse(peer, "frames.count", "a request has three frames: protocol, token, JSON.")
        elif frames[1] != FRAME:
            hint = "Use the client that came with this engine."
            self._refuse(peer, "protocol.unknown", f"this engine speaks {FRAME.decode()}.", hint)
        elif not same_token(frames[2], self._token):
            hint = "Read the endpoint file again: the engine was started anew."
            self._refuse(peer, "token.wrong", "the token is not this engine's.", hint)
        else:
            self._desk.receive(frames[3], ZeroMQOutlet(self, peer))

    def _refuse(self, peer: bytes, code: str, message: str, hint: str = "") -> None:
        self._refusals.count(code, "ZeroMQ")
        self.send(peer, Failed("", code, message, hint=hint, refused=True))

    def _admit(self, subscription: bytes) -> None:
        """Honours a subscription (first byte 1) or its end (0) for topics that begin with the token."""
        wanted, topic = subscription[:1], subscription[1:]
        if not same_token(topic[: len(self._topic)], self._token):
            return
        option = zmq.SUBSCRIBE if wanted == b"\x01" else zmq.UNSUBSCRIBE
        with contextlib.suppress(zmq.ZMQError):
            self._observers.setsockopt(option, topic)


@dataclass(frozen=True)
class ZeroMQOutlet:
    """Back to one DEALER."""

    server: ZeroMQServer
    peer: bytes

    @property
    def key(self) -> Hashable:
        return ("zmq", self.peer)

    @property
    def client(self) -> str:
        """What stands before the slash of the identity that the client has chosen, or the whole of one given by us."""
        name = self.peer.partition(b"/")[0] if self.peer[:1] != b"\0" else self.peer
        return f"zmq {name.decode('ascii', 'backslashreplace')}"

    def send(self, event: Event) -> bool:
        return self.server.send(self.peer, event)
