"""Many clients at once: `python -m tests.benchmarks.load [--clients 200] [--jobs 2000] [--minutes M]`.

An engine of its own with the small pipeline of `tests.engine.fakes`; every client sends its next job when the last one
is done. Counted: how every job ended, round trips of a ping meanwhile, memory and descriptors of the front process.
`--minutes` goes on after the jobs, for a soak. Nothing here decides a test.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil
import zmq

from bridge.client import FRAME, Client
from bridge.messages import FINAL, Accepted, Failed, Render, StemWanted, decode_event, encode
from bridge.transport.endpoint import Endpoint
from tests.engine.rig import echo_engine, own_places, song

MEGABYTE = 1 << 20
AGAIN_AFTER = 0.5
"""Seconds after which a client sends again what a full queue (of 100 jobs) refused."""


@dataclass
class Player:
    """One client: a socket of its own, and the job that it waits for."""

    socket: zmq.Socket[bytes]
    endpoint: Endpoint
    root: Path
    job: Render | None = None
    again: float = 0.0
    ends: list[str] = field(default_factory=list)

    def ask(self) -> None:
        """Sends a small job."""
        self.job = msgspec.structs.replace(
            song(f"load-{uuid.uuid4().hex}", self.root, "steps=1 pause=0"), stems=(StemWanted("bass"),)
        )
        self.send()

    def send(self) -> None:
        """Sends the job, for the first time or again."""
        assert self.job is not None
        self.again = float("inf")
        self.socket.send_multipart([FRAME, self.endpoint.token.encode(), encode(self.job)], zmq.NOBLOCK)

    def hear(self) -> bool:
        """Takes one event; True when the job has ended."""
        assert self.job is not None
        event = decode_event(self.socket.recv_multipart()[-1])
        if getattr(event, "job", "") != self.job.job:
            return False
        if isinstance(event, Failed) and event.code == "queue.full":
            self.again = time.monotonic() + AGAIN_AFTER
            return False
        if isinstance(event, FINAL):
            self.ends.append(type(event).__name__.lower())
            return True
        assert isinstance(event, Accepted) or event.version
        return False


class Pinger(threading.Thread):
    """Round trips of a ping, twenty a second, until stopped. Milliseconds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._end = threading.Event()
        self.trips: list[float] = []

    def run(self) -> None:
        with Client.connect() as client:
            while not self._end.wait(0.05):
                began = time.perf_counter()
                client.ping()
                self.trips.append(1000.0 * (time.perf_counter() - began))

    def stop(self) -> None:
        self._end.set()
        self.join()


@dataclass(frozen=True)
class Reading:
    """The front process at one moment: seconds since the start, resident megabytes, open descriptors, jobs ended."""

    second: float
    megabytes: float
    descriptors: int
    jobs: int


def run_load(endpoint: Endpoint, root: Path, clients: int, jobs: int, minutes: float) -> tuple[Counter[str], float]:
    """Sends the jobs, then goes on for `minutes`; how they ended, and seconds. Prints a reading every two seconds."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    poller = zmq.Poller()
    players: dict[zmq.Socket[bytes], Player] = {}
    for _ in range(clients):
        socket = context.socket(zmq.DEALER)
        socket.setsockopt(zmq.IDENTITY, f"load-{uuid.uuid4().hex[:12]}".encode())
        socket.connect(f"tcp://127.0.0.1:{endpoint.ports.zmq}")
        poller.register(socket, zmq.POLLIN)
        players[socket] = Player(socket, endpoint, root)
    front = psutil.Process(endpoint.pid)
    began = time.monotonic()
    asked = finished = 0
    last_reading = 0.0
    readings: list[Reading] = []
    for player in players.values():
        player.ask()
        asked += 1
    while finished < asked:
        for socket, _ in poller.poll(20):
            player = players[socket]
            if player.hear():
                finished += 1
                if asked < jobs or time.monotonic() - began < 60.0 * minutes:
                    player.ask()
                    asked += 1
        now = time.monotonic()
        for player in players.values():
            if player.again <= now:
                player.send()
        if now - began - last_reading >= 2.0:
            last_reading = now - began
            reading = Reading(last_reading, front.memory_info().rss / MEGABYTE, front.num_fds(), finished)
            readings.append(reading)
            print(
                f"{reading.second:6.0f} s  {reading.megabytes:6.1f} MB  {reading.descriptors:4d} fds  {finished} jobs"
            )
    seconds = time.monotonic() - began
    context.destroy(linger=0)
    print(trend(readings))
    return Counter(end for player in players.values() for end in player.ends), seconds


def trend(readings: list[Reading]) -> str:
    """Growth over the second half of a run, when everything is warm."""
    late = readings[len(readings) // 2 :]
    if len(late) < 3:
        return "too short for a trend"
    jobs = max(late[-1].jobs - late[0].jobs, 1)
    slope = statistics.linear_regression([r.jobs for r in late], [r.megabytes for r in late]).slope
    descriptors = late[-1].descriptors - late[0].descriptors
    return f"second half: {1024 * slope:+.2f} KB a job over {jobs} jobs, {descriptors:+d} fds"


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.load", description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=0.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, own_places(Path(folder)):
        root = Path(folder) / "song"
        root.mkdir()
        with echo_engine(Path(folder), "--root", folder) as endpoint:
            pinger = Pinger()
            pinger.start()
            ends, seconds = run_load(endpoint, root, options.clients, options.jobs, options.minutes)
            pinger.stop()
    trips = sorted(pinger.trips)
    print(f"jobs: {dict(ends)} in {seconds:.1f} s, {sum(ends.values()) / seconds:.0f} a second")
    p99 = trips[int(0.99 * (len(trips) - 1))]
    print(f"ping: p50 {statistics.median(trips):.2f} ms (bound 2), p99 {p99:.2f} ms (bound 20) of {len(trips)}")


if __name__ == "__main__":
    main()
