"""OSC on a real engine, with senders that are not ours: liblo's oscsend and oscdump, python-osc's clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pythonosc.tcp_client import SimpleTCPClient

from bridge.client import Client
from bridge.messages import Pong, encode
from bridge.transport import Outlet
from bridge.transport.endpoint import Endpoint
from bridge.transport.osc import OscServer
from bridge.transport.osc_packet import message2packet, packet2messages
from bridge.transport.osc_table import TABLE, osc_answers
from tests.engine.rig import echo_engine, song, wait_for
from tests.patience import PATIENCE
from tests.ports import free_port

V1 = "/stembridge/v1"
liblo = pytest.mark.skipif(
    not (shutil.which("oscsend") and shutil.which("oscdump")),
    reason="liblo's oscsend and oscdump are not installed (Debian: liblo-tools)",
)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with echo_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


class Udp:
    """One UDP socket: sends with tags of our choice, collects what comes."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(10)

    def raw(self, packet: bytes) -> None:
        self.socket.sendto(packet, ("127.0.0.1", self.endpoint.ports.osc_udp))

    def send(self, address: str, tags: str = "", *values: object) -> None:
        self.raw(message2packet(V1 + address, "s" + tags, [self.endpoint.token, *values]))

    def receive(self) -> tuple[str, list[Any]]:
        (message,) = packet2messages(self.socket.recv(65_536))
        return message.address.removeprefix(V1), message.values

    def until(self, *addresses: str) -> list[tuple[str, list[Any]]]:
        got = [self.receive()]
        while got[-1][0] not in addresses:
            got.append(self.receive())
        return got


@pytest.fixture
def udp(endpoint: Endpoint) -> Iterator[Udp]:
    made = Udp(endpoint)
    yield made
    made.socket.close()


def alive(endpoint: Endpoint) -> bool:
    with Client(endpoint) as client:
        return client.ping().ready


