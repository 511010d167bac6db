"""The engine from another machine: by pass and encrypted, or not at all."""

from __future__ import annotations

import os
import re
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from bridge.client import FRAME, Client
from bridge.errors import StembridgeError
from bridge.messages import Done, Ping, encode
from bridge.transport.endpoint import ClientKeys, Endpoint, read_endpoint_file
from bridge.transport.lan import KEYS, NAMED, PASS, open_keys, text2address
from tests.engine.rig import echo_engine, own_places, song, wait_for
from tests.ports import free_port

ADDRESS = "127.0.0.2"
"""Stands for an address of the local network: nothing but the LAN sockets are bound to it."""


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Endpoint, Endpoint, Path]]:
    """The local endpoint, the pass, and the engine's data folder."""
    folder = tmp_path_factory.mktemp("lan")
    port = free_port(socket.SOCK_STREAM, ADDRESS)
    with echo_engine(folder, "--lan", f"{ADDRESS}:{port}") as local:
        data = folder / "data"
        given = read_endpoint_file(data / PASS)
        assert given is not None
        yield local, given, data


def test_the_pass_opens_the_engine(
    lan: tuple[Endpoint, Endpoint, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local, given, data = lan
    assert given.address == ADDRESS
    assert stat.S_IMODE((data / PASS).stat().st_mode) == stat.S_IMODE((data / KEYS).stat().st_mode) == 0o600
    with own_places(tmp_path):
        monkeypatch.setenv(NAMED, str(data / PASS))
        with Client.connect() as client:
            assert client.ping().pid == local.pid
            assert isinstance(list(client.request(song("from-afar", data)))[-1], Done)


def silent(endpoint: Endpoint, frames: list[bytes], seconds: float = 0.7) -> bool:
    """Whether nobody answers those frames."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        link = context.socket(zmq.DEALER)
        link.setsockopt(zmq.LINGER, 0)
        if endpoint.curve is not None:
            link.setsockopt(zmq.CURVE_SERVERKEY, endpoint.curve.server.encode())
            link.setsockopt(zmq.CURVE_PUBLICKEY, endpoint.curve.public.encode())
            link.setsockopt(zmq.CURVE_SECRETKEY, endpoint.curve.secret.encode())
        link.connect(f"tcp://{endpoint.address}:{endpoint.ports.zmq}")
        link.send_multipart(frames)
        return not link.poll(int(1000 * seconds))
    finally:
        context.destroy(linger=0)


def test_without_the_right_keys_nobody_answers(lan: tuple[Endpoint, Endpoint, Path]) -> None:
    local, given, data = lan
    ping = [FRAME, given.token.encode(), encode(Ping())]
    assert not silent(given, ping, 10.0)
    assert silent(msgspec.structs.replace(given, curve=None), ping)
    assert given.curve is not None
    public, secret = zmq.curve_keypair()
    stranger = ClientKeys(given.curve.server, public.decode(), secret.decode())
    assert silent(msgspec.structs.replace(given, curve=stranger), ping)
    assert "lan.key" in (data / "engine.log").read_text("utf-8")
    with Client(local) as client:
        assert client.ping().pid == local.pid


def test_the_local_token_does_not_open_the_lan_nor_the_other_way_round(lan: tuple[Endpoint, Endpoint, Path]) -> None:
    local, given, _ = lan
    for endpoint, token in ((given, local.token), (local, given.token)):
        with (
            pytest.raises(StembridgeError) as refused,
            Client(msgspec.structs.replace(endpoint, token=token)) as client,
        ):
            client.ping()
        assert refused.value.code == "token.wrong"


def test_nothing_readable_goes_over_the_wire(lan: tuple[Endpoint, Endpoint, Path]) -> None:
    """A listener between client and engine sees neither token nor request; on loopback, as a control, it sees both."""
    local, given, _ = lan
    for endpoint, seen in ((given, False), (local, True)):
        with Wiretap(endpoint.address, endpoint.ports.zmq) as tap:
            ports = msgspec.structs.replace(endpoint.ports, zmq=tap.port)
            with Client(msgspec.structs.replace(endpoint, address="127.0.0.1", ports=ports)) as client:
                client.ping()
            assert (endpoint.token.encode() in tap.heard) is seen
            assert (b"ping" in tap.heard) is seen
            assert tap.heard


class Wiretap:
    """Passes one TCP connection on and keeps what it hears."""

    def __init__(self, address: str, port: int) -> None:
        self._to = (address, port)
        self._ear = socket.create_server(("127.0.0.1", 0))
        self.port = self._ear.getsockname()[1]
        self.heard = b""

    def __enter__(self) -> Wiretap:
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ear.close()

    def _run(self) -> None:
        try:
            near, _ = self._ear.accept()
            far = socket.create_connection(self._to)
        except OSError:
            return
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65_536):
                self.heard += data
                other.sendall(data)
        except OSError:
            return


def test_only_loopback_and_the_named_address_are_bound(lan: tuple[Endpoint, Endpoint, Path]) -> None:
    """Read from the kernel's own table."""
    local, given, _ = lan
    inodes = {
        match[1]
        for entry in Path(f"/proc/{local.pid}/fd").iterdir()
        if (match := re.match(r"socket:\[(\d+)\]", os.readlink(entry)))
    }
    bound = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text("ascii").splitlines()[1:]:
            fields = line.split()
            listens = fields[3] == "0A" or table.startswith("udp")
            if fields[9] in inodes and listens:
                host, port = fields[1].split(":")
                bound.add((host, int(port, 16)))
    loopback, named = "0100007F", "0200007F"
    assert {port for host, port in bound if host == named} == {given.ports.zmq, given.ports.zmq_pub}
    assert {host for host, _ in bound} == {loopback, named}


def test_the_keys_stay_the_same_until_they_are_deleted(tmp_path: Path) -> None:
    keys = open_keys(tmp_path)
    assert open_keys(tmp_path) == keys
    (tmp_path / KEYS).unlink()
    assert open_keys(tmp_path).token != keys.token
    (tmp_path / KEYS).write_bytes(b"{")
    with pytest.raises(StembridgeError, match="keys"):
        open_keys(tmp_path)


@pytest.mark.parametrize("text", ["0.0.0.0", "example.org", "192.168.1.5:80", "192.168.1.5:x", "", "1.2.3", "::1"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(StembridgeError):
        text2address(text)


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StembridgeError) as refused, echo_engine(tmp_path, "--lan", "192.0.2.1:50000"):
        pass
    assert "192.0.2.1" in str(refused.value)


def test_a_pass_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pass.json").write_bytes(b"{}")
    monkeypatch.setenv(NAMED, str(tmp_path / "pass.json"))
    with pytest.raises(StembridgeError) as refused:
        Client.connect()
    assert refused.value.code == "lan.pass"


def test_the_engine_goes_on_at_home(lan: tuple[Endpoint, Endpoint, Path]) -> None:
    local, _, _ = lan
    with Client(local) as client:
        wait_for(lambda: client.ping().ready)
        assert client.ping().pid == local.pid
