"""The job table: every job that the engine knows, and the only transitions that a job can make.

    queued -> running -> done | failed | cancelled | parked
    queued -> cancelled | failed | paused        paused -> queued | cancelled | failed
    running -> queued (its worker died; it goes on)        running -> paused        parked -> queued (asked for again)

Values only: no sockets, no files, no clock (times are given, in seconds of one monotonic clock). Every change is told
to a `JobLog`, which makes it durable.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

import msgspec

from bridge.messages import Accepted, Done, Event, Heard, JobRow, Progress, StemReady
from engine.eta import Speed, Speeds
from engine.job import Final, Job, State, final2state, paused
from engine.turns import Turns

WAITING: tuple[State, ...] = ("queued", "paused")
KEEP_FINISHED = 200
MAX_UNFINISHED = 100
LOADING = "loading"
"""The loading of the models as a kind of job of its own, for forecasts."""


class JobStateError(RuntimeError):
    """A transition that a job in its state cannot make: a fault of the caller."""


class JobLog(Protocol):
    """Who keeps the table's changes."""

    def save(self, job: Job) -> None:
        """The job is known already and has changed."""

    def announce(self, job: str, number: int, stem: StemReady) -> None:
        """The job's stem `number` (from 0) is there."""

    def begin_anew(self, job: str) -> None:
        """What the job has announced is gone."""

    def learn(self, kind: str, speed: Speed) -> None:
        """Jobs of this kind go so fast."""

    def forget(self, jobs: Sequence[str]) -> None:
        """These jobs are known no longer."""


class NoLog:
    """Keeps nothing."""

    def save(self, job: Job) -> None:
        """See `JobLog`."""

    def announce(self, job: str, number: int, stem: StemReady) -> None:
        """See `JobLog`."""

    def begin_anew(self, job: str) -> None:
        """See `JobLog`."""

    def learn(self, kind: str, speed: Speed) -> None:
        """See `JobLog`."""

    def forget(self, jobs: Sequence[str]) -> None:
        """See `JobLog`."""


