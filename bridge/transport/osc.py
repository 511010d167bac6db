"""The engine's OSC side: UDP and TCP on 127.0.0.1, dispatched by the table in `bridge.transport.osc_table`.

Every message's first argument is the token. Answers go to the sender, to the port it set by /reply_port, or to the
port that the message itself names. What an event looks like in OSC is in `bridge.transport.osc_outlet`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import RequestError, StembridgeError
from bridge.messages import (
    Cancel,
    Jobs,
    Listen,
    Models,
    Move,
    Pause,
    Ping,
    Request,
    Resume,
    Stats,
    Status,
    encode,
)
from bridge.transport import Desk
from bridge.transport.draft import Drafts
from bridge.transport.endpoint import HOST, same_token
from bridge.transport.osc_outlet import Answer, TcpOutlet, UdpOutlet, answer2packet
from bridge.transport.osc_packet import MAX_PACKET, Message, OscError, Stream, packet2messages
from bridge.transport.osc_table import ROOT, ROWS, Row, osc_answers, osc_table
from bridge.transport.refusals import Refusals

MAX_CONNECTIONS = 32
MAX_REPLY_PORTS = 256
ANSWER_ONLY = {answer.address for answer in osc_answers()} - set(ROWS)

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Connection:
    """A TCP peer. `proven`: it has sent the token, so it is nobody's stranger."""

    writer: asyncio.StreamWriter
    proven: bool = False


@dataclass(frozen=True)
class Sender:
    """Who sent a message: `owner` tells drafts apart, `outlet` leads back; `connection` for TCP."""

    owner: Hashable
    outlet: UdpOutlet | TcpOutlet
    connection: Connection | None = None


