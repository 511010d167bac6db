"""Whose turn it is: interactive before batch, and in each of them clients by turns, each by what it has asked for.

Start-time fair queueing (Goyal, Vin, Cheng 1996) with work in stem-seconds for length: a client whose jobs are long
waits longer for its next turn, one that comes anew starts level with those that are there. What was begun goes on
before what was not. Within a client the order is its own: arrival, unless it moves a job.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterable, Sequence
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
            mine = [job for job in waiting if job.priority == priority]
            result += sorted((j for j in mine if j.begun), key=lambda j: (later._start(j.client), j.rank))
            result += later._take_all(sorted((j for j in mine if not j.begun), key=lambda j: j.rank))
        return result

    def _take_all(self, jobs: Sequence[Job]) -> list[Job]:
        """Takes jobs that are not begun, sorted by rank, client by client as their turns come.

        Clients whose finishing time has passed are level: the rank of their next job decides. The others follow by
        that time.
        """
        lanes: dict[str, deque[Job]] = {}
        for job in jobs:
            lanes.setdefault(job.client, deque()).append(job)
        level: list[tuple[float, int, str]] = []
        ahead: list[tuple[float, float, int, str]] = []
        count = itertools.count()

        def line_up(client: str) -> None:
            rank, until = lanes[client][0].rank, self.served.get(client, 0.0)
            if until <= self.now:
                heapq.heappush(level, (rank, next(count), client))
            else:
                heapq.heappush(ahead, (until, rank, next(count), client))

        for client in lanes:
            line_up(client)
        result: list[Job] = []
        while level or ahead:
            client = heapq.heappop(level)[-1] if level else heapq.heappop(ahead)[-1]
            result.append(lanes[client].popleft())
            self.take(result[-1])
            while ahead and ahead[0][0] <= self.now:
                _, rank, _, passed = heapq.heappop(ahead)
                heapq.heappush(level, (rank, next(count), passed))
            if lanes[client]:
                line_up(client)
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