class JobTable:
    """Jobs by id, the queue, and the speeds measured so far. `places` jobs may run at a time."""

    def __init__(self, log: JobLog | None = None, places: int = 1) -> None:
        self._log = log or NoLog()
        self._places = places
        self._jobs: dict[str, Job] = {}
        self._turns = Turns()
        self._finished: list[str] = []
        self._numbers = 0
        self.speeds = Speeds()
        self.loading_for: Callable[[], float | None] = lambda: None
        """Seconds since the workers began to load their models; None when one is ready."""

    def restore(self, jobs: Iterable[Job], speeds: dict[str, Speed]) -> None:
        """Takes over what an earlier engine has left, in order of arrival. What ran is queued again."""
        self.speeds = Speeds(speeds)
        for job in jobs:
            self._jobs[job.id] = job
            self._numbers = max(self._numbers, job.number + 1)
            if job.finished:
                self._finished.append(job.id)
            elif job.state == "running":
                job.state = "queued"
                job.halts += 1
                self._log.save(job)

    def get(self, job: str) -> Job | None:
        """The job of that id, if it is known (the last `KEEP_FINISHED` finished ones are)."""
        return self._jobs.get(job)

    @property
    def unfinished(self) -> int:
        """Jobs that have no final event yet."""
        return len(self._jobs) - len(self._finished)

    @property
    def full(self) -> bool:
        """Whether no further job is taken for now."""
        return self.unfinished >= MAX_UNFINISHED

    @property
    def running(self) -> tuple[Job, ...]:
        """The jobs that workers have."""
        return tuple(job for job in self._jobs.values() if job.state == "running")

    def states(self) -> Counter[State]:
        """How many jobs are in each state."""
        return Counter(job.state for job in self._jobs.values())

    def queued(self) -> tuple[Job, ...]:
        """The queue, next job first."""
        return tuple(self._turns.order(job for job in self._jobs.values() if job.state == "queued"))

    def waiting(self) -> tuple[Job, ...]:
        """All jobs that no worker has and that are not over: queued or paused."""
        return tuple(job for job in self._jobs.values() if job.state in WAITING)

    def next_number(self) -> int:
        """A place in the order of arrival."""
        self._numbers += 1
        return self._numbers - 1

    def add(self, job: Job) -> None:
        """Queues a new job that the log keeps already. Raises `JobStateError` where the id is known."""
        if job.id in self._jobs:
            raise JobStateError(f"job {job.id} is known already")
        self._expect(job, "queued")
        self._jobs[job.id] = job

    def start_next(self, now: float, without: Collection[str] = ()) -> Job | None:
        """Takes the next queued job, none of `without`, to running. None where there is none, or no place is free."""
        queue = [job for job in self.queued() if job.id not in without]
        if not queue or len(self.running) >= self._places:
            return None
        job = queue[0]
        self._turns.take(job)
        job.state, job.started, job.marks, job.progress = "running", now, [], None
        job.attempts += 1
        self._log.save(job)
        return job

    def requeue(self, job: Job, crashed: bool = False) -> None:
        """Puts a running job back: it goes on before what was not begun."""
        self._expect(job, "running")
        job.state = "queued"
        job.crashes += crashed
        self._log.save(job)

    def pause(self, job: Job) -> None:
        """Takes a job out of the queue, or a running one out of work, until `resume`."""
        self._expect(job, "queued", "running")
        job.state, job.pausing = "paused", False
        self._log.save(job)

    def resume(self, job: Job) -> None:
        """Queues a paused job again, or a parked one as if it were new."""
        self._expect(job, "paused", "parked")
        if job.state == "parked":
            job.final, job.crashes, job.halts, job.attempts = None, 0, 0, 0
            job.stems.clear()
            self._log.begin_anew(job.id)
            self._finished.remove(job.id)
        job.state = "queued"
        self._log.save(job)

    def move(self, job: Job, position: int) -> None:
        """Puts a waiting job at `position` (0: first) among its client's waiting jobs of the same priority."""
        self._expect(job, *WAITING)
        lane = sorted(
            (j for j in self.waiting() if (j.client, j.priority) == (job.client, job.priority) and j is not job),
            key=lambda j: j.rank,
        )
        at = min(max(position, 0), len(lane))
        before = lane[at - 1].rank if at else (lane[0].rank - 1.0 if lane else job.rank)
        after = lane[at].rank if at < len(lane) else before + 1.0
        job.rank = (before + after) / 2
        if not before < job.rank < after:  # the floats between two ranks are used up
            for i, other in enumerate([*lane[:at], job, *lane[at:]]):
                other.rank = float(i)
                self._log.save(other)
        self._log.save(job)

    def wish(self, job: Job, *, cancel: bool = False, pause: bool = False) -> None:
        """Notes what the user wants of a running job; the wish to cancel stands, whatever else dies."""
        self._expect(job, "running")
        job.cancelling, job.pausing = job.cancelling or cancel, pause
        self._log.save(job)

    def report(self, job: Job, progress: Progress, now: float) -> Progress:
        """Notes how far a running job is; returns the event with its ETA. Fractions never go back."""
        self._expect(job, "running")
        before = job.progress.fraction if job.progress else 0.0
        fraction = min(max(progress.fraction, before), 1.0)
        elapsed = now - job.started
        job.marks.append((fraction, elapsed))
        eta = self.speeds.remaining(job.kind, job.work, fraction, elapsed)
        job.progress = msgspec.structs.replace(progress, fraction=fraction, eta=eta)
        return job.progress

    def announce(self, job: Job, stem: StemReady) -> bool:
        """Notes a finished stem. False: it was announced before (by an attempt that broke off later)."""
        self._expect(job, "running")
        if stem in job.stems:
            return False
        self._log.announce(job.id, len(job.stems), stem)
        job.stems.append(stem)
        return True

    def finish(self, job: Job, final: Final, now: float, *, fresh: bool = True, park: bool = False) -> list[str]:
        """Ends a job; returns the ids of old finished jobs that are forgotten now.

        `fresh`: it has computed everything itself, so its speed counts. `park`: it is kept, to be asked for again.
        """
        self._expect(job, "queued", "paused", "running")
        if job.state == "running" and isinstance(final, Done | Heard) and fresh and job.attempts == 1:
            speed = self.speeds.learn(job.kind, job.work, [*job.marks, (1.0, now - job.started)])
            if speed is not None:
                self._log.learn(job.kind, speed)
        job.final = final
        job.state = "parked" if park else final2state(final)
        job.marks = []
        if not park:
            job.request = None
        self._finished.append(job.id)
        self._log.save(job)
        forgotten = self._finished[:-KEEP_FINISHED]
        for old in forgotten:
            del self._jobs[old]
        if forgotten:
            self._finished = self._finished[-KEEP_FINISHED:]
            self._log.forget(forgotten)
        return forgotten

    def accepted(self, job: Job, now: float) -> Accepted:
        """The answer to a request: position in the queue (0: next, or running) and seconds until it is done."""
        queue = self.queued()
        at = queue.index(job) if job in queue else 0
        end = self._ends(queue, now).get(job.id, math.inf)
        return Accepted(job.id, at, end if math.isfinite(end) else None)

    def _ends(self, queue: Iterable[Job], now: float) -> dict[str, float]:
        """Seconds until each running job and each of the queue is done: every place takes the next one when it is free.
        Infinity where that depends on a job whose length is not known."""
        ends = {job.id: self._left(job, now) for job in self.running}
        free = [self._loading_left()] * max(self._places - len(ends), 0) + list(ends.values())
        heapq.heapify(free)
        for job in queue:
            ends[job.id] = heapq.heappop(free) + self._left(job, now)
            heapq.heappush(free, ends[job.id])
        return ends

    def loaded(self, seconds: float) -> None:
        """A worker took so long to load its models."""
        speed = self.speeds.learn(LOADING, 1.0, [(1.0, seconds)])
        if speed is not None:
            self._log.learn(LOADING, speed)

    def _loading_left(self) -> float:
        """Seconds until a worker is ready, as far as that can be told."""
        spent = self.loading_for()
        whole = None if spent is None else self.speeds.remaining(LOADING, 1.0)
        return 0.0 if spent is None or whole is None else max(whole - spent, 0.0)

    def _left(self, job: Job, now: float) -> float:
        """Seconds of work that are left of a job; infinity where that is not known."""
        if job.state == "running":
            fraction = job.progress.fraction if job.progress else 0.0
            left = self.speeds.remaining(job.kind, job.work, fraction, now - job.started)
        else:
            left = self.speeds.remaining(job.kind, job.work)
        return math.inf if left is None else left

    def snapshot(self, job: Job, now: float) -> list[Event]:
        """What a late joiner needs: where it stands, last progress, stems so far, and the end if it is there."""
        events: list[Event] = []
        if job.final is None:
            events.append(self.accepted(job, now))
        if job.state == "paused":
            events.append(paused(job))
        elif job.progress is not None:
            events.append(job.progress)
        events += job.stems
        if job.final is not None:
            events.append(job.final)
        return events

    def rows(self, now: float) -> tuple[JobRow, ...]:
        """The list of jobs, newest last."""
        queue = self.queued()
        positions = {job.id: at for at, job in enumerate(queue)}
        etas = {job: round(end, 3) for job, end in self._ends(queue, now).items() if math.isfinite(end)}
        return tuple(self._row(job, positions, etas) for job in self._jobs.values())

    @staticmethod
    def _row(job: Job, positions: dict[str, int], etas: dict[str, float]) -> JobRow:
        at = job.progress
        fraction = 1.0 if job.state == "done" else at.fraction if at else 0.0
        stage = at.stage if at else ""
        return JobRow(
            job.id, job.state, stage, fraction, job.project, positions.get(job.id, -1), etas.get(job.id), job.priority
        )

    @staticmethod
    def _expect(job: Job, *states: State) -> None:
        if job.state not in states:
            raise JobStateError(f"job {job.id} is {job.state}, not {' or '.join(states)}")
