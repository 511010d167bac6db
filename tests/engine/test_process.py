"""The engine as processes: one at a time, ready soon, gone without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bridge.client import Client, engine_status, find_engine, start_engine, stop_engine
from bridge.errors import StembridgeError
from bridge.messages import Cancelled, Done, Failed, StemReady
from bridge.transport.endpoint import Endpoint, Ports, is_locked, read_endpoint, write_endpoint
from tests.engine.rig import ECHO, own_places, song, wait_for
from tests.patience import PATIENCE


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Path]:
    with own_places(tmp_path):
        yield tmp_path


def family(pid: int) -> list[psutil.Process]:
    front = psutil.Process(pid)
    return [front, *front.children(recursive=True)]


def test_starts_answers_and_ends_without_a_trace(places: Path) -> None:
    began = time.monotonic()
    endpoint = start_engine(options=ECHO, wait_for_models=False)
    answers = time.monotonic() - began
    print(f"\nthe front answers {answers * 1000:.0f} ms after its start")
    status = engine_status()
    assert status is not None
    assert status.pid == endpoint.pid
    wait_for(lambda: (pong := engine_status()) and pong.ready)
    everyone = family(endpoint.pid)
    assert len(everyone) == 2
    assert stop_engine()
    _, alive = psutil.wait_procs(everyone, timeout=PATIENCE)
    assert not alive
    assert read_endpoint() is None
    assert not (places / "data" / "mailbox" / "engine.json").exists()
    assert engine_status() is None
    assert not stop_engine()


def test_the_front_never_loads_what_is_heavy() -> None:
    heavy = "('torch', 'numpy', 'scipy', 'soundfile', 'mido')"
    code = f"import sys, engine.process; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_importing_the_client_loads_no_sockets() -> None:
    code = "import sys, bridge.client; print([m for m in ('zmq', 'asyncio', 'numpy', 'pythonosc') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_second_engine_is_refused(endpoint: Endpoint) -> None:
    with pytest.raises(StembridgeError, match=f"runs already \\(process {endpoint.pid}\\)") as caught:
        start_engine(options=ECHO)
    assert caught.value.code == "engine.running"
    assert read_endpoint() == endpoint
    assert find_engine() == endpoint


def test_of_engines_started_at_once_one_lives(places: Path) -> None:
    command = [sys.executable, "-m", "engine.process", *ECHO]
    started = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(4)]
    endpoint = wait_for(find_engine)
    wait_for(lambda: sum(process.poll() is None for process in started) == 1)
    codes = sorted(process.poll() for process in started if process.pid != endpoint.pid)
    assert codes == [4, 4, 4]
    stop_engine()
    assert next(p for p in started if p.pid == endpoint.pid).wait(PATIENCE) == 0


def test_clients_that_both_start_an_engine_share_it(endpoint: Endpoint) -> None:
    with Client.connect(start=True) as one, Client.connect(start=True) as two:
        assert one.ping().pid == two.ping().pid == endpoint.pid


@pytest.mark.parametrize("pid", ["dead", "alive but no engine"])
def test_a_stale_endpoint_is_recognised_and_replaced(pid: str, places: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    stale = Endpoint(dead.pid if pid == "dead" else os.getpid(), "0.0.1", 1, "old", Ports(9, 9, 9, 9), "", "")
    write_endpoint(stale)
    assert not is_locked()
    assert find_engine() is None
    with pytest.raises(StembridgeError, match="no engine runs"):
        Client.connect()
    assert not stop_engine()
    fresh = start_engine(options=ECHO)
    assert find_engine() == fresh
    assert fresh.token != "old"
    stop_engine()


def test_a_killed_front_leaves_no_worker_and_can_be_replaced(endpoint: Endpoint) -> None:
    everyone = family(endpoint.pid)
    os.kill(endpoint.pid, signal.SIGKILL)
    assert not psutil.wait_procs(everyone, timeout=PATIENCE)[1]
    assert find_engine() is None
    assert start_engine(options=ECHO).pid != endpoint.pid


def test_a_client_notices_a_killed_engine(endpoint: Endpoint, tmp_path: Path) -> None:
    with Client(endpoint) as client:
        events = client.request(song("long", tmp_path, "steps=2000 pause=0.05"))
        next(events)
        os.kill(endpoint.pid, signal.SIGKILL)
        began = time.monotonic()
        with pytest.raises(StembridgeError, match="does not answer any more") as caught:
            list(events)
        print(f"\na dead engine is noticed after {time.monotonic() - began:.1f} s")
    assert caught.value.code == "engine.lost"


def test_a_client_notices_an_engine_that_hangs(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.client.LOST_AFTER", 2.0)
    os.kill(endpoint.pid, signal.SIGSTOP)
    try:
        with Client(endpoint) as client:
            began = time.monotonic()
            with pytest.raises(StembridgeError, match="does not answer any more"):
                list(client.request(song("hung", tmp_path)))
            print(f"\na hanging engine is noticed after {time.monotonic() - began:.1f} s")
    finally:
        os.kill(endpoint.pid, signal.SIGCONT)


def test_an_engine_that_hangs_is_killed(endpoint: Endpoint) -> None:
    everyone = family(endpoint.pid)
    os.kill(endpoint.pid, signal.SIGSTOP)
    assert stop_engine(timeout=1.0)
    assert not psutil.wait_procs(everyone, timeout=PATIENCE)[1]
    assert engine_status() is None


def test_an_engine_that_loads_too_long_is_ended(places: Path) -> None:
    with pytest.raises(StembridgeError, match="not ready within") as caught:
        start_engine(options=("--pipeline", "tests.engine.fakes:SlowPipeline"), timeout=2.0)
    assert caught.value.code == "engine.slow"
    assert not is_locked()


def test_sigterm_lets_the_jobs_wait_for_the_next_engine(endpoint: Endpoint, tmp_path: Path) -> None:
    everyone, gate = family(endpoint.pid), tmp_path / "go"
    requests = [song("running", tmp_path, f"hold={gate}"), song("queued", tmp_path)]
    with Client(endpoint) as client, Client(endpoint) as other:
        running, queued = client.request(requests[0]), other.request(requests[1])
        next(event for event in running if isinstance(event, StemReady))
        next(queued)
        began = time.monotonic()
        os.kill(endpoint.pid, signal.SIGTERM)
        with pytest.raises(StembridgeError, match="does not answer any more"):
            list(running)
    assert not psutil.wait_procs(everyone, timeout=PATIENCE)[1]
    took = time.monotonic() - began
    print(f"\nSIGTERM with a running job: gone after {took:.2f} s (bound 5 s)")
    assert read_endpoint() is None
    gate.touch()
    start_engine(options=ECHO)
    with Client.connect() as client:
        for request in requests:
            assert isinstance(list(client.request(request))[-1], Done)
        assert {row.job: row.state for row in client.jobs().jobs} == {"running": "done", "queued": "done"}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to look at open files")
def test_the_worker_inherits_no_socket_and_no_lock(endpoint: Endpoint) -> None:
    worker = family(endpoint.pid)[1]
    links = [os.readlink(link) for link in Path(f"/proc/{worker.pid}/fd").iterdir()]
    assert links
    assert not [link for link in links if link.startswith("socket:") or "engine.lock" in link or "eventpoll" in link]


def test_only_loopback_is_bound(endpoint: Endpoint) -> None:
    bound = [c.laddr for c in psutil.Process(endpoint.pid).net_connections() if c.status in ("LISTEN", "NONE")]
    assert {address.ip for address in bound} == {"127.0.0.1"}
    ports = endpoint.ports
    assert {address.port for address in bound} >= {ports.zmq, ports.zmq_pub, ports.osc_udp, ports.osc_tcp}


def test_a_worker_that_cannot_load_says_why(places: Path) -> None:
    broken = ("--pipeline", "tests.engine.fakes:UnloadablePipeline")
    with pytest.raises(StembridgeError, match="the weights are not there") as caught:
        start_engine(options=broken)
    assert caught.value.code == "weights.missing"
    assert not is_locked()
    start_engine(options=broken, wait_for_models=False)
    with Client.connect() as client:
        for name in ("one", "two"):
            last = list(client.request(song(name, places)))[-1]
            assert isinstance(last, Failed)
            assert (last.code, last.job, last.hint) == ("weights.missing", name, "Install them.")
    stop_engine()


def test_a_worker_that_dies_while_loading_is_tried_again(places: Path) -> None:
    start_engine(options=("--pipeline", "tests.engine.fakes:FaintingPipeline"))
    assert len(list((places / "data").glob("fainted-*"))) == 2
    stop_engine()


def test_sigterm_with_a_deaf_worker(endpoint: Endpoint, tmp_path: Path) -> None:
    everyone = family(endpoint.pid)
    with Client(endpoint) as client:
        client.send(song("deaf", tmp_path, "deaf steps=3000 pause=0.01"))
        wait_for(lambda: list(tmp_path.rglob("take-1")))
        os.kill(endpoint.pid, signal.SIGTERM)
        assert not psutil.wait_procs(everyone, timeout=PATIENCE)[1]
    start_engine(options=ECHO)
    with Client.connect() as client:
        assert [row.job for row in client.jobs().jobs] == ["deaf"]
        assert client.cancel("deaf") == Cancelled("deaf")
    assert not list(tmp_path.rglob("*.wav"))


def test_a_taken_port_is_an_error_for_people(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> None:
    with own_places(tmp_path_factory.mktemp("other")):
        for option, port in (("--osc-port", endpoint.ports.osc_udp), ("--zmq-port", endpoint.ports.zmq)):
            with pytest.raises(StembridgeError, match=f"port {port} cannot be used"):
                start_engine(options=(*ECHO, option, str(port)))
        assert not is_locked()
