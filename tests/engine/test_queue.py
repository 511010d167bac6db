"""The queue of a real engine: turns, classes, pausing, moving, parking, limits; and all of it after a restart."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import psutil
import pytest

from bridge.cli import main
from bridge.client import Client, start_engine
from bridge.messages import (
    Accepted,
    Cancel,
    Cancelled,
    Done,
    Failed,
    JobList,
    JobRow,
    Pause,
    Progress,
    Render,
    Status,
    StemReady,
)
from bridge.transport.endpoint import Endpoint, read_endpoint
from engine.runner import MAX_HALTS
from tests.engine.rig import ECHO, echo_engine, song, wait_for
from tests.patience import PATIENCE


def named_client(endpoint: Endpoint, name: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("bridge.client.new_identity", lambda: f"{name}/{os.urandom(8).hex()}".encode())
    return Client(endpoint)


def rows(client: Client) -> dict[str, JobRow]:
    return {row.job: row for row in client.jobs().jobs}


def put(client: Client, request: Render) -> None:
    assert isinstance(next(client.request(request)), Accepted)


def queue(client: Client) -> list[str]:
    waiting = [row for row in client.jobs().jobs if row.state == "queued"]
    return [row.job for row in sorted(waiting, key=lambda row: row.position)]


def kill_front(endpoint: Endpoint) -> Endpoint:
    """Kills the engine as it stands and starts another one."""
    everyone = [psutil.Process(endpoint.pid), *psutil.Process(endpoint.pid).children()]
    os.kill(endpoint.pid, signal.SIGKILL)
    assert not psutil.wait_procs(everyone, timeout=PATIENCE)[1]
    return start_engine(options=ECHO)


def test_clients_take_turns_and_batch_waits(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "go"
    with named_client(endpoint, "one", monkeypatch) as one, named_client(endpoint, "two", monkeypatch) as two:
        put(one, song("first", tmp_path, f"hold={gate}"))
        for i in range(3):
            put(one, song(f"one-{i}", tmp_path))
        put(two, song("two-batch", tmp_path, priority="batch"))
        put(two, song("two-0", tmp_path))
        with named_client(endpoint, "two", monkeypatch) as again:
            put(again, song("two-1", tmp_path))
        expected = ["two-0", "one-0", "two-1", "one-1", "one-2", "two-batch"]
        assert queue(one) == expected
        told = [next(one.request(Status(name))) for name in expected]
        assert [event.position for event in told if isinstance(event, Accepted)] == list(range(6))
        gate.touch()
        wait_for(lambda: all(row.state == "done" for row in rows(one).values()))
    manifests = [(tmp_path / "stembridge" / name / "take-1" / "manifest.json").stat().st_mtime_ns for name in expected]
    assert manifests == sorted(manifests)


def test_a_moved_job_goes_where_it_is_put_and_stays_there_after_a_kill(
    client: Client, endpoint: Endpoint, tmp_path: Path
) -> None:
    gate = tmp_path / "go"
    put(client, song("first", tmp_path, f"hold={gate}"))
    for name in ("a", "b", "c", "d"):
        put(client, song(name, tmp_path))
    assert client.move("d") == Accepted("d", 0, None)
    assert client.move("a", 2) == Accepted("a", 2, None)
    assert client.move("b", 99) == Accepted("b", 3, None)
    assert queue(client) == ["d", "a", "c", "b"]
    refused = client.move("first")
    assert isinstance(refused, Failed)
    assert (refused.code, refused.refused) == ("job.not_waiting", True)
    with Client(kill_front(endpoint)) as other:
        assert queue(other) in (["d", "a", "c", "b"], ["first", "d", "a", "c", "b"])
        gate.touch()
        wait_for(lambda: all(row.state == "done" for row in rows(other).values()))


def test_a_waiting_job_is_paused_and_resumed(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    gate = tmp_path / "go"
    put(client, song("first", tmp_path, f"hold={gate}"))
    put(client, song("a", tmp_path))
    put(client, song("b", tmp_path))
    told = client.pause("a")
    assert isinstance(told, Progress)
    assert told.stage == "paused"
    assert (rows(client)["a"].state, queue(client)) == ("paused", ["b"])
    gate.touch()
    wait_for(lambda: rows(client)["b"].state == "done")
    with Client(kill_front(endpoint)) as other:
        assert rows(other)["a"].state == "paused"
        resumed = other.resume("a")
        assert isinstance(resumed, Accepted)
        assert resumed.position == 0
        wait_for(lambda: rows(other)["a"].state == "done")
        assert isinstance(list(other.request(Status("a")))[-1], Done)


def test_a_worker_hears_of_a_coming_job_that_comes_no_longer(client: Client, tmp_path: Path) -> None:
    gate, company = tmp_path / "go", tmp_path / "company"
    company.touch()
    client.pause()
    put(client, song("first", tmp_path, f"hold={gate} company={company}"))
    for name in ("a", "b", "c"):
        put(client, song(name, tmp_path))
    client.resume()
    wait_for(lambda: company.read_text() == "a b c")
    client.pause("a")
    wait_for(lambda: company.read_text() == "b c")
    assert client.cancel("b") == Cancelled("b")
    wait_for(lambda: company.read_text() == "c")
    gate.touch()
    client.resume("a")
    wait_for(lambda: all(row.state in ("done", "cancelled") for row in rows(client).values()))
    assert [name for name, row in rows(client).items() if row.state == "cancelled"] == ["b"]


def test_a_running_job_is_paused_and_frees_the_worker(client: Client, tmp_path: Path) -> None:
    following = client.request(song("long", tmp_path, "steps=300 pause=0.01"))
    next(event for event in following if isinstance(event, Progress))
    began = time.monotonic()
    client.send(Pause("long"))
    told = next(event for event in following if isinstance(event, Progress) and event.stage == "paused")
    print(f"\npausing a running job: {(time.monotonic() - began) * 1000:.0f} ms")
    assert told.job == "long"
    with Client(client.endpoint) as other:
        assert isinstance(list(other.request(song("between", tmp_path)))[-1], Done)
        assert rows(other)["long"].state == "paused"
        assert (tmp_path / "stembridge" / "long" / "take-1").is_dir()
        put_again = other.resume("long")
    assert isinstance(put_again, Accepted)
    assert isinstance(list(following)[-1], Done)


def test_a_paused_job_can_be_cancelled(client: Client, tmp_path: Path) -> None:
    following = client.request(song("given-up", tmp_path, "steps=300 pause=0.01"))
    next(event for event in following if isinstance(event, Progress))
    client.send(Pause("given-up"))
    next(event for event in following if isinstance(event, Progress) and event.stage == "paused")
    assert client.cancel("given-up") == Cancelled("given-up")
    assert not list(tmp_path.rglob("take-*"))


def test_the_whole_queue_is_held_also_after_a_kill(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    held = client.pause()
    assert isinstance(held, JobList)
    assert held.paused
    put(client, song("a", tmp_path))
    with Client(kill_front(endpoint)) as other:
        other.models()
        assert other.jobs().paused
        assert rows(other)["a"].state == "queued"
        going = other.resume()
        assert isinstance(going, JobList)
        assert not going.paused
        wait_for(lambda: rows(other)["a"].state == "done")


def test_a_poison_job_is_parked_with_its_log_and_runs_again_when_asked(client: Client, tmp_path: Path) -> None:
    gate = tmp_path / "cured"
    last = list(client.request(song("poison", tmp_path, f"noise crash=until cure={gate}")))[-1]
    assert isinstance(last, Failed)
    assert last.code == "worker.crashed"
    assert "--resume poison" in last.hint
    log = tmp_path / "data" / "parked" / "poison.log"
    assert str(log) in last.hint
    assert "libraries print" in log.read_text()
    assert rows(client)["poison"].state == "parked"
    assert not list(tmp_path.rglob("take-*"))
    assert list(client.request(Status("poison")))[-1] == last
    stale = log.with_name("forgotten.log")
    stale.touch()
    with Client(kill_front(client.endpoint)) as other:
        assert rows(other)["poison"].state == "parked"
        wait_for(lambda: not stale.exists())
        assert log.exists()
        gate.touch()
        following = other.request(Status("poison"))
        assert list(following)[-1] == last
        assert isinstance(other.resume("poison"), Accepted)
        rest = list(other.request(Status("poison")))
        assert isinstance(rest[-1], Done)
        assert [event.stem for event in rest if isinstance(event, StemReady)] == ["drums", "bass", "keys"]


def test_a_job_that_brings_engines_down_is_parked(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    put(client, song("heavy", tmp_path, f"hold={tmp_path / 'never'}"))
    wait_for(lambda: list(tmp_path.rglob("drums.wav")))
    database = sqlite3.connect(tmp_path / "data" / "engine.sqlite", isolation_level=None)
    database.execute("UPDATE jobs SET halts = ?", (MAX_HALTS - 2,))
    with Client(kill_front(endpoint)) as other:
        wait_for(lambda: rows(other)["heavy"].state == "running")
        wait_for(lambda: database.execute("SELECT state FROM jobs").fetchone() == ("running",))
    with Client(kill_front(other.endpoint)) as again:
        wait_for(lambda: rows(again)["heavy"].state == "parked")
        last = list(again.request(Status("heavy")))[-1]
    database.close()
    assert isinstance(last, Failed)
    assert f"{MAX_HALTS} engines have ended" in last.message


def test_a_job_that_runs_too_long_fails_and_says_so(tmp_path: Path) -> None:
    with echo_engine(tmp_path, "--time-limit", "0.5") as endpoint, Client(endpoint) as client:
        last = list(client.request(song("endless", tmp_path, "steps=3000 pause=0.01")))[-1]
        assert isinstance(last, Failed)
        assert (last.code, last.refused) == ("job.too_long", False)
        assert "--time-limit" in last.hint
        assert isinstance(list(client.request(song("short", tmp_path)))[-1], Done)
        assert not list((tmp_path / "stembridge").glob("endless"))


def test_a_cancel_that_an_engine_died_over_still_holds(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    following = client.request(song("unwanted", tmp_path, "deaf steps=3000 pause=0.01"))
    next(following)
    wait_for(lambda: rows(client)["unwanted"].state == "running")
    with Client(endpoint) as other:
        other.send(Pause())
        following = other.request(Status("unwanted"))
        began = time.monotonic()
        other.send(Cancel("unwanted"))
        told = next(e for e in following if isinstance(e, Progress) and e.stage == "cancelling")
        print(f"\ncancel acknowledged after {(time.monotonic() - began) * 1000:.0f} ms (bound 300 ms)")
        assert told.job == "unwanted"
    with Client(kill_front(endpoint)) as again:
        assert list(again.request(Status("unwanted")))[-1] == Cancelled("unwanted")
    assert not list(tmp_path.rglob("take-*"))


def test_an_eta_is_there_at_once_after_a_restart(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    style = "steps=20 pause=0.01"
    list(client.request(song("measure", tmp_path, style)))
    assert read_endpoint() is not None
    with Client(kill_front(endpoint)) as other:
        accepted = next(other.request(song("measured", tmp_path, style)))
    assert isinstance(accepted, Accepted)
    assert accepted.eta is not None
    assert accepted.eta > 0


def test_accepted_means_written_down_and_the_front_never_waits_for_the_disk(
    client: Client, endpoint: Endpoint, tmp_path: Path
) -> None:
    client.models()
    other = sqlite3.connect(tmp_path / "data" / "engine.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    client.send(song("waits", tmp_path))
    times = []
    for _ in range(200):
        began = time.perf_counter()
        client.ping()
        times.append((time.perf_counter() - began) * 1000)
    print(f"\nround trip while the database is locked: worst {max(times):.1f} ms")
    assert rows(client) == {}
    assert other.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
    other.execute("ROLLBACK")
    following = client.request(song("waits", tmp_path))
    assert isinstance(next(following), Accepted)
    assert other.execute("SELECT id FROM jobs").fetchall() == [("waits",)]
    assert isinstance(list(following)[-1], Done)
    assert other.execute("SELECT state, request FROM jobs").fetchall() == [("done", None)]
    other.close()


def test_a_request_that_was_not_accepted_is_forgotten_with_its_engine(
    client: Client, endpoint: Endpoint, tmp_path: Path
) -> None:
    client.models()
    other = sqlite3.connect(tmp_path / "data" / "engine.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    client.send(song("lost", tmp_path))
    client.ping()
    time.sleep(0.2)
    os.kill(endpoint.pid, signal.SIGKILL)
    other.close()
    start_engine(options=ECHO)
    with Client.connect() as again:
        (unknown,) = again.request(Status("lost"))
        assert isinstance(unknown, Failed)
        assert unknown.code == "job.unknown"
        assert isinstance(list(again.request(song("lost", tmp_path)))[-1], Done)


def test_leftovers_of_a_look_at_the_disk_are_swept(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    put(client, song("held", tmp_path, f"hold={tmp_path / 'never'}"))
    wait_for(lambda: list(tmp_path.rglob("drums.wav")))
    left = [folder / ".stembridge-0badcafe.part" for folder in (tmp_path, tmp_path / "stembridge" / "held")]
    for path in left:
        path.touch()
    with Client(kill_front(endpoint)):
        wait_for(lambda: not any(path.exists() for path in left))
    assert (tmp_path / "stembridge" / "held" / "take-1" / "drums.wav").exists()


def test_the_command_changes_the_queue(client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gate = tmp_path / "go"
    put(client, song("first", tmp_path, f"hold={gate}"))
    for name in ("a", "b"):
        put(client, song(name, tmp_path, priority="batch" if name == "b" else "interactive"))
    put(client, song("c", tmp_path))

    def command(*words: str) -> str:
        assert main(["jobs", *words]) == 0
        return capsys.readouterr().out

    assert "c: place 1 in the queue" in command("--move", "c")
    assert queue(client) == ["c", "a", "b"]
    assert "a: place 1" in command("--move", "a", "--to", "0")
    assert "c: paused" in command("--pause", "c")
    assert "c: place 2 in the queue" in command("--resume", "c")
    assert "The queue is paused" in command("--pause")
    listed = command()
    assert "The queue is paused" in listed
    assert "queued (batch)" in listed
    assert "the queue goes on" in command("--resume")
    assert main(["jobs", "--move", "nobody"]) == 2
    assert "no job 'nobody'" in capsys.readouterr().err
    gate.touch()
    wait_for(lambda: all(row.state == "done" for row in rows(client).values()))
    assert "c: over" in command("--resume", "c")
    assert json.loads(command("--json"))["paused"] is False
