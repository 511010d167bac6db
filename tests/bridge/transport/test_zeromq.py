"""The ZeroMQ side of a real engine: token, observers, hostile messages."""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from bridge.client import Client
from bridge.errors import RequestError, StembridgeError
from bridge.messages import Accepted, Done, Failed, Jobs, Ping, Pong, Progress, StemReady, decode_event, encode
from bridge.transport.endpoint import Endpoint
from bridge.validate import MAX_MESSAGE
from tests.engine.rig import echo_engine, song

FRAME = b"stembridge/1"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with echo_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture
def raw(endpoint: Endpoint) -> Iterator[zmq.Socket[bytes]]:
    """A DEALER of nobody's making."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(f"tcp://127.0.0.1:{endpoint.ports.zmq}")
    socket.setsockopt(zmq.RCVTIMEO, 5000)
    yield socket
    context.destroy(linger=0)


def answer(socket: zmq.Socket[bytes]) -> Any:
    frames = socket.recv_multipart()
    assert frames[0] == FRAME
    assert len(frames) == 2
    return decode_event(frames[1])


def alive(endpoint: Endpoint) -> bool:
    with Client(endpoint) as client:
        return client.ping().ready


@pytest.mark.parametrize("token", [b"", b"wrong", b"\xff\x00" * 500])
def test_a_wrong_token_is_refused(token: bytes, raw: zmq.Socket[bytes], endpoint: Endpoint) -> None:
    for message in (encode(Ping()), encode(Jobs()), b'{"type":"shutdown"}'):
        raw.send_multipart([FRAME, token, message])
        refused = answer(raw)
        assert isinstance(refused, Failed)
        assert (refused.code, refused.refused) == ("token.wrong", True)
    assert alive(endpoint)


def test_the_client_tells_of_a_wrong_token(endpoint: Endpoint, tmp_path: Path) -> None:
    with Client(msgspec.structs.replace(endpoint, token="wrong")) as client:
        with pytest.raises(RequestError, match="token"):
            client.ping()
        with pytest.raises(StembridgeError, match="token"):
            client.jobs()
        (refused,) = client.request(song("job", tmp_path))
        assert isinstance(refused, Failed)
        assert refused.code == "token.wrong"


def test_another_protocol_or_count_of_frames_is_refused(raw: zmq.Socket[bytes], endpoint: Endpoint) -> None:
    token = endpoint.token.encode()
    raw.send_multipart([b"stembridge/2", token, encode(Ping())])
    assert answer(raw).code == "protocol.unknown"
    for frames in ([FRAME], [FRAME, token], [FRAME, token, b"{}", b"more"], [FRAME] * 2000):
        raw.send_multipart(frames)
        assert answer(raw).code == "frames.count"
    assert alive(endpoint)


HOSTILE = [
    b"",
    b"\x00",
    b"null",
    b"[]",
    b"{}",
    b"\xff\xfe",
    b'{"type":"ping","version":99}',
    b'{"type":"ping","extra":1}',
    b'{"type":"nothing"}',
    b'{"type":"cancel","job":7}',
    b'{"type":"status","job":"\\u0000"}',
    b'{"type":"cancel","job":"' + b"x" * 100_000 + b'"}',
    b'{"type":"render","job":"a","arrangement":' + b"[" * 100_000,
    b'{"type":"render","job":"a","arrangement":' + b'{"sections":' * 50_000,
    b"[" * 1_000_000,
    b'{"type":"render","job":"../../etc","arrangement":{"sample_rate":48000,"clock":[[0,0],[4,2]]}}',
    b'{"type":"listen","job":"l","path":"/etc/passwd"}',
    b'{"type":"listen","job":"l","path":"\\u0000"}',
    b'{"type":"render","job":"a","arrangement":{"sample_rate":1e999,"clock":[[NaN,0],[4,2]]}}',
    b'{"type":"render","job":"a","arrangement":{"sample_rate":48000,"clock":' + b"[[0,0]," * 3,
]


@pytest.mark.parametrize("message", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_message_gets_one_refusal(message: bytes, raw: zmq.Socket[bytes], endpoint: Endpoint) -> None:
    raw.send_multipart([FRAME, endpoint.token.encode(), message])
    refused = answer(raw)
    assert isinstance(refused, Failed)
    assert refused.refused
    assert refused.code != "engine.fault"
    assert len(encode(refused)) < 10_000
    assert alive(endpoint)


def test_damaged_requests_do_not_harm(raw: zmq.Socket[bytes], endpoint: Endpoint, tmp_path: Path) -> None:
    """Real requests with bytes changed, cut or doubled: each is answered, the engine lives on."""
    dice = random.Random(5)
    whole = encode(song("victim", tmp_path))
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(data))
            data[at : at + dice.choice([1, 9])] = bytes([dice.randrange(256)])
        raw.send_multipart([FRAME, endpoint.token.encode(), bytes(data)])
        answer(raw)
    assert alive(endpoint)


def test_a_message_that_is_too_large_ends_only_its_own_connection(
    raw: zmq.Socket[bytes], endpoint: Endpoint, tmp_path: Path
) -> None:
    raw.send_multipart([FRAME, endpoint.token.encode(), b" " * (MAX_MESSAGE + 1)])
    with Client(endpoint) as client:
        with pytest.raises(RequestError, match="at most"):
            client.send(song("large", tmp_path, style="x" * (MAX_MESSAGE + 1)))
        assert client.ping().ready


def test_bytes_that_are_no_zeromq_do_not_harm(endpoint: Endpoint) -> None:
    for port in (endpoint.ports.zmq, endpoint.ports.zmq_pub):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    assert alive(endpoint)


def test_observers_need_the_token(endpoint: Endpoint, tmp_path: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    stranger, friend, narrow = (context.socket(zmq.SUB) for _ in range(3))
    for observer, topic in (
        (stranger, b""),
        (friend, endpoint.token.encode()),
        (narrow, f"{endpoint.token}/seen".encode()),
    ):
        observer.connect(f"tcp://127.0.0.1:{endpoint.ports.zmq_pub}")
        observer.setsockopt(zmq.SUBSCRIBE, topic)
        observer.setsockopt(zmq.RCVTIMEO, 5000)
    while not isinstance(decode_event(friend.recv_multipart()[2]), Pong):
        pass
    with Client(endpoint) as client:
        for i in itertools.count():
            list(client.request(song(f"other-{i}", tmp_path)))
            list(client.request(song(f"seen-{i}", tmp_path)))
            if narrow.poll(100):
                break
    topic, frame, body = narrow.recv_multipart()
    event = decode_event(body)
    assert frame == FRAME
    assert isinstance(event, Accepted | Progress | StemReady | Done)
    assert event.job.startswith("seen-")
    assert topic == f"{endpoint.token}/{event.job}".encode()
    assert stranger.poll(200) == 0
    context.destroy(linger=0)


def test_a_client_that_reads_nothing_harms_nobody(raw: zmq.Socket[bytes], endpoint: Endpoint, tmp_path: Path) -> None:
    raw.setsockopt(zmq.SNDTIMEO, 10_000)
    for _ in range(5000):
        raw.send_multipart([FRAME, endpoint.token.encode(), encode(Jobs())])
    with Client(endpoint) as client:
        assert isinstance(list(client.request(song("beside", tmp_path)))[-1], Done)
