"""`make bench`: the design's numbers, measured on this machine through the public client. Never decides a test.

Starts an engine of its own in a temporary folder, renders the demo song and an eight-bar request, and prints one table.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from bridge.client import Client, start_engine, stop_engine
from bridge.commands.demo import DEMO
from bridge.commands.render import file2request
from bridge.messages import Done, Event, Progress, Render, Scope, StemReady, StemWanted
from tests.benchmarks import lelm
from tests.e2e.songs import eight_bars

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Row:
    """One line of the table: what, measured, the design's bound."""

    what: str
    measured: str
    bound: str


def engine_memory(pid: int) -> float:
    """Resident megabytes of the engine's processes together."""
    front = psutil.Process(pid)
    return sum(p.memory_info().rss for p in (front, *front.children(recursive=True))) / MEGABYTE


class PeakMemory(threading.Thread):
    """Samples the engine's memory ten times a second until stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._end = threading.Event()
        self.peak = 0.0

    def run(self) -> None:
        while not self._end.wait(0.1):
            self.peak = max(self.peak, engine_memory(self._pid))

    def stop(self) -> float:
        self._end.set()
        self.join()
        return self.peak


def render(client: Client, request: Render) -> tuple[list[Event], float, float]:
    """All events of a fresh job, seconds to its first stem, seconds in all."""
    request = msgspec.structs.replace(request, job=f"bench-{uuid.uuid4().hex[:8]}")
    started = time.perf_counter()
    first, events = 0.0, []
    for event in client.request(request):
        if isinstance(event, StemReady) and not first:
            first = time.perf_counter() - started
        events.append(event)
    if not isinstance(events[-1], Done):
        raise SystemExit(f"the benchmark's request was not done: {events[-1]}")
    return events, first, time.perf_counter() - started


def round_trips(client: Client, request: Render) -> list[float]:
    """Milliseconds of pings sent by a second client while a job runs."""
    times: list[float] = []
    with Client.connect() as other:
        for event in client.request(msgspec.structs.replace(request, job=f"bench-{uuid.uuid4().hex[:8]}")):
            if isinstance(event, Progress):
                for _ in range(20):
                    started = time.perf_counter()
                    other.ping()
                    times.append(1000 * (time.perf_counter() - started))
    return times


def command_seconds(*arguments: str) -> float:
    """Median wall seconds of a command, five runs after one."""
    times = []
    for _ in range(6):
        started = time.perf_counter()
        subprocess.run([str(Path(sys.executable).with_name("stembridge")), *arguments], capture_output=True, check=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def measure(folder: Path) -> list[Row]:
    """Runs everything; `folder` takes the results."""
    started = time.perf_counter()
    endpoint = start_engine(roots=[DEMO.parent, folder])
    rows = [Row("engine ready after start", f"{time.perf_counter() - started:.1f} s", "<= 6 s")]
    rows.append(Row("memory idle", f"{engine_memory(endpoint.pid):.0f} MB", "<= 600 MB"))
    small = msgspec.convert(eight_bars(folder), Render)
    song = file2request(DEMO)
    song = msgspec.structs.replace(song, project=msgspec.structs.replace(song.project, out=str(folder)))
    with Client.connect() as client:
        render(client, small)
        # Another seed: what was made already is kept, and asking for it again would measure the keeping.
        fresh = msgspec.structs.replace(small, seed=small.seed + 1)
        _, first, whole = render(client, fresh)
        rows.append(Row("8 bars, 5 stems, warm: first stem", f"{first:.2f} s", "<= 3 s"))
        rows.append(Row("8 bars, 5 stems, warm: all", f"{whole:.2f} s", "-"))
        _, first, whole = render(client, fresh)
        rows.append(Row("the same again: all", f"{whole:.2f} s", "-"))
        memory = PeakMemory(endpoint.pid)
        memory.start()
        events, first, whole = render(client, song)
        rows.append(Row("3:30, 6 stems, warm: all", f"{whole:.1f} s", "<= 30 s"))
        rows.append(Row("3:30, 6 stems, warm: first stem", f"{first:.1f} s", "-"))
        rows.append(Row("memory peak", f"{memory.stop():.0f} MB", "<= 2048 MB"))
        stems = [e for e in events if isinstance(e, StemReady)]
        checks = [s.checks for s in stems]
        rows.append(
            Row("onset error, worst stem: median", f"{max(c.onset_ms_median or 0 for c in checks):.2f} ms", "<= 2 ms")
        )
        rows.append(
            Row("onset error, worst stem: 99 %", f"{max(c.onset_ms_p99 or 0 for c in checks):.2f} ms", "<= 10 ms")
        )
        in_key = min(c.in_key for c in checks if c.in_key is not None)
        rows.append(Row("in-key rate, worst stem", f"{in_key:.1%}", ">= 98 %"))
        done = events[-1]
        assert isinstance(done, Done)
        take = f"{Path(done.manifests[0]).parent.parent.name}/take-1"
        edit = msgspec.structs.replace(song, scope=Scope(take, ("Bridge",), ("bass",)), seed=99)
        _, _, again = render(client, edit)
        rows.append(Row("re-roll of 8 bars of one part", f"{again:.1f} s, {again / whole:.0%} of the song", "<= 15 %"))
        four = msgspec.structs.replace(small, stems=(StemWanted("bass"),), takes=4, seed=77)
        times = sorted(round_trips(client, four))
        p99 = times[min(len(times) - 1, round(0.99 * len(times)))]
        rows.append(
            Row(
                "round trip while rendering",
                f"p50 {statistics.median(times):.1f} ms, p99 {p99:.1f} ms",
                "<= 2, <= 20 ms",
            )
        )
    rows.append(Row("stembridge --help", f"{1000 * command_seconds('--help'):.0f} ms", "<= 200 ms"))
    return rows


def main() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["STEMBRIDGE_RUNTIME"] = str(folder / "runtime")
        os.environ["STEMBRIDGE_DATA"] = str(folder / "data")
        try:
            rows = measure(folder)
        finally:
            stop_engine()
    print(f"{os.cpu_count()} cores, no GPU")
    width = max(len(row.what) for row in rows)
    for row in rows:
        print(f"{row.what:<{width}}  {row.measured:<28} {row.bound}")
    lelm.main()


if __name__ == "__main__":
    main()