class Dump:
    """A running oscdump: its lines as they come."""

    def __init__(self) -> None:
        self.port = free_port()
        command = ["oscdump", "-L", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def wait(self, address: str) -> str:
        found = wait_for(lambda: [line for line in self.lines if f" {V1}{address} " in line])
        return str(found[0])


@pytest.fixture
def dump() -> Iterator[Dump]:
    made = Dump()
    yield made
    made.process.kill()
    made.process.wait()


def oscsend(endpoint: Endpoint, address: str, tags: str, *values: object, tcp: bool = False) -> None:
    port = endpoint.ports.osc_tcp if tcp else endpoint.ports.osc_udp
    url = f"osc.{'tcp' if tcp else 'udp'}://127.0.0.1:{port}"
    words = [str(value) for value in values]
    subprocess.run(["oscsend", url, V1 + address, "s" + tags, endpoint.token, *words], check=True, timeout=PATIENCE)


@liblo
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_liblo_pings(tcp: bool, endpoint: Endpoint, dump: Dump) -> None:
    def ponged() -> bool:
        oscsend(endpoint, "/ping", "i", dump.port, tcp=tcp)
        time.sleep(0.05)
        return any("/pong" in line for line in dump.lines)

    wait_for(ponged)
    assert '"0.1.0" 1 0' in dump.wait("/pong")


@liblo
def test_liblo_writes_a_draft_and_renders_it(endpoint: Endpoint, dump: Dump, tmp_path: Path) -> None:
    def ready() -> bool:
        oscsend(endpoint, "/ping", "i", dump.port)
        time.sleep(0.05)
        return bool(dump.lines)

    wait_for(ready)
    for address, tags, *values in (
        ("/draft/new", "si", "liblo-1", dump.port),
        ("/draft/project", "ss", "Footswitch", tmp_path),
        ("/draft/rate", "i", 8000),
        ("/draft/tempo", "ff", 0, 120),
        ("/draft/tempo", "df", 8.0, 90),
        ("/draft/metre", "fii", 0, 4, 4),
        ("/draft/key", "fss", 0, "A", "minor"),
        ("/draft/section", "ssffd", "Verse", "verse", 0, 16, 0.5),
        ("/draft/stem", "s", "drums"),
        ("/draft/stem", "s", "bass"),
        ("/draft/style", "s", "steps=40 pause=0.01"),
        ("/draft/seed", "h", 7),
        ("/render", "s", "liblo-1"),
    ):
        oscsend(endpoint, str(address), str(tags), *values)
    done = dump.wait("/done")
    manifest = tmp_path / "stembridge" / "liblo-1" / "take-1" / "manifest.json"
    assert str(manifest) in done.replace("\\", "")
    assert manifest.is_file()
    order = [line.split()[1].removeprefix(V1) for line in dump.lines if "liblo-1" in line]
    assert order[0] == "/accepted"
    assert order[1] == "/progress"
    assert order.count("/stem") == 2
    assert order[-1] == "/done"
    oscsend(endpoint, "/render", "s", "liblo-1")
    assert len(list((tmp_path / "stembridge" / "liblo-1").iterdir())) == 1


def test_json_by_udp_to_the_sender(udp: Udp, tmp_path: Path) -> None:
    udp.send("/request", "s", encode(song("udp-json", tmp_path)).decode())
    got = udp.until("/done", "/failed")
    assert [address for address, _ in got if address != "/progress"] == [
        "/accepted",
        "/stem",
        "/stem",
        "/stem",
        "/done",
    ]
    assert got[0][1][:2] == ["udp-json", 0]
    stem = json.loads(next(values for address, values in got if address == "/stem")[1])
    assert (stem["stem"], stem["start_sample"]) == ("drums", 0)
    manifests = json.loads(got[-1][1][1])["manifests"]
    assert Path(manifests[0]).is_file()


def test_a_large_request_by_file(udp: Udp, tmp_path: Path) -> None:
    clock = tuple((beat / 4, beat / 8) for beat in range(2000))
    request = song("by-file", tmp_path)
    arrangement = msgspec.structs.replace(request.arrangement, clock=clock)
    path = tmp_path / "request.json"
    path.write_bytes(encode(msgspec.structs.replace(request, arrangement=arrangement)))
    assert path.stat().st_size > 8192
    udp.send("/request_file", "s", str(path))
    assert udp.until("/done", "/failed")[-1][0] == "/done"
    (tmp_path / "request.txt").write_bytes(path.read_bytes())
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    for bad in (
        str(tmp_path / "loop.json"),
        "/etc/passwd",
        "/etc/hosts.json",
        str(tmp_path / "gone.json"),
        str(tmp_path / "request.txt"),
        "x.json",
        "/",
    ):
        udp.send("/request_file", "s", bad)
        address, values = udp.receive()
        assert (address, values[1].startswith("path.")) == ("/failed", True)


def test_a_large_udp_message_is_taken_whole(udp: Udp, tmp_path: Path) -> None:
    style = "word " * 380
    request = song("large-udp", tmp_path, style)
    text = encode(request).decode()
    udp.send("/request", "s", " " * 40_000 + text)
    assert udp.until("/done", "/failed")[-1][0] == "/done"


def test_replies_go_to_the_port_that_is_named(udp: Udp, endpoint: Endpoint, tmp_path: Path) -> None:
    ear = Udp(endpoint)
    port = ear.socket.getsockname()[1]
    udp.send("/ping", "i", port)
    assert ear.receive()[0] == "/pong"
    udp.send("/reply_port", "i", port)
    udp.send("/ping")
    assert ear.receive()[0] == "/pong"
    udp.send("/nonsense")
    assert ear.receive()[0] == "/error"
    udp.send("/request", "s", encode(song("named-port", tmp_path)).decode())
    assert ear.until("/done")[0][0] == "/accepted"
    for wrong in (0, 70_000, -1):
        udp.send("/ping", "i", wrong)
        assert ear.receive()[1][1] == "osc.port"
    ear.socket.close()


def test_cancel_status_jobs_models_listen_and_help(udp: Udp, tmp_path: Path) -> None:
    udp.send("/request", "s", encode(song("osc-long", tmp_path, "steps=3000 pause=0.01")).decode())
    udp.until("/progress")
    udp.send("/status", "s", "osc-long")
    assert udp.until("/accepted")[-1][1][0] == "osc-long"
    udp.send("/jobs")
    rows = json.loads(udp.until("/job_list")[-1][1][0])["jobs"]
    assert ("osc-long", "running") in [(row["job"], row["state"]) for row in rows]
    udp.send("/cancel", "s", "osc-long")
    assert udp.until("/cancelled")[-1][1] == ["osc-long"]
    udp.send("/models")
    assert json.loads(udp.until("/model_list")[-1][1][0])["models"][0]["name"] == "echo"
    clip = tmp_path / "clip.wav"
    clip.write_bytes(b"RIFF")
    udp.send("/listen", "ss", "osc-listen", str(clip))
    assert json.loads(udp.until("/heard", "/failed")[-1][1][1])["result"] == {"bytes": 4}
    udp.send("/cancel", "s", "nobody")
    assert udp.until("/failed")[-1][1][:2] == ["nobody", "job.unknown"]
    udp.send("/render", "s", "nobody")
    assert udp.until("/failed")[-1][1][:2] == ["nobody", "job.unknown"]
    udp.send("/help")
    helped = [udp.receive()[1][0] for _ in TABLE]
    assert helped == [row.address for row in TABLE]


def test_the_queue_is_changed(udp: Udp, tmp_path: Path) -> None:
    udp.send("/pause", "s", "")
    assert json.loads(udp.until("/job_list")[-1][1][0])["paused"] is True
    for job in ("osc-a", "osc-b"):
        udp.send("/request", "s", encode(song(job, tmp_path)).decode())
        udp.until("/accepted")
    udp.send("/move", "si", "osc-b", 0)
    assert udp.until("/accepted")[-1][1][:2] == ["osc-b", 0]
    udp.send("/pause", "s", "osc-a")
    assert udp.until("/progress")[-1][1][:2] == ["osc-a", "paused"]
    udp.send("/resume", "s", "osc-a")
    assert udp.until("/accepted")[-1][1][:2] == ["osc-a", 1]
    udp.send("/resume")
    assert json.loads(udp.until("/job_list")[-1][1][0])["paused"] is False
    assert [udp.until("/done")[-1][1][0] for _ in range(2)] == ["osc-b", "osc-a"]


def test_notes_of_a_job_are_told(udp: Udp, endpoint: Endpoint, tmp_path: Path) -> None:
    udp.send("/request", "s", encode(song("noted", tmp_path, "crash=once")).decode())
    got = udp.until("/done", "/failed")
    assert any(address == "/note" and "tried again" in values[1] for address, values in got)
    assert got[-1][0] == "/done"


def test_wrong_arguments_are_answered_with_what_is_expected(udp: Udp) -> None:
    udp.send("/draft/new", "s", "typed")
    udp.send("/draft/tempo", "ss", "0", "120")
    address, (where, code, message, hint) = udp.receive()
    assert (address, where, code) == ("/error", f"{V1}/draft/tempo", "osc.arguments")
    assert "argument 2 (beat) must be a number" in message
    assert "beat:i|h|f|d bpm:i|h|f|d" in hint
    udp.send("/draft/clock", "df", 0.0, 0.0)
    assert "float64" in udp.receive()[1][2]
    udp.send("/no/such")
    assert udp.receive()[1][1] == "osc.address"


def test_a_refused_draft_names_the_field(udp: Udp, tmp_path: Path) -> None:
    udp.send("/draft/new", "s", "bad-draft")
    udp.send("/render", "s", "bad-draft")
    address, values = udp.receive()
    assert (address, values[1]) == ("/error", "draft.clock")
    udp.send("/draft/tempo", "ff", 0.0, 120.0)
    udp.send("/draft/project", "ss", "x", str(tmp_path))
    udp.send("/draft/section", "ssff", "A", "nonsense", 0.0, 8.0)
    udp.send("/render", "s", "bad-draft")
    address, values = udp.receive()
    assert (address, values[0], values[1]) == ("/failed", "bad-draft", "section.label")
    assert values[2].startswith("arrangement.sections[0].label: ")
    udp.send("/draft/drop", "s", "bad-draft")
    udp.send("/draft/seed", "i", 1)
    assert udp.receive()[1][1] == "draft.none"


@pytest.mark.parametrize("values", [[], ["wrong"], [5], [None], [True]])
def test_a_wrong_token_is_refused(values: list[Any], udp: Udp, endpoint: Endpoint) -> None:
    tags = "".join({str: "s", int: "i", type(None): "N", bool: "T"}[type(value)] for value in values)
    for address in ("/ping", "/draft/new", "/nonsense"):
        udp.raw(message2packet(V1 + address, tags, values))
        assert udp.receive()[1][1] == "token.wrong"
    assert alive(endpoint)


class CountingServer(OscServer):
    """Counts the packets that come."""

    came = 0

    def datagram(self, packet: bytes, port: int) -> None:
        self.came += 1
        super().datagram(packet, port)


class PongDesk:
    """Answers everything with a pong."""

    def receive(self, raw: bytes, outlet: Outlet) -> None:
        outlet.send(Pong("0.1.0", 1, True, 0))

    def receive_file(self, path: str, outlet: Outlet) -> None:
        raise AssertionError(path)


def test_the_engine_never_talks_to_itself_or_to_its_like() -> None:
    """An answer sent to an engine's port must not be answered in turn, for ever."""

    async def talk() -> tuple[int, int]:
        one, two = CountingServer(PongDesk(), "one"), CountingServer(PongDesk(), "two")
        await one.open()
        await two.open()
        for port in (one.udp_port, two.udp_port):
            for address in ("/ping", "/help"):
                one.datagram(message2packet(V1 + address, "si", ["one", port]), 1)
        await asyncio.sleep(0.3)
        await one.close()
        await two.close()
        return one.came, two.came

    sent_by_test, pongs, helps = 4, 1, len(TABLE)
    came = asyncio.run(talk())
    assert came[0] <= sent_by_test + pongs + helps + helps
    assert came[1] == pongs + helps


def test_answers_are_ignored_when_they_come_back(udp: Udp) -> None:
    for answer in osc_answers():
        udp.raw(message2packet(answer.address, "s", ["x"]))
    udp.send("/ping")
    assert [udp.receive()[0] for _ in range(2)] == ["/error", "/pong"]


def test_hostile_datagrams_do_no_harm(udp: Udp, endpoint: Endpoint) -> None:
    whole = message2packet(f"{V1}/draft/section", "sssff", [endpoint.token, "A", "verse", 0.0, 8.0])
    for cut in range(0, len(whole), 3):
        udp.raw(whole[:cut])
    udp.raw(b"#bundle\0" + bytes(8) + b"\xff\xff\xff\xfc")
    udp.raw(b"\xff" * 60_000)
    udp.raw(b"/" + b"a" * 65_000 + b"\0\0\0")
    for text in ("[" * 30_000, '{"type":"render","job":"' + "x" * 30_000, "\u2028" * 9000):
        udp.send("/request", "s", text)
    assert alive(endpoint)


def test_tcp_with_slip(endpoint: Endpoint, tmp_path: Path) -> None:
    client = SimpleTCPClient("127.0.0.1", endpoint.ports.osc_tcp, mode="1.1")
    client.send_message(f"{V1}/request", [endpoint.token, encode(song("tcp", tmp_path)).decode()])
    got: list[str] = []
    deadline = time.monotonic() + PATIENCE
    while f"{V1}/done" not in got and time.monotonic() < deadline:
        got += [message.address for packet in client.receive(1) for message in packet2messages(packet)]
    client.close()
    assert got[0] == f"{V1}/accepted"
    assert got[-1] == f"{V1}/done"


def test_hostile_tcp_does_no_harm(endpoint: Endpoint) -> None:
    for data in (
        b"",
        b"\xc0" * 100_000,
        b"\xc0\xdb\xdb\xc0",
        b"\0\0\0\0",
        b"\x7f" * 500_000,
        b"\xc0/a\0\0,s\0\0abc\xc0",
    ):
        connection = socket.create_connection(("127.0.0.1", endpoint.ports.osc_tcp))
        with connection, contextlib.suppress(ConnectionError):
            connection.sendall(data)
    open_ones = [socket.create_connection(("127.0.0.1", endpoint.ports.osc_tcp)) for _ in range(50)]
    assert alive(endpoint)
    for connection in open_ones:
        connection.close()
    assert alive(endpoint)
