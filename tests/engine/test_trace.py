"""Timelines: what the documented trace event format asks for, and what a real job's one holds."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import engine.trace as module
from bridge.client import Client
from bridge.messages import Done
from engine.trace import KEPT_TRACES, Timeline, count, recording, span, traced, write_trace
from tests.engine.rig import echo_engine, song


def check_format(raw: bytes) -> dict[str, list[dict[str, Any]]]:
    """Holds a timeline to the Trace Event Format (JSON object form): known phases only, each with what it needs, spans
    of a thread properly nested, names for every thread. Returns events by phase."""
    said = json.loads(raw)
    assert set(said) <= {"traceEvents", "displayTimeUnit", "otherData"}
    assert said["displayTimeUnit"] in ("ms", "ns")
    phases: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in said["traceEvents"]:
        assert isinstance(event["name"], str)
        assert event["name"]
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        phases[event["ph"]].append(event)
    assert set(phases) <= {"X", "C", "M"}
    for event in phases["X"]:
        assert event["ts"] >= 0
        assert event["dur"] >= 0
        assert isinstance(event["cat"], str)
    for event in phases["C"]:
        assert event["ts"] >= 0
        assert event["args"]
        assert all(isinstance(value, int | float) for value in event["args"].values())
    for event in phases["M"]:
        assert event["name"] in ("process_name", "thread_name")
        assert isinstance(event["args"]["name"], str)
    named = {(e["pid"], e["tid"]) for e in phases["M"] if e["name"] == "thread_name"}
    assert {(e["pid"], e["tid"]) for e in phases["X"]} <= named
    for thread in {(e["pid"], e["tid"]) for e in phases["X"]}:
        open_until: list[float] = []
        for event in (e for e in phases["X"] if (e["pid"], e["tid"]) == thread):
            end = event["ts"] + event["dur"]
            while open_until and open_until[-1] <= event["ts"] + 1e-3:
                open_until.pop()
            assert not open_until or end <= open_until[-1] + 1e-2, f"{event['name']} sticks out of what it is in"
            open_until.append(end)
    return phases


def test_spans_and_counts_say_what_happened() -> None:
    now = [5.0]
    timeline = Timeline("song", waited=2.0, clock=lambda: now[0])
    with recording(timeline):
        with span("outer", part="bass"):
            now[0] = 5.5
            with span("inner"):
                now[0] = 6.0
            count("memory", megabytes=12.5)
            now[0] = 7.0

        def elsewhere() -> None:
            with span("beside"):
                now[0] = 8.0

        thread = threading.Thread(target=elsewhere, name="paint")
        thread.start()
        thread.join()
    phases = check_format(timeline.json())
    spans = {event["name"]: event for event in phases["X"]}
    assert {name: (e["ts"], e["dur"]) for name, e in spans.items()} == {
        "waiting": (0.0, 2e6),
        "outer": (2e6, 2e6),
        "inner": (2.5e6, 0.5e6),
        "beside": (4e6, 1e6),
    }
    assert spans["outer"]["args"] == {"part": "bass"}
    assert spans["inner"]["tid"] == spans["outer"]["tid"] != spans["beside"]["tid"]
    assert phases["C"][0]["args"] == {"megabytes": 12.5}
    threads = {e["args"]["name"]: e["tid"] for e in phases["M"] if e["name"] == "thread_name"}
    assert threads["paint"] == spans["beside"]["tid"]
    assert threads["queue"] == spans["waiting"]["tid"]


def test_nothing_is_noted_where_nothing_is_recorded() -> None:
    timeline = Timeline("song")
    with span("before"):
        count("memory", megabytes=1.0)
    with recording(timeline):
        pass
    with span("after"):
        pass
    assert not check_format(timeline.json())["X"]


def test_a_block_that_breaks_is_noted_and_breaks(tmp_path: Path) -> None:
    def work() -> None:
        with span("compose"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        traced("song", 0.0, tmp_path, work)
    names = [event["name"] for event in check_format((tmp_path / "song.json").read_bytes())["X"]]
    assert names == ["job", "compose"]


def test_it_stays_bounded_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EVENTS", 10)
    timeline = Timeline("song")
    for _ in range(25):
        timeline.count("memory", megabytes=1.0)
    said = json.loads(timeline.json())
    assert len([e for e in said["traceEvents"] if e["ph"] == "C"]) == 10
    assert said["otherData"]["events left out"] == 15


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for number in range(KEPT_TRACES + 3):
        path = write_trace(tmp_path, f"song-{number}", Timeline("song"))
        assert path.exists()
    kept = {path.stem for path in tmp_path.iterdir()}
    assert len(kept) == KEPT_TRACES
    assert f"song-{KEPT_TRACES + 2}" in kept


def test_a_disk_that_refuses_it_fails_no_job(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert traced("song", 0.0, tmp_path / "file" / "traces", lambda: 7) == 7


def test_jobs_that_ask_get_one_and_an_engine_may_trace_all(tmp_path: Path) -> None:
    traces = tmp_path / "data" / "traces"
    with echo_engine(tmp_path) as endpoint, Client(endpoint) as client:
        for name, wanted in (("plain", False), ("asked", True)):
            assert isinstance(list(client.request(song(name, tmp_path, trace=wanted)))[-1], Done)
    assert [path.name for path in traces.iterdir()] == ["asked.json"]
    (job,) = [e for e in check_format((traces / "asked.json").read_bytes())["X"] if e["name"] == "job"]
    assert job["dur"] > 0
    assert endpoint.token.encode() not in (traces / "asked.json").read_bytes()
    with echo_engine(tmp_path, "--trace") as endpoint, Client(endpoint) as client:
        assert isinstance(list(client.request(song("every", tmp_path)))[-1], Done)
    assert (traces / "every.json").exists()
