"""Whose turn it is: interactive before batch, and in each of them clients by turns, each by what it has asked for.

Start-time fair queueing (Goyal, Vin, Cheng 1996) with work in stem-seconds for length: a client whose jobs are long
waits longer for its next turn, one that comes anew starts level with those that are there. What was begun goes on
before what was not. Within a client the order is its own: arrival, unless it moves a job.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

CLASSES = ("interactive", "batch")


class Waiting(Protocol):
    """What the order depends on. `rank` sorts the jobs of one client."""

    @property
    def client(self) -> str: ...
    @property
    def priority(self) -> str: ...
    @property
    def begun(self) -> bool: ...
    @property
    def rank(self) -> float: ...
    @property
    def work(self) -> float: ...


Job = TypeVar("Job", bound=Waiting)


@dataclass
class Turns:
    """`served` is each client's finishing time in virtual work, `now` the virtual time of the last job begun."""

    served: dict[str, float] = field(default_factory=dict)
    now: float = 0.0

    def order(self, jobs: Iterable[Job]) -> list[Job]:
        """The jobs as they will run if nothing else comes."""
        waiting = list(jobs)
        later = Turns(dict(self.served), self.now)
        result: list[Job] = []
        for priority in CLASSES:
            lanes: dict[str, deque[Job]] = {}
            for job in sorted((j for j in waiting if j.priority == priority), key=lambda j: (not j.begun, j.rank)):
                lanes.setdefault(job.client, deque()).append(job)
            while lanes:
                client = min(lanes, key=lambda c: (not lanes[c][0].begun, later._start(c), lanes[c][0].rank))
                job = lanes[client].popleft()
                later.take(job)
                result.append(job)
                if not lanes[client]:
                    del lanes[client]
        return result

    def take(self, job: Waiting) -> None:
        """Counts a job that begins. One that goes on was counted before."""
        if job.begun:
            return
        start = self._start(job.client)
        self.now = start
        self.served[job.client] = start + job.work
        for client in [c for c, until in self.served.items() if until <= start]:
            del self.served[client]

    def _start(self, client: str) -> float:
        return max(self.now, self.served.get(client, 0.0))
