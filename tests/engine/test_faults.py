"""What goes wrong around an engine: full disks, no memory, vanished files, rivals, updates. It lives and says so."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from bridge.client import Client, start_engine, stop_engine
from bridge.errors import StembridgeError
from bridge.messages import Accepted, Done, Event, Failed, Listen, Status, StemReady
from bridge.transport.endpoint import Endpoint, make_private
from engine.worker import is_out_of_memory
from tests.engine.rig import ECHO, own_places, song, wait_for, workers
from tests.engine.store.test_database import old_database

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of another process can only be set on Linux")


@contextmanager
def no_space(pid: int) -> Iterator[None]:
    """Every write of a process fails, as on a full disk: its files may have no byte."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def last(client: Client, name: str, root: Path, style: str = "") -> Event:
    return list(client.request(song(name, root, style)))[-1]


@linux
def test_a_full_disk_refuses_jobs_and_loses_none(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    gate = tmp_path / "go"
    following = client.request(song("under-way", tmp_path, f"hold={gate}"))
    next(event for event in following if isinstance(event, StemReady))
    with Client(endpoint) as other:
        with no_space(endpoint.pid):
            refused = last(other, "refused", tmp_path)
            assert isinstance(refused, Failed)
            assert (refused.code, refused.refused) == ("store.failed", True)
            assert "space" in refused.hint
            assert other.ping().ready
            gate.touch()
            rest = list(following)
            assert isinstance(rest[-1], Done)
        wait_for(lambda: isinstance(last(other, "refused", tmp_path), Done))
        os.kill(endpoint.pid, 9)
    wait_for(lambda: not psutil.pid_exists(endpoint.pid) or psutil.Process(endpoint.pid).status() == "zombie")
    start_engine(options=ECHO)
    with Client.connect() as again:
        assert [row.state for row in again.jobs().jobs] == ["done", "done"]
        events = list(again.request(Status("under-way")))
        assert [event.stem for event in events if isinstance(event, StemReady)] == ["drums", "bass", "keys"]
        assert events[-1] == rest[-1]


def test_an_engine_that_starts_on_a_full_disk_says_so_in_one_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(data)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        (data / "filler").write_bytes(bytes(60_000))
        with own_places(tmp_path):
            command = [sys.executable, "-m", "engine.process", *ECHO]
            ended = subprocess.run(command, capture_output=True, text=True)
    finally:
        subprocess.run(["umount", "-l", str(data)], check=True)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "cannot be opened" in line
    assert "Check that the disk has space" in line


@linux
def test_a_full_disk_under_the_worker_fails_the_job_alone(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    with contextlib.ExitStack() as full:
        for pid in workers(endpoint):
            full.enter_context(no_space(pid))
        failed = last(client, "full", tmp_path)
    assert isinstance(failed, Failed)
    assert failed.code in ("file.error", "disk.full")
    assert not list(tmp_path.rglob("*.wav"))
    assert isinstance(last(client, "after", tmp_path), Done)


@linux
def test_a_worker_without_memory_fails_the_job_alone(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    before = workers(endpoint)
    for pid in before:
        resource.prlimit(pid, resource.RLIMIT_AS, (psutil.Process(pid).memory_info().vms + (64 << 20), -1))
    failed = last(client, "hungry", tmp_path, "error=memory")
    assert isinstance(failed, Failed)
    assert failed.code == "memory.full"
    assert "fewer stems" in failed.hint
    assert isinstance(last(client, "modest", tmp_path), Done)
    assert workers(endpoint) == before


def test_what_torch_says_without_memory_is_understood() -> None:
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 46, dtype=torch.float32)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("can't start new thread"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def test_a_file_that_vanishes_while_its_job_waits_fails_that_job(client: Client, tmp_path: Path) -> None:
    gate, clip = tmp_path / "go", tmp_path / "clip.wav"
    clip.write_bytes(b"RIFF")
    assert isinstance(next(client.request(song("first", tmp_path, f"hold={gate}"))), Accepted)
    following = client.request(Listen("vanished", str(clip)))
    assert isinstance(next(following), Accepted)
    clip.unlink()
    gate.touch()
    failed = list(following)[-1]
    assert isinstance(failed, Failed)
    assert (failed.code, failed.field) == ("file.error", str(clip))
    assert "relink" in failed.hint


def test_two_engines_do_not_share_a_data_folder(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STEMBRIDGE_RUNTIME", str(tmp_path / "elsewhere"))
    with pytest.raises(StembridgeError, match="another engine works with this folder"):
        start_engine(options=ECHO)
    monkeypatch.undo()
    os.kill(endpoint.pid, 9)
    monkeypatch.setenv("STEMBRIDGE_RUNTIME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("STEMBRIDGE_DATA", str(tmp_path / "data"))
    wait_for(lambda: psutil.Process(endpoint.pid).status() == "zombie" if psutil.pid_exists(endpoint.pid) else True)
    assert start_engine(options=ECHO).pid != endpoint.pid
    stop_engine()


def test_jobs_that_wait_survive_an_update(tmp_path: Path) -> None:
    with own_places(tmp_path):
        database = old_database(make_private(tmp_path / "data") / "engine.sqlite", 1)
        request = song("waiting", tmp_path)
        database.execute(
            "UPDATE jobs SET request = ?, out = ?, kind = 'render auto auto' WHERE id = 'waiting'",
            (msgspec.json.encode(request), str(tmp_path / "stembridge" / "waiting")),
        )
        database.close()
        start_engine(options=ECHO)
        try:
            with Client.connect() as client:
                events = list(client.request(Status("waiting")))
                assert isinstance(events[-1], Done)
                assert Path(events[-1].manifests[0]).parent.name == "take-3"
                assert [row.state for row in client.jobs().jobs] == ["done", "done"]
        finally:
            stop_engine()
