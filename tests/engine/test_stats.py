"""Figures of a real engine: what is counted, what it is read as by Prometheus' own parser, and what people see."""

from __future__ import annotations

import math
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.cli import main
from bridge.client import Client
from bridge.messages import Accepted, Cancel, Done, Failed, JobList, Stat, Status
from bridge.metrics import stats2page, stats2prometheus
from bridge.transport.endpoint import Endpoint
from engine.stats import MIN_RATE_SECONDS, RATE_SECONDS, Tally
from tests.engine.rig import echo_engine, song, wait_for


def figures(client: Client) -> dict[str, float]:
    """`name{label=value}` -> value, for names without their prefix."""
    out = {}
    for stat in client.stats().stats:
        labels = ",".join(f"{name}={value}" for name, value in sorted(stat.labels.items()) if name != "pid")
        out[stat.name.removeprefix("stembridge_") + (f"{{{labels}}}" if labels else "")] = stat.value
    return out


def test_what_happens_is_counted(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    gate = tmp_path / "go"
    assert isinstance(list(client.request(song("good", tmp_path)))[-1], Done)
    assert isinstance(list(client.request(song("bad", tmp_path, "error=job")))[-1], Failed)
    assert isinstance(list(client.request(song("shaky", tmp_path, "crash=once")))[-1], Done)
    client.models()
    assert isinstance(next(client.request(song("held", tmp_path, f"hold={gate}"))), Accepted)
    assert isinstance(next(client.request(song("waits", tmp_path))), Accepted)
    client.pause("waits")
    wait_for(lambda: figures(client)["jobs{state=running}"] == 1)
    seen = figures(client)
    assert seen["jobs_total{state=done}"] == 2
    assert seen["jobs_total{state=failed}"] == 1
    assert seen["workers_lost_total"] == 1
    assert seen["jobs{state=paused}"] == 1
    assert seen["jobs{state=queued}"] == 0
    assert seen["requests_total{kind=render}"] == 5
    assert seen["requests_total{kind=pause}"] == 1
    assert seen["stems_total"] >= 6
    assert seen["stem_seconds_total"] == pytest.approx(8.0 * seen["stems_total"])
    assert seen["jobs_per_minute"] == pytest.approx(3.0)
    gate.touch()
    client.send(Cancel("waits"))
    wait_for(lambda: figures(client).get("jobs_total{state=cancelled}") == 1)


def test_memory_is_that_of_the_processes(client: Client, endpoint: Endpoint) -> None:
    wait_for(lambda: "resident_bytes{process=worker 1}" in figures(client))
    seen = figures(client)
    (worker,) = psutil.Process(endpoint.pid).children()
    for name, pid in (("front", endpoint.pid), ("worker 1", worker.pid)):
        assert seen[f"resident_bytes{{process={name}}}"] == pytest.approx(
            psutil.Process(pid).memory_info().rss, rel=0.3
        )
    assert seen["model_loaded{model=echo,process=worker 1}"] == 1
    assert seen["worker_ready{process=worker 1}"] == 1
    assert seen["open_files"] == pytest.approx(psutil.Process(endpoint.pid).num_fds(), abs=5)
    wait_for(lambda: any(name.startswith("device_memory_bytes") for name in figures(client)))


def test_refusals_are_told_by_reason(client: Client, endpoint: Endpoint) -> None:
    with Client(endpoint) as stranger:
        stranger.endpoint = type(endpoint)(
            **{**{f: getattr(endpoint, f) for f in endpoint.__struct_fields__}, "token": "0" * 64}
        )
        for _ in range(3):
            stranger.send(Status("x"))
        wait_for(lambda: figures(client).get("refusals_total{reason=token.wrong}") == 3)
        assert {n: v for n, v in figures(client).items() if n.startswith("refusals_total")} == {
            "refusals_total{reason=token.wrong}": 3
        }


def test_prometheus_own_parser_reads_the_same(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(list(client.request(song("good", tmp_path)))[-1], Done)
    assert main(["engine", "metrics"]) == 0
    families = {family.name: family for family in text_string_to_metric_families(capsys.readouterr().out)}
    done = families["stembridge_jobs"].samples
    assert families["stembridge_stem_seconds"].type == "counter"
    assert families["stembridge_resident_bytes"].type == "gauge"
    assert {s.labels["state"]: s.value for s in done if s.name == "stembridge_jobs_total"} == {"done": 1.0}
    assert families["stembridge_uptime_seconds"].samples[0].value > 0


def test_labels_survive_prometheus_whatever_they_hold() -> None:
    odd = 'a "quoted" \\ back\nslash'
    text = stats2prometheus(
        [Stat("stembridge_x", "gauge", math.pi, {"name": odd}, "Help."), Stat("stembridge_y", "counter", 1e15)]
    )
    one, two = text_string_to_metric_families(text)
    assert one.samples[0].labels == {"name": odd}
    assert one.samples[0].value == math.pi
    assert two.samples[0].value == 1e15


def test_people_see_devices_memory_models_queue_and_rates(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = tmp_path / "go"
    assert isinstance(next(client.request(song("held", tmp_path, f"hold={gate}"))), Accepted)
    wait_for(lambda: "model_loaded{model=echo,process=worker 1}" in figures(client))
    wait_for(lambda: any(name.startswith("device_memory_bytes") for name in figures(client)))
    wait_for(lambda: figures(client)["jobs{state=running}"] == 1)
    assert main(["engine", "status"]) == 0
    page = capsys.readouterr().out
    gate.touch()
    for wanted in (
        "device:   ",
        "RAM ",
        "front ",
        "worker 1 ",
        "models:   echo",
        "1 running",
        "held: ",
        "stem-seconds a minute",
    ):
        assert wanted in page
    assert main(["engine", "status", "--json"]) == 0


def test_a_page_of_nothing_yet_is_a_page() -> None:
    assert any("none in memory" in line for line in stats2page([], JobList(())))


def test_rates_are_of_the_last_minutes_and_memory_of_them_stays_bounded() -> None:
    now = [0.0]
    tally = Tally(lambda: now[0])
    tally.add("jobs_total", state="done")
    assert tally.per_minute("jobs_total") == pytest.approx(60.0 / MIN_RATE_SECONDS)
    for _ in range(50_000):
        now[0] += 0.1
        tally.add("jobs_total", state="done")
        tally.add("requests_total", kind="ping")
    assert tally.per_minute("jobs_total") == pytest.approx(600.0, rel=0.02)
    assert sum(len(kept) for kept in tally._lately.values()) <= RATE_SECONDS + 2
    now[0] += 2 * RATE_SECONDS
    assert tally.per_minute("jobs_total") == 0.0
    counts = {(stat.name, stat.value) for stat in tally.counters()}
    assert ("stembridge_jobs_total", 50_001.0) in counts


def test_an_idle_engine_gives_its_worker_s_memory_back_and_loads_again(tmp_path: Path) -> None:
    with echo_engine(tmp_path, "--idle-release", "0.3") as endpoint, Client(endpoint) as client:
        client.models()
        front = psutil.Process(endpoint.pid)
        (first,) = front.children()
        assert isinstance(list(client.request(song("one", tmp_path, "fat")))[-1], Done)
        wait_for(lambda: not first.is_running() or first.status() == psutil.STATUS_ZOMBIE)
        wait_for(lambda: figures(client)["worker_ready{process=worker 1}"] == 1)
        seen = figures(client)
        assert seen["workers_released_total"] == 1
        assert "workers_lost_total" not in seen
        assert client.ping().ready
        (second,) = front.children()
        assert second.memory_info().rss < 200 << 20
        assert isinstance(list(client.request(song("two", tmp_path)))[-1], Done)


def test_a_worker_that_has_not_worked_is_left_alone(tmp_path: Path) -> None:
    with echo_engine(tmp_path, "--idle-release", "0.1") as endpoint, Client(endpoint) as client:
        client.models()
        (first,) = psutil.Process(endpoint.pid).children()
        list(client.request(song("gone", tmp_path, "error=job")))
        wait_for(lambda: figures(client).get("workers_released_total") == 1)
        wait_for(lambda: client.ping().ready)
        (second,) = psutil.Process(endpoint.pid).children()
        assert second.pid != first.pid
        wait_for(lambda: figures(client)["uptime_seconds"] > 2)
        assert [child.pid for child in psutil.Process(endpoint.pid).children()] == [second.pid]
        assert figures(client)["workers_released_total"] == 1


def test_jobs_that_come_while_the_worker_is_started_anew_are_done(tmp_path: Path) -> None:
    with echo_engine(tmp_path, "--idle-release", "0.01") as endpoint, Client(endpoint) as client:
        for number in range(6):
            assert isinstance(list(client.request(song(f"song-{number}", tmp_path, "steps=1")))[-1], Done)
        seen = figures(client)
    assert seen["jobs_total{state=done}"] == 6
    assert "workers_lost_total" not in seen
