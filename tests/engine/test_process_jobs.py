"""Jobs on a real engine: events, idempotence, cancelling, crashes, late joiners."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bridge.client import Client
from bridge.messages import (
    FINAL,
    Accepted,
    Cancel,
    Cancelled,
    Done,
    Event,
    Failed,
    Heard,
    Listen,
    Progress,
    Project,
    Status,
    StemReady,
)
from bridge.transport.endpoint import Endpoint
from tests.engine.rig import echo_engine, song, wait_for, workers

LONG = "steps=2000 pause=0.01"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with echo_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture
def end_of_a_killed_worker() -> str:
    return "signal 9)"


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def until(events: Iterator[Event], kind: type[Event]) -> Event:
    return next(event for event in events if isinstance(event, kind))


def test_a_job_tells_its_whole_life(client: Client, tmp_path: Path) -> None:
    events = list(client.request(song("life", tmp_path, "steps=60 pause=0.005")))
    assert isinstance(events[0], Accepted)
    assert isinstance(events[-1], Done)
    stems = [event for event in events if isinstance(event, StemReady)]
    assert [stem.stem for stem in stems] == ["drums", "bass", "keys"]
    assert all(Path(stem.wav).is_file() for stem in stems)
    assert Path(events[-1].manifests[0]) == tmp_path / "stembridge" / "life" / "take-1" / "manifest.json"
    fractions = [event.fraction for event in events if isinstance(event, Progress)]
    assert fractions
    assert fractions == sorted(fractions)


def test_the_same_request_again_gives_the_state_and_no_second_job(
    client: Client, other: Client, tmp_path: Path
) -> None:
    request = song("again", tmp_path, f"hold={tmp_path / 'go'}")
    first = client.request(request)
    until(first, StemReady)
    second = other.request(request)
    assert names([next(second) for _ in range(3)]) == ["Accepted", "Progress", "StemReady"]
    (tmp_path / "go").touch()
    assert list(first)[-1] == list(second)[-1]
    assert names(list(client.request(request)))[-4:] == ["StemReady"] * 3 + ["Done"]
    assert [row.job for row in client.jobs().jobs].count("again") == 1
    assert len(list((tmp_path / "stembridge" / "again").iterdir())) == 1


def test_another_request_under_the_same_id_is_refused(client: Client, tmp_path: Path) -> None:
    list(client.request(song("mine", tmp_path)))
    (refused,) = client.request(song("mine", tmp_path, seed=8))
    assert isinstance(refused, Failed)
    assert (refused.code, refused.refused, refused.field) == ("job.exists", True, "job")
    assert names(list(client.request(song("mine", tmp_path))))[-1] == "Done"


def test_jobs_run_one_by_one_in_order(client: Client, tmp_path: Path) -> None:
    gate = tmp_path / "go"
    requests = [song(f"row-{i}", tmp_path, f"hold={gate}") for i in range(4)]
    following = [client.request(request) for request in requests]
    positions = [accepted.position for accepted in map(next, following) if isinstance(accepted, Accepted)]
    assert positions[1:] == [0, 1, 2]
    states = {row.job: row.state for row in client.jobs().jobs if row.job.startswith("row-")}
    assert list(states.values()) == ["running", "queued", "queued", "queued"]
    gate.touch()
    ends = [list(events)[-1] for events in following]
    assert names(ends) == ["Done"] * 4
    made = [(tmp_path / "stembridge" / f"row-{i}" / "take-1" / "manifest.json").stat().st_mtime_ns for i in range(4)]
    assert made == sorted(made)


def test_a_running_job_is_cancelled_soon_and_leaves_nothing(client: Client, tmp_path: Path) -> None:
    took = []
    for i in range(5):
        events = client.request(song(f"stop-{i}", tmp_path, LONG))
        until(events, Progress)
        began = time.monotonic()
        assert client.cancel(f"stop-{i}") == Cancelled(f"stop-{i}")
        took.append((time.monotonic() - began) * 1000)
    print(f"\ncancel of a running job: median {sorted(took)[2]:.0f} ms, worst {max(took):.0f} ms (bound 300 ms)")
    assert not list(tmp_path.rglob("*.wav"))
    assert not list((tmp_path / "stembridge").iterdir())


def test_a_queued_job_is_cancelled_soon(client: Client, other: Client, tmp_path: Path) -> None:
    running = client.request(song("front", tmp_path, LONG))
    until(running, Progress)
    queued = other.request(song("waits", tmp_path))
    next(queued)
    began = time.monotonic()
    assert client.cancel("waits") == Cancelled("waits")
    took = time.monotonic() - began
    print(f"\ncancel of a queued job: {took * 1000:.1f} ms (bound 300 ms)")
    assert list(queued) == [Cancelled("waits")]
    client.cancel("front")


def test_cancelling_before_the_request_is_checked_still_cancels(client: Client, tmp_path: Path) -> None:
    client.send(song("hasty", tmp_path, LONG))
    client.send(Cancel("hasty"))
    assert list(client.request(Status("hasty")))[-1] == Cancelled("hasty")


def test_a_worker_that_is_deaf_to_cancel_is_killed_and_replaced(
    client: Client, endpoint: Endpoint, tmp_path: Path
) -> None:
    before = workers(endpoint)
    events = client.request(song("deaf", tmp_path, "deaf steps=3000 pause=0.01"))
    next(events)
    wait_for(lambda: [row for row in client.jobs().jobs if row.job == "deaf" and row.state == "running"])
    began = time.monotonic()
    client.send(Cancel("deaf"))
    time.sleep(0.6)
    assert client.cancel("deaf") == Cancelled("deaf")
    took = time.monotonic() - began
    print(f"\ncancel of a job whose worker is deaf: {took * 1000:.0f} ms")
    assert took >= 0.9
    assert not list(tmp_path.rglob("*.wav"))
    assert names(list(client.request(song("after-deaf", tmp_path))))[-1] == "Done"
    assert workers(endpoint) != before


def test_cancelling_what_is_over_or_unknown(client: Client, tmp_path: Path) -> None:
    done = list(client.request(song("over", tmp_path)))[-1]
    assert client.cancel("over") == done
    unknown = client.cancel("nobody")
    assert isinstance(unknown, Failed)
    assert (unknown.code, unknown.refused) == ("job.unknown", True)


def test_a_job_survives_one_kill_of_its_worker(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    gate = tmp_path / "go"
    events = client.request(song("survivor", tmp_path, f"hold={gate}"))
    until(events, StemReady)
    for pid in workers(endpoint):
        os.kill(pid, signal.SIGKILL)
    gate.touch()
    rest = list(events)
    assert isinstance(rest[-1], Done)
    assert any("tried again" in event.note for event in rest if isinstance(event, Progress))
    assert [event.stem for event in rest if isinstance(event, StemReady)] == ["bass", "keys"]
    assert len(list((tmp_path / "stembridge" / "survivor").iterdir())) == 1


def test_a_job_that_kills_its_worker_twice_fails_and_the_engine_lives(
    client: Client, end_of_a_killed_worker: str, tmp_path: Path
) -> None:
    assert names(list(client.request(song("once", tmp_path, "crash=once"))))[-1] == "Done"
    last = list(client.request(song("always", tmp_path, "crash=always")))[-1]
    assert isinstance(last, Failed)
    assert (last.code, last.refused) == ("worker.crashed", False)
    assert f"2 times ({end_of_a_killed_worker}" in last.message
    assert not (tmp_path / "stembridge" / "always").exists()
    assert names(list(client.request(song("next", tmp_path))))[-1] == "Done"


def test_an_idle_worker_that_is_killed_is_replaced(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    list(client.request(song("warm", tmp_path)))
    before = workers(endpoint)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert names(list(client.request(song("later", tmp_path))))[-1] == "Done"
    assert workers(endpoint) != before


def test_errors_of_the_pipeline_reach_the_musician(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    last = list(client.request(song("silent", tmp_path, "error=job")))[-1]
    expected = Failed("silent", "stem.silent", "the stem is silent.", "stems[1]", "Try another seed.", refused=False)
    assert last == expected
    last = list(client.request(song("fault", tmp_path, "error=bug")))[-1]
    assert isinstance(last, Failed)
    assert last.code == "engine.fault"
    assert "ZeroDivisionError" in last.message
    wait_for(lambda: "misbehave" in Path(endpoint.log).read_text())
    assert not list(tmp_path.rglob("*.wav"))


def test_a_finished_take_outlives_the_failure_of_the_job(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    events = client.request(song("two", tmp_path, f"hold={tmp_path / 'never'} from=2", takes=2))
    wait_for(lambda: (tmp_path / "stembridge" / "two" / "take-1" / "manifest.json").exists())
    client.send(Cancel("two"))
    assert list(events)[-1] == Cancelled("two")
    assert [take.name for take in (tmp_path / "stembridge" / "two").iterdir()] == ["take-1"]


def test_late_joiners_get_a_snapshot(client: Client, other: Client, tmp_path: Path) -> None:
    gate = tmp_path / "go"
    first = client.request(song("late", tmp_path, f"hold={gate}"))
    until(first, StemReady)
    late = other.request(Status("late"))
    assert names([next(late) for _ in range(3)]) == ["Accepted", "Progress", "StemReady"]
    gate.touch()
    assert names(list(late))[-3:] == ["StemReady", "StemReady", "Done"]
    (unknown,) = other.request(Status("nobody"))
    assert isinstance(unknown, Failed)


def test_a_bad_request_is_refused_before_it_is_queued(client: Client, tmp_path: Path) -> None:
    (outside,) = client.request(song("outside", Path("/proc")))
    assert isinstance(outside, Failed)
    assert outside.refused
    assert outside.field == "project.root"
    assert "--root" in outside.hint
    backwards = song("backwards", tmp_path)
    arrangement = msgspec.structs.replace(backwards.arrangement, clock=((0.0, 0.0), (16.0, -1.0)))
    (refused,) = client.request(msgspec.structs.replace(backwards, arrangement=arrangement))
    assert isinstance(refused, Failed)
    assert refused.field == "arrangement.clock[1]"
    assert names(list(client.request(song("backwards", tmp_path))))[-1] == "Done"


def test_listen_and_models(client: Client, tmp_path: Path) -> None:
    clip = tmp_path / "clip.wav"
    clip.write_bytes(b"RIFF")
    heard = client.listen(str(clip))
    assert isinstance(heard, Heard)
    assert heard.result == {"bytes": 4}
    refused = client.listen(str(tmp_path / "gone.wav"))
    assert isinstance(refused, Failed)
    assert refused.field == "path"
    (named,) = [
        e
        for e in client.request(Listen("l", "clip.wav", project=Project(root=str(tmp_path))))
        if e.job and isinstance(e, (Heard, *FINAL))
    ]
    assert isinstance(named, Heard)
    assert [row.name for row in client.models().models] == ["echo"]


def test_the_eta_is_measured(client: Client, tmp_path: Path) -> None:
    style = "steps=20 pause=0.01"
    list(client.request(song("measure", tmp_path, style)))
    events = list(client.request(song("measured", tmp_path, style)))
    accepted, done = events[0], events[-1]
    assert isinstance(accepted, Accepted)
    assert isinstance(done, Done)
    assert accepted.eta is not None
    assert accepted.eta > 0
    assert all(event.eta is not None and event.eta >= 0 for event in events if isinstance(event, Progress))


def test_round_trip_while_a_job_runs(client: Client, other: Client, tmp_path: Path) -> None:
    running = client.request(song("busy", tmp_path, LONG))
    until(running, Progress)
    times = []
    for _ in range(300):
        began = time.perf_counter()
        other.ping()
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    print(f"\nround trip beside a job: p50 {times[150]:.2f} ms, p99 {times[297]:.2f} ms")
    assert client.cancel("busy") == Cancelled("busy")
