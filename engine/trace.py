"""What a job spends its time on: a timeline in the JSON of Chrome's trace events, which Perfetto opens.

Format (Trace Event Format, JSON object form): `X` a span with start and length, `C` a count that changes, `M` names of
processes and threads. Conventions: `ts` and `dur` in microseconds since the timeline's start; spans of one thread nest.
A span is noted only while its process records a job; otherwise it costs nothing.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bridge import VERSION
from engine.memory import resident_bytes

MOST_EVENTS = 200_000
"""A job that has more is cut there, which the timeline says."""
KEPT_TRACES = 50
SAMPLE_SECONDS = 0.1
Result = TypeVar("Result")
log = logging.getLogger(__name__)
QUEUE_THREAD = 0
"""Where the time before the start is drawn."""


class Timeline:
    """Spans and counts of one job; any thread may add to it. `clock` in seconds."""

    def __init__(self, job: str, waited: float = 0.0, clock: Callable[[], float] = time.perf_counter) -> None:
        """`waited`: seconds between the job's arrival and now."""
        self._job = job
        self._clock = clock
        self._start = clock() - waited
        self._lock = threading.Lock()
        self._events: list[dict[str, Any]] = []
        self._threads: dict[int, str] = {}
        self.cut = 0
        if waited > 0:
            self._threads[QUEUE_THREAD] = "queue"
            self._add({"ph": "X", "name": "waiting", "ts": 0.0, "dur": self.now(), "tid": QUEUE_THREAD})

    def now(self) -> float:
        """Microseconds since the start."""
        return round(1e6 * (self._clock() - self._start), 3)

    @contextmanager
    def span(self, name: str, **details: Any) -> Iterator[None]:
        """Notes how long a block takes in its thread."""
        thread = threading.get_ident()
        self._threads.setdefault(thread, threading.current_thread().name)
        start = self.now()
        try:
            yield
        finally:
            event = {"ph": "X", "name": name, "ts": start, "dur": round(self.now() - start, 3), "tid": thread}
            self._add({**event, "args": details} if details else event)

    def count(self, name: str, **values: float) -> None:
        """Notes numbers as they are now."""
        self._add({"ph": "C", "name": name, "ts": self.now(), "tid": threading.get_ident(), "args": values})

    def _add(self, event: dict[str, Any]) -> None:
        with self._lock:
            if len(self._events) < MOST_EVENTS:
                self._events.append({**event, "cat": "stembridge", "pid": os.getpid()})
            else:
                self.cut += 1

    def json(self) -> bytes:
        """The whole timeline, threads numbered in the order in which they came."""
        with self._lock:
            events, threads = list(self._events), dict(self._threads)
        numbers = {thread: number for number, thread in enumerate(threads, 1)}
        pid = os.getpid()
        names = [{"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": f"job {self._job}"}}]
        names += [
            {"ph": "M", "name": "thread_name", "pid": pid, "tid": numbers[thread], "args": {"name": name}}
            for thread, name in threads.items()
        ]
        events.sort(key=lambda event: (event["ts"], -event.get("dur", 0.0)))
        shown = [{**event, "tid": numbers.get(event["tid"], 0)} for event in events]
        said = {"job": self._job, "engine": VERSION, "events left out": self.cut}
        return msgspec.json.encode({"traceEvents": [*names, *shown], "displayTimeUnit": "ms", "otherData": said})


_recording: Timeline | None = None


@contextmanager
def recording(timeline: Timeline) -> Iterator[Timeline]:
    """From now on this process notes its spans there: a worker has one job at a time."""
    global _recording
    before, _recording = _recording, timeline
    try:
        yield timeline
    finally:
        _recording = before


@contextmanager
def span(name: str, **details: Any) -> Iterator[None]:
    """Notes the block, if a job is recorded."""
    timeline = _recording
    if timeline is None:
        yield
        return
    with timeline.span(name, **details):
        yield


def count(name: str, **values: float) -> None:
    """Notes the numbers, if a job is recorded."""
    if _recording is not None:
        _recording.count(name, **values)


def traced(job: str, waited: float, folder: Path, work: Callable[[], Result]) -> Result:
    """Does the work and writes its timeline, with the process's memory sampled meanwhile. A disk that takes no
    timeline, which the log tells, disturbs nothing else."""
    end = threading.Event()

    def sample(timeline: Timeline) -> None:
        while not end.wait(SAMPLE_SECONDS):
            timeline.count("memory", megabytes=round(resident_bytes() / 2**20, 1))

    with recording(Timeline(job, waited)) as timeline:
        sampler = threading.Thread(target=sample, args=(timeline,), name="memory", daemon=True)
        sampler.start()
        try:
            with timeline.span("job"):
                return work()
        finally:
            end.set()
            sampler.join()
            try:
                write_trace(folder, job, timeline)
            except OSError as error:
                log.warning("the timeline cannot be written: %s", error)


def write_trace(folder: Path, job: str, timeline: Timeline) -> Path:
    """Writes the job's timeline whole or not at all, as `<job>.json`, and removes the oldest of too many.

    Raises OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{job}.json"
    part = path.with_suffix(".part")
    try:
        part.write_bytes(timeline.json())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    kept = sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime_ns)
    for old in kept[:-KEPT_TRACES]:
        if old != path:
            old.unlink(missing_ok=True)
    return path
