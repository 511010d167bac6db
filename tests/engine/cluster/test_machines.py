"""The real pipeline on a cluster of two machines (two Ray nodes): both play stems, and nothing else changes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from bridge.client import Client, start_engine, stop_engine
from bridge.messages import Done, Event, Render, StemReady, decode_shape
from bridge.transport.endpoint import Endpoint
from tests.e2e.songs import eight_bars
from tests.engine.rig import own_places, wait_for

GIB = 1 << 30


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Two machines; the second has room for one worker."""
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": GIB // 8, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "memory": 4 * GIB, **small})
    cluster.add_node(num_cpus=1, memory=3 * GIB, object_store_memory=GIB // 8)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture(scope="module")
def endpoint(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An engine with one worker on the first machine."""
    with own_places(tmp_path_factory.mktemp("cluster")):
        yield start_engine(options=["--ray", address, "--actors", "1", "--stages-gib", "0"])
        stop_engine()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one worker process makes of the same request."""
    folder = tmp_path_factory.mktemp("alone")
    with own_places(folder):
        start_engine()
        try:
            with Client.connect() as client:
                return sounds(list(client.request(request(folder, "alone"))))
        finally:
            stop_engine()


def request(folder: Path, job: str, **changes: Any) -> Render:
    wanted = decode_shape(msgspec.json.encode(eight_bars(folder, **{"job": job, **changes})))
    assert isinstance(wanted, Render)
    return wanted


def sounds(events: list[Event]) -> dict[str, bytes]:
    """The stems' files of a job that is done, without what names the job (the mix and the MIDI follow from them)."""
    assert isinstance(events[-1], Done), events[-1]
    ready = [event for event in events if isinstance(event, StemReady)]
    return {event.stem: samples(Path(event.wav)) for event in ready}


def samples(path: Path) -> bytes:
    import soundfile

    audio, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return bytes(audio.tobytes())


def helper() -> int:
    """The process of the second machine's worker; 0 for none."""
    actors = [p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [""])[0].startswith("ray::HelperA")]
    return actors[0].pid if actors else 0


def log(endpoint: Endpoint) -> str:
    return Path(endpoint.log).read_text()


def test_stems_are_played_on_both_machines_and_are_the_same(
    endpoint: Endpoint, alone: dict[str, bytes], tmp_path: Path
) -> None:
    wait_for(lambda: "helps with 1 workers" in log(endpoint))
    with Client(endpoint) as client:
        first = sounds(list(client.request(request(tmp_path, "first"))))
        assert first == alone
        played = wait_for(lambda: [words for words in alone if f"{words} was played by helper-" in log(endpoint)])
        print(f"\nplayed by the other machine: {', '.join(played)}")
        assert len(played) < len(alone)


def test_a_helper_that_dies_costs_nothing_but_time_and_comes_back(
    endpoint: Endpoint, alone: dict[str, bytes], tmp_path: Path
) -> None:
    with Client(endpoint) as client:
        following = client.request(request(tmp_path, "bereft"))
        before = wait_for(helper)
        events = [next(following)]
        while not isinstance(events[-1], StemReady):
            events.append(next(following))
            if "guide" in getattr(events[-1], "stage", ""):
                break
        os.kill(before, signal.SIGKILL)
        assert sounds([*events, *following]) == alone
        assert wait_for(lambda: helper() not in (0, before))
        known = log(endpoint).count("was played by helper-")
        for attempt in range(5):
            assert sounds(list(client.request(request(tmp_path, f"again-{attempt}")))) == alone
            if log(endpoint).count("was played by helper-") > known:
                return
    raise AssertionError("the helper that Ray has started again is not asked")
