"""Strangers and broken clients at the engine's real sockets: it goes on answering and holds on to nothing of theirs."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import zmq

from bridge.client import FRAME, Client
from bridge.messages import Failed, Ping, decode_event, encode
from bridge.transport.endpoint import Endpoint
from bridge.transport.osc_packet import BUNDLE, message2packet, packet2messages
from tests.engine.rig import echo_engine, wait_for
from tests.patience import PATIENCE

PING = "/stembridge/v1/ping"
FLOOD = 60_000
MEGABYTE = 1 << 20
NOISE = random.Random(8).randbytes(4096)
GROWTH = 24
"""Megabytes by which the front process may grow under attack; what it queues at most, and the allocator's slack."""


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with echo_engine(tmp_path_factory.mktemp("hostile")) as running:
        yield running


@pytest.fixture(autouse=True)
def unharmed(endpoint: Endpoint) -> Iterator[None]:
    """Afterwards the engine answers, has grown little and has closed what was opened."""
    front = psutil.Process(endpoint.pid)
    with Client.connect() as client:
        client.ping()
    before, files = front.memory_info().rss, front.num_fds()
    yield
    with Client.connect() as client:
        assert client.ping().pid == endpoint.pid
    assert front.memory_info().rss - before < GROWTH * MEGABYTE
    wait_for(lambda: front.num_fds() <= files + 4)


def udp(endpoint: Endpoint) -> tuple[socket.socket, tuple[str, int]]:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind(("127.0.0.1", 0))
    sender.settimeout(PATIENCE)
    return sender, ("127.0.0.1", endpoint.ports.osc_udp)


def asked(sender: socket.socket, address: tuple[str, int], packet: bytes) -> list[str]:
    """Addresses of the answers to one packet, the first that comes."""
    sender.sendto(packet, address)
    return [message.address for message in packet2messages(sender.recv(65_536))]


def test_a_flood_of_small_messages_is_read_and_forgotten(endpoint: Endpoint) -> None:
    sender, address = udp(endpoint)
    with sender:
        junk = [b"", b"x", b"/a\0\0", NOISE[:64], message2packet(PING, "s", ["wrong"]), bytes(1000)]
        for i in range(FLOOD):
            sender.sendto(junk[i % len(junk)], address)
    other, _ = udp(endpoint)
    other.settimeout(0.5)
    with other:
        assert wait_for(lambda: answered(other, address, message2packet(PING, "s", [endpoint.token])))


def answered(sender: socket.socket, address: tuple[str, int], packet: bytes) -> bool:
    """Whether a pong came; the system may have thrown away a packet that found its buffer full."""
    try:
        return asked(sender, address, packet) == ["/stembridge/v1/pong"]
    except TimeoutError:
        return False


def test_a_bundle_nested_a_thousand_deep_is_refused(endpoint: Endpoint) -> None:
    packet = message2packet(PING, "s", [endpoint.token])
    for _ in range(1000):
        packet = BUNDLE + bytes(8) + struct.pack(">i", len(packet)) + packet
    sender, address = udp(endpoint)
    with sender:
        assert asked(sender, address, packet) == ["/stembridge/v1/error"]


@pytest.mark.parametrize(
    ("tags", "values"),
    [("si", ["{token}", 7]), ("sd", ["{token}", 0.5]), ("i", [7]), ("", []), ("ss", ["{token}", "not a number"])],
)
def test_wrong_types_are_refused(endpoint: Endpoint, tags: str, values: list[object]) -> None:
    given = [endpoint.token if value == "{token}" else value for value in values]
    sender, address = udp(endpoint)
    with sender:
        assert asked(sender, address, message2packet("/stembridge/v1/draft/tempo", tags, given)) == [
            "/stembridge/v1/error"
        ]


