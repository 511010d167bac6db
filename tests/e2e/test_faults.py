"""What goes wrong around the real pipeline: no memory, vanished files, SIGTERM, a clock set back, a newer database."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest
import soundfile

from bridge.arrangement import Reference
from bridge.client import Client, start_engine, stop_engine
from bridge.errors import StembridgeError
from bridge.messages import Accepted, Done, Failed, Progress, Render, Status, StemReady
from bridge.transport.endpoint import Endpoint
from tests.e2e.songs import eight_bars
from tests.engine.rig import ECHO, echo_engine, own_places, song, wait_for
from tests.patience import PATIENCE

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of another process can only be set on Linux")
SIGTERM_SECONDS = 5.0


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Endpoint, Path]]:
    with own_places(tmp_path_factory.mktemp("faults")) as folder:
        yield start_engine(), folder
        stop_engine()


def request(out: Path, job: str, **changes: Any) -> Render:
    """Eight bars of drums and bass; every job in a style of its own, so that nothing kept is used."""
    made = msgspec.convert(eight_bars(out, job=job), Render)
    stems = tuple(stem for stem in made.stems if stem.role in ("drums", "bass"))
    return msgspec.structs.replace(made, stems=stems, style=f"pop {job}", **changes)


def worker(endpoint: Endpoint) -> psutil.Process:
    return wait_for(lambda: psutil.Process(endpoint.pid).children())[0]


@linux
def test_a_render_without_memory_fails_alone_and_the_engine_renders_on(engine: tuple[Endpoint, Path]) -> None:
    endpoint, folder = engine
    with Client(endpoint) as client:
        client.models()
        process = worker(endpoint)
        long = request(folder / "out", "hungry")
        seconds = 300.0
        arrangement = msgspec.structs.replace(long.arrangement, clock=((0.0, 0.0), (32.0, seconds)), sample_rate=96_000)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (process.memory_info().vms + (16 << 20), -1))
        failed = list(client.request(msgspec.structs.replace(long, arrangement=arrangement)))[-1]
        assert isinstance(failed, Failed)
        assert failed.code == "memory.full", failed
        assert not failed.refused
        assert failed.hint
        assert not list((folder / "out").rglob("*.wav"))
        for child in psutil.Process(endpoint.pid).children():
            resource.prlimit(child.pid, resource.RLIMIT_AS, (-1, -1))
        assert isinstance(list(client.request(request(folder / "out", "modest")))[-1], Done)


def test_a_reference_that_vanishes_while_its_render_waits_fails_that_job(engine: tuple[Endpoint, Path]) -> None:
    endpoint, folder = engine
    clip = folder / "clip.wav"
    soundfile.write(clip, np.zeros((48_000, 2), np.float32), 48_000)
    with Client(endpoint) as client:
        made = request(folder / "out", "referred")
        arrangement = msgspec.structs.replace(made.arrangement, references=(Reference(str(clip)),))
        client.pause()
        following = client.request(msgspec.structs.replace(made, arrangement=arrangement))
        assert isinstance(next(following), Accepted)
        clip.unlink()
        client.resume()
        failed = list(following)[-1]
        assert isinstance(failed, Failed)
        assert (failed.code, failed.field) == ("file.error", str(clip))
        assert "relink" in failed.hint
        assert isinstance(list(client.request(request(folder / "out", "unreferred")))[-1], Done)


def test_sigterm_in_the_middle_of_a_render_parks_it_for_the_next_engine(engine: tuple[Endpoint, Path]) -> None:
    endpoint, folder = engine
    with Client(endpoint) as client:
        following = client.request(request(folder / "out", "broken-off"))
        next(event for event in following if isinstance(event, Progress))
        everyone = [psutil.Process(endpoint.pid), *psutil.Process(endpoint.pid).children()]
        began = time.monotonic()
        os.kill(endpoint.pid, signal.SIGTERM)
        left = psutil.wait_procs(everyone, timeout=PATIENCE)[1]
        took = time.monotonic() - began
    print(f"\nSIGTERM to the last process's end: {took:.2f} s (bound {SIGTERM_SECONDS:.0f} s)")
    assert not left
    start_engine()
    with Client.connect() as again:
        events = list(again.request(Status("broken-off")))
    assert isinstance(events[-1], Done)
    assert {event.stem for event in events if isinstance(event, StemReady)} == {"drums", "bass"}


def test_a_clock_that_is_set_back_changes_nothing(tmp_path: Path) -> None:
    """Python's wall clock jumps back by a year in every process of the engine, in the middle of a job and between."""
    back = tmp_path / "set-back"
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, time\n"
        "now, now_ns = time.time, time.time_ns\n"
        "YEAR = 365 * 86400\n"
        f"time.time = lambda: now() - YEAR * os.path.exists({str(back)!r})\n"
        f"time.time_ns = lambda: now_ns() - YEAR * 10**9 * os.path.exists({str(back)!r})\n"
    )
    before = os.environ.get("PYTHONPATH", "")
    gate = tmp_path / "go"
    with own_places(tmp_path):
        os.environ["PYTHONPATH"] = f"{site}{os.pathsep}{os.environ['PYTHONPATH']}"
        try:
            endpoint = start_engine(options=ECHO)
            with Client(endpoint) as client:
                assert isinstance(list(client.request(song("first", tmp_path)))[-1], Done)
                following = client.request(song("across", tmp_path, f"hold={gate}"))
                next(event for event in following if isinstance(event, StemReady))
                back.touch()
                for name in ("third", "fourth"):
                    assert isinstance(next(client.request(song(name, tmp_path))), Accepted)
                gate.touch()
                assert isinstance(list(following)[-1], Done)
                wait_for(lambda: all(row.state == "done" for row in client.jobs().jobs))
                assert [row.job for row in client.jobs().jobs] == ["first", "across", "third", "fourth"]
                assert client.ping().ready
            stop_engine()
            with Client(start_engine(options=ECHO)) as client:
                assert [row.job for row in client.jobs().jobs] == ["first", "across", "third", "fourth"]
                assert isinstance(list(client.request(song("fifth", tmp_path)))[-1], Done)
        finally:
            stop_engine()
            os.environ["PYTHONPATH"] = before
    orders = sqlite3.connect(tmp_path / "data" / "engine.sqlite")
    rows = orders.execute("SELECT id, ended FROM jobs ORDER BY number").fetchall()
    orders.close()
    assert [name for name, _ in rows] == ["first", "across", "third", "fourth", "fifth"]
    assert rows[0][1] > rows[1][1] + 300 * 86400, "the clock was not set back"


def test_an_engine_refuses_a_newer_one_s_database_and_leaves_it_alone(tmp_path: Path) -> None:
    with echo_engine(tmp_path) as endpoint, Client(endpoint) as client:
        assert isinstance(list(client.request(song("old", tmp_path)))[-1], Done)
    path = tmp_path / "data" / "engine.sqlite"
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with own_places(tmp_path):
        with pytest.raises(StembridgeError, match=r"a later stembridge has made the engine's database \(version 99"):
            start_engine(options=ECHO)
        database = sqlite3.connect(path)
        assert database.execute("PRAGMA user_version").fetchone() == (99,)
        assert database.execute("SELECT id, state FROM jobs").fetchall() == [("old", "done")]
        database.close()