@dataclass
class OscServer:
    """Serves a `Desk` over OSC."""

    desk: Desk
    token: str
    refusals: Refusals = field(default_factory=Refusals)
    udp_port: int = 0
    tcp_port: int = 0
    _drafts: Drafts = field(default_factory=Drafts)
    _reply_ports: dict[Hashable, int] = field(default_factory=dict)
    _connections: list[Connection] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _udp: asyncio.DatagramTransport | None = None
    _tcp: asyncio.Server | None = None

    async def open(self, port: int = 0) -> None:
        """Binds UDP and TCP; port 0 lets the system choose. Raises `StembridgeError` where the port is taken."""
        loop = asyncio.get_running_loop()
        try:
            self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=(HOST, port))
            self._tcp = await asyncio.start_server(self._connected, HOST, port)
        except OSError as error:
            await self.close()
            raise StembridgeError(
                "port.taken",
                f"OSC port {port} cannot be used ({error.strerror}).",
                hint="Choose another with --osc-port.",
            ) from error
        self.udp_port = self._udp.get_extra_info("sockname")[1]
        self.tcp_port = self._tcp.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Closes sockets and connections."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for connection in self._connections:
            connection.writer.close()

    def send_udp(self, port: int, answers: Sequence[Answer]) -> None:
        """Sends answers to a UDP port of this machine."""
        for answer in answers:
            packet = answer2packet(answer)
            if len(packet) > MAX_PACKET:
                text = "the answer does not fit into a UDP message."
                packet = answer2packet(("/error", [ROOT + answer[0], "osc.too_large", text, "Ask over TCP or ZeroMQ."]))
            if self._udp is not None and not self._udp.is_closing():
                self._udp.sendto(packet, (HOST, port))

    # In

    def datagram(self, packet: bytes, port: int) -> None:
        """Takes one UDP packet from that port of this machine; none from our own, which somebody named for answers."""
        if port == self.udp_port:
            return
        owner = ("udp", port)
        self._packet(packet, Sender(owner, UdpOutlet(self, self._reply_ports.get(owner, port))))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS and not self._make_room():
            self.refusals.count("osc.crowded", "too many TCP connections")
            writer.close()
            return
        connection = Connection(writer)
        self._connections.append(connection)
        stream = Stream()
        number = next(self._numbers)
        sender = Sender(("tcp", number), TcpOutlet(writer, stream, number, self.refusals), connection)
        try:
            while data := await reader.read(MAX_PACKET):
                for packet in stream.feed(data):
                    self._packet(packet, sender)
        except OscError as error:
            self.refusals.count("osc.stream", str(error))
        except ConnectionError:
            log.debug("an OSC connection broke off")
        finally:
            self._forget(connection)
            self._reply_ports.pop(sender.owner, None)
            with contextlib.suppress(ConnectionError):
                writer.close()

    def _make_room(self) -> bool:
        """Ends the oldest connection that has not sent the token yet. False: all have."""
        stranger = next((c for c in self._connections if not c.proven), None)
        if stranger is None:
            return False
        self.refusals.count("osc.evicted", "a TCP connection that never sent the token made room for another")
        self._forget(stranger)
        stranger.writer.transport.abort()
        return True

    def _forget(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)

    def _packet(self, packet: bytes, sender: Sender) -> None:
        try:
            messages = packet2messages(packet)
        except OscError as error:
            self._complain(sender, "", RequestError("osc.packet", f"{error}."))
            return
        for message in messages:
            self._message(message, sender)

    def _message(self, message: Message, sender: Sender) -> None:
        """Dispatches one message by the table. Answers are never answered, or two servers could talk for ever."""
        if message.address in ANSWER_ONLY:
            return
        try:
            token = message.values[0] if message.values else None
            if not isinstance(token, str) or not same_token(token, self.token):
                hint = "The first argument is the token of the endpoint file."
                raise RequestError("token.wrong", "the token is not this engine's.", field=message.address, hint=hint)
            if sender.connection is not None:
                sender.connection.proven = True
            row = ROWS.get(message.address)
            if row is None:
                raise RequestError("osc.address", "no such address.", field=message.address, hint=f"Send {ROOT}/help.")
            self._do(row, row.check(message.tags, message.values)[1:], sender)
        except RequestError as error:
            self._complain(sender, message.address, error)

    def _complain(self, sender: Sender, address: str, error: RequestError) -> None:
        self.refusals.count(error.code, f"OSC {address} {error.message}")
        outlet = self._outlet(sender)
        outlet.send_answers([("/error", [address[:200], error.code, error.message, error.hint])])

    def _do(self, row: Row, values: list[Any], sender: Sender) -> None:
        if row.draft_line:
            self._drafts.current(sender.owner).line(row.does, values)
            return
        names = [argument.name for argument in row.takes[1:]]
        named = dict(zip(names, values, strict=False))
        port = named.pop("port", None)
        if port is not None and not 1 <= port <= 65_535:
            raise RequestError("osc.port", f"{port} is no port.", field=row.address)
        getattr(self, f"_on_{row.does}")(sender, port, **named)

    def _outlet(self, sender: Sender, port: int | None = None) -> UdpOutlet | TcpOutlet:
        named = port or self._reply_ports.get(sender.owner)
        return UdpOutlet(self, named) if named else sender.outlet

    def _ask(self, request: Request, sender: Sender, port: int | None) -> None:
        self.desk.receive(encode(request), self._outlet(sender, port))

    # One method for each address of the table that is no line of a draft

    def _on_ping(self, sender: Sender, port: int | None) -> None:
        self._ask(Ping(), sender, port)

    def _on_help(self, sender: Sender, port: int | None) -> None:
        outlet = self._outlet(sender, port)
        for row in osc_table():
            outlet.send_answers([("/help", [row.address, row.arguments, row.meaning])])

    def _on_reply_port(self, sender: Sender, port: int | None) -> None:
        assert port is not None
        self._reply_ports.pop(sender.owner, None)
        while len(self._reply_ports) >= MAX_REPLY_PORTS:
            del self._reply_ports[next(iter(self._reply_ports))]
        self._reply_ports[sender.owner] = port

    def _on_request(self, sender: Sender, port: int | None, json: str) -> None:
        self.desk.receive(json.encode(), self._outlet(sender, port))

    def _on_request_file(self, sender: Sender, port: int | None, path: str) -> None:
        self.desk.receive_file(path, self._outlet(sender, port))

    def _on_listen(self, sender: Sender, port: int | None, id: str, path: str) -> None:
        self._ask(Listen(id, path), sender, port)

    def _on_cancel(self, sender: Sender, port: int | None, id: str) -> None:
        self._ask(Cancel(id), sender, port)

    def _on_status(self, sender: Sender, port: int | None, id: str) -> None:
        self._ask(Status(id), sender, port)

    def _on_jobs(self, sender: Sender, port: int | None) -> None:
        self._ask(Jobs(), sender, port)

    def _on_pause(self, sender: Sender, port: int | None, id: str = "") -> None:
        self._ask(Pause(id), sender, port)

    def _on_resume(self, sender: Sender, port: int | None, id: str = "") -> None:
        self._ask(Resume(id), sender, port)

    def _on_move(self, sender: Sender, port: int | None, id: str, position: int) -> None:
        self._ask(Move(id, position), sender, port)

    def _on_models(self, sender: Sender, port: int | None) -> None:
        self._ask(Models(), sender, port)

    def _on_stats(self, sender: Sender, port: int | None) -> None:
        self._ask(Stats(), sender, port)

    def _on_draft_new(self, sender: Sender, port: int | None, id: str) -> None:
        self._drafts.new(id, sender.owner, port or 0)

    def _on_draft_drop(self, sender: Sender, port: int | None, id: str) -> None:
        del port
        draft = self._drafts.find(id, sender.owner)
        if draft is not None:
            self._drafts.drop(draft)

    def _on_render(self, sender: Sender, port: int | None, id: str) -> None:
        """The draft stays until it expires, so that a message sent again for safety asks for the same."""
        draft = self._drafts.find(id, sender.owner)
        if draft is None:
            self._ask(Status(id), sender, port)
        else:
            self.desk.receive(draft.request(), self._outlet(sender, port or draft.port or None))


class _Datagrams(asyncio.DatagramProtocol):
    """asyncio's side of the UDP socket; it takes datagrams of any size."""

    def __init__(self, server: OscServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._server.datagram(data, addr[1])

    def error_received(self, exc: Exception) -> None:
        """Nobody listens at a port that we sent to: UDP's way of saying so, not our fault."""
        log.debug("UDP: %s", exc)