def test_connections_that_never_go_on_leave_room_for_others(endpoint: Endpoint) -> None:
    idle = [socket.create_connection(("127.0.0.1", endpoint.ports.osc_tcp), timeout=PATIENCE) for _ in range(100)]
    try:
        for connection in idle:
            with_data = connection.fileno() % 2
            if with_data:
                connection.send(b"\xc0/stem")
        with Client.connect() as client:
            assert client.ping().pid == endpoint.pid
    finally:
        for connection in idle:
            connection.close()


def test_what_waits_for_a_client_that_reads_nothing_is_bounded(endpoint: Endpoint) -> None:
    """It asks 20,000 times for the long help text, some 100 MB of answers, and reads none of them."""
    packet = message2packet("/stembridge/v1/help", "s", [endpoint.token])
    framed = struct.pack(">i", len(packet)) + packet
    front = psutil.Process(endpoint.pid)
    before = front.memory_info().rss
    with socket.create_connection(("127.0.0.1", endpoint.ports.osc_tcp), timeout=PATIENCE) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                slow.sendall(framed * 100)
        assert front.memory_info().rss - before < GROWTH * MEGABYTE


def test_what_is_no_zeromq_is_dropped(endpoint: Endpoint) -> None:
    for junk in (b"GET / HTTP/1.1\r\n\r\n", NOISE, bytes(65_536)):
        with socket.create_connection(("127.0.0.1", endpoint.ports.zmq), timeout=PATIENCE) as stranger:
            with contextlib.suppress(ConnectionError):
                stranger.sendall(junk)
            with Client.connect() as other:
                assert other.ping().pid == endpoint.pid, "others are answered while it stays"


def dealer(endpoint: Endpoint, context: zmq.Context[zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    link = context.socket(zmq.DEALER)
    link.setsockopt(zmq.LINGER, 0)
    link.setsockopt(zmq.RCVTIMEO, round(1000 * PATIENCE))
    link.connect(f"tcp://127.0.0.1:{endpoint.ports.zmq}")
    return link


def test_a_client_that_asks_and_never_listens_holds_nothing(endpoint: Endpoint) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        link = dealer(endpoint, context)
        link.setsockopt(zmq.RCVHWM, 1)
        frames = [FRAME, endpoint.token.encode(), encode(Ping())]
        for _ in range(FLOOD // 3):
            link.send_multipart(frames)
        with Client.connect() as other:
            assert other.ping().pid == endpoint.pid, "others are answered meanwhile"
    finally:
        context.destroy(linger=0)


@pytest.mark.parametrize("frames", [1, 2, 4, 300])
def test_a_message_of_the_wrong_number_of_frames_is_refused(endpoint: Endpoint, frames: int) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        link = dealer(endpoint, context)
        link.send_multipart([b"x"] * frames)
        event = decode_event(link.recv_multipart()[-1])
        assert isinstance(event, Failed)
        assert event.refused
    finally:
        context.destroy(linger=0)


def test_a_huge_message_ends_its_connection_only(endpoint: Endpoint) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        link = dealer(endpoint, context)
        link.setsockopt(zmq.RCVTIMEO, 500)
        link.send_multipart([FRAME, endpoint.token.encode(), bytes(64 * MEGABYTE)])
        with pytest.raises(zmq.Again):
            link.recv_multipart()
    finally:
        context.destroy(linger=0)


def test_what_does_not_belong_into_the_mailbox_is_taken_away(endpoint: Endpoint) -> None:
    requests = Path(endpoint.mailbox) / "requests"
    os.mkfifo(requests / "pipe.json")
    os.symlink("/dev/zero", requests / "endless.json")
    os.symlink("/etc/hostname", requests / "link.json")
    (requests / "folder.json").mkdir()
    (requests / "folder.json" / "inside").write_bytes(b"x")
    (requests / "huge.json").write_bytes(bytes(16 * MEGABYTE))
    for i in range(200):
        (requests / f"junk-{i}.json").write_bytes(NOISE[i : i + 100])
    wait_for(lambda: not list(requests.iterdir()))
    assert Path("/etc/hostname").exists(), "the link goes, and not what it names"
    assert Path("/etc/hostname").exists()
