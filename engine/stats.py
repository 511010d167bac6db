"""The engine's counters and gauges: what happened since its start, how fast, and what it holds now.

Names follow Prometheus: counters end in `_total`, units are in the name (bytes, seconds).
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from bridge.messages import Stat, StatList
from engine.crew import Crew
from engine.hardware import GIB, Hardware, free_ram_gib
from engine.job import State
from engine.jobs import JobTable
from engine.memory import open_files, resident_bytes

PREFIX = "stembridge_"
RATE_SECONDS = 600.0
"""Rates are over the last so many seconds, or since the start where that is less."""
MIN_RATE_SECONDS = 60.0
RATED = ("jobs_total", "stem_seconds_total")
"""Whose rates are told."""
STATES: tuple[State, ...] = ("queued", "running", "paused", "parked")
HELP = {
    "requests_total": "Requests taken, by kind.",
    "jobs_total": "Jobs that have ended, by how.",
    "stems_total": "Stems written.",
    "stem_seconds_total": "Seconds of music written, summed over stems.",
    "workers_lost_total": "Workers that died or were killed.",
    "workers_released_total": "Workers that were started anew when idle, to give their memory back.",
    "refusals_total": "Messages refused or dropped, by reason.",
}
_Key = tuple[str, tuple[tuple[str, str], ...]]


class Tally:
    """Counts what happens. `clock` in seconds, never set back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._amounts: dict[_Key, float] = {}
        self._lately: dict[str, deque[tuple[int, float]]] = {}

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """So much more of it."""
        key = (name, tuple(sorted(labels.items())))
        self._amounts[key] = self._amounts.get(key, 0.0) + amount
        if name in RATED:
            lately, second = self._lately.setdefault(name, deque()), int(self._clock())
            if lately and lately[-1][0] == second:
                amount += lately.pop()[1]
            lately.append((second, amount))
            while lately[0][0] < second - RATE_SECONDS:
                lately.popleft()

    def per_minute(self, name: str) -> float:
        """How fast it grew lately."""
        since = self._clock() - RATE_SECONDS
        amount = sum(some for at, some in self._lately.get(name, ()) if at >= since)
        return amount / (min(max(self.uptime, MIN_RATE_SECONDS), RATE_SECONDS) / 60.0)

    def counters(self) -> Iterable[Stat]:
        """All counts since the start."""
        for (name, labels), amount in sorted(self._amounts.items()):
            yield counter(name, amount, **dict(labels))


def counter(what: str, value: float, **labels: str) -> Stat:
    """A number that only grows."""
    return Stat(PREFIX + what, "counter", round(value, 3), labels, HELP.get(what, ""))


def gauge(what: str, value: float, text: str = "", **labels: str) -> Stat:
    """A number as it is now."""
    return Stat(PREFIX + what, "gauge", round(value, 3), labels, text)


def collect(
    tally: Tally, table: JobTable, crew: Crew, refusals: Mapping[str, int], device: Hardware | None, held: bool
) -> StatList:
    """Everything that is counted or measured, in a fixed order of names. `device` None: not known yet."""
    stats = [gauge("uptime_seconds", tally.uptime, "Since the engine started.")]
    if device is not None:
        stats += device2stats(device)
    stats.append(gauge("resident_bytes", resident_bytes(), "Memory in RAM.", process="front", pid=str(os.getpid())))
    stats += crew2stats(crew)
    stats.append(gauge("open_files", open_files(), "Descriptors of the front process."))
    states = table.states()
    stats += [gauge("jobs", states[state], "Jobs that wait or run.", state=state) for state in STATES]
    stats.append(gauge("queue_paused", float(held), "1 while no further job is begun."))
    stats.append(gauge("jobs_per_minute", tally.per_minute("jobs_total"), "Over the last ten minutes."))
    rate = tally.per_minute("stem_seconds_total")
    stats.append(gauge("stem_seconds_per_minute", rate, "Music written, over the last ten minutes."))
    stats += tally.counters()
    stats += [counter("refusals_total", number, reason=reason) for reason, number in sorted(refusals.items())]
    return StatList(tuple(stats))


def device2stats(device: Hardware) -> list[Stat]:
    """Where models run, and its memory."""
    memory = device.memory_gib if device.kind != "cpu" else device.ram_gib
    stats = [
        gauge("device_memory_bytes", memory * GIB, "All memory.", device=device.kind, name=device.name),
        gauge("ram_bytes", device.ram_gib * GIB, "The computer's memory."),
    ]
    free = free_ram_gib()
    return [*stats, gauge("ram_free_bytes", free * GIB, "What can be had of it.")] if free else stats


def crew2stats(crew: Crew) -> list[Stat]:
    """The workers: memory, what is loaded, who is ready."""
    stats = []
    for number, worker in enumerate(crew.keepers):
        name = f"worker {number + 1}"
        stats.append(gauge("worker_ready", float(worker.ready), "1 when it has its models.", process=name))
        vitals = worker.vitals
        if vitals is None:
            continue
        pid = str(vitals.pid)
        stats.append(gauge("resident_bytes", vitals.memory_bytes, "Memory in RAM.", process=name, pid=pid))
        if vitals.accelerator_bytes:
            stats.append(gauge("accelerator_bytes", vitals.accelerator_bytes, "Held of the device.", process=name))
        stats += [gauge("model_loaded", 1.0, "Models in memory.", process=name, model=m) for m in vitals.models]
    return stats
