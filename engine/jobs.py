"""The job table: every job that the engine knows, and the only transitions that a job can make.

    queued -> running -> done | failed | cancelled
    queued -> cancelled | failed        running -> queued (the worker died; tried again)

Values only: no sockets, no files, no clock (times are given, in seconds of one monotonic clock). All changes go
through `JobTable`, so that a durable store can stand in its place.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from bridge.messages import (
    Accepted,
    Cancelled,
    Done,
    Event,
    Failed,
    Heard,
    JobRow,
    Listen,
    Progress,
    Render,
    StemReady,
    encode,
)
from engine.eta import Speeds

State = Literal["queued", "running", "done", "failed", "cancelled"]
Final = Done | Heard | Failed | Cancelled
KEEP_FINISHED = 200
MAX_UNFINISHED = 100


class JobStateError(RuntimeError):
    """A transition that a job in its state cannot make: a fault of the caller."""


@dataclass(slots=True)
class Job:
    """One request on its way; the request itself is forgotten when the job has ended.

    `marks`: (fraction, seconds since start) as reported, for the ETA of later jobs.
    """

    id: str
    project: str
    request: Render | Listen | None
    body: str
    out: Path
    work: float
    kind: str
    state: State = "queued"
    attempts: int = 0
    started: float = 0.0
    progress: Progress | None = None
    stems: list[StemReady] = field(default_factory=list)
    final: Final | None = None
    cancelling: bool = False
    marks: list[tuple[float, float]] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether the final event is there."""
        return self.final is not None


class JobTable:
    """Jobs by id, the queue in order, and the speeds measured so far."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._queue: deque[str] = deque()
        self._finished: deque[str] = deque()
        self.speeds = Speeds()

    def get(self, job: str) -> Job | None:
        """The job of that id, if it is known (the last `KEEP_FINISHED` finished ones are)."""
        return self._jobs.get(job)

    @property
    def unfinished(self) -> int:
        """Jobs queued or running."""
        return len(self._jobs) - len(self._finished)

    @property
    def full(self) -> bool:
        """Whether no further job is taken for now."""
        return self.unfinished >= MAX_UNFINISHED

    @property
    def running(self) -> Job | None:
        """The job that the worker has, if any."""
        return next((job for job in self._jobs.values() if job.state == "running"), None)

    def queued(self) -> tuple[Job, ...]:
        """The queue, next job first."""
        return tuple(self._jobs[job] for job in self._queue)

    def add(self, request: Render | Listen, body: str, out: Path) -> Job:
        """Queues a new job. Raises `JobStateError` where the id is known already."""
        if request.job in self._jobs:
            raise JobStateError(f"job {request.job} is known already")
        job = Job(request.job, request.project.name, request, body, out, request2work(request), request2kind(request))
        self._jobs[job.id] = job
        self._queue.append(job.id)
        return job

    def start_next(self, now: float) -> Job | None:
        """Takes the next queued job to running; None where there is none or one runs already."""
        if not self._queue or self.running is not None:
            return None
        job = self._jobs[self._queue.popleft()]
        job.state, job.started, job.marks, job.progress = "running", now, [], None
        job.attempts += 1
        return job

    def requeue(self, job: Job) -> None:
        """Puts a running job back to the head of the queue."""
        self._expect(job, "running")
        job.state = "queued"
        self._queue.appendleft(job.id)

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
        job.stems.append(stem)
        return True

    def finish(self, job: Job, final: Final, now: float) -> list[str]:
        """Ends a job; returns the ids of old finished jobs that are forgotten now."""
        self._expect(job, "queued", "running")
        if job.state == "queued":
            self._queue.remove(job.id)
        elif isinstance(final, Done | Heard):
            self.speeds.learn(job.kind, job.work, [*job.marks, (1.0, now - job.started)])
        job.final = final
        job.state = final2state(final)
        job.marks, job.request = [], None
        self._finished.append(job.id)
        forgotten = []
        while len(self._finished) > KEEP_FINISHED:
            old = self._finished.popleft()
            del self._jobs[old]
            forgotten.append(old)
        return forgotten

    def accepted(self, job: Job, now: float) -> Accepted:
        """The answer to a request: position in the queue (0: next, or running) and seconds until it is done."""
        ahead = [self.running] if self.running and self.running is not job else []
        if job.state == "queued":
            ahead += self.queued()[: self.position(job)]
        needs = [self._left(other, now) for other in [*ahead, job]]
        known = [need for need in needs if need is not None]
        return Accepted(job.id, max(self.position(job), 0), sum(known) if len(known) == len(needs) else None)

    def _left(self, job: Job, now: float) -> float | None:
        if job.state == "running":
            fraction = job.progress.fraction if job.progress else 0.0
            return self.speeds.remaining(job.kind, job.work, fraction, now - job.started)
        return self.speeds.remaining(job.kind, job.work)

    def position(self, job: Job) -> int:
        """Jobs queued before this one; -1 where it is not queued."""
        return self._queue.index(job.id) if job.state == "queued" else -1

    def snapshot(self, job: Job, now: float) -> list[Event]:
        """What a late joiner needs: where it stands, last progress, stems so far, and the end if it is there."""
        events: list[Event] = []
        if job.final is None:
            events.append(self.accepted(job, now))
        if job.progress is not None:
            events.append(job.progress)
        events += job.stems
        if job.final is not None:
            events.append(job.final)
        return events

    def rows(self) -> tuple[JobRow, ...]:
        """The list of jobs, newest last."""
        return tuple(self._row(job) for job in self._jobs.values())

    def _row(self, job: Job) -> JobRow:
        at = job.progress
        fraction = 1.0 if job.state == "done" else at.fraction if at else 0.0
        return JobRow(job.id, job.state, at.stage if at else "", fraction, job.project, self.position(job))

    @staticmethod
    def _expect(job: Job, *states: State) -> None:
        if job.state not in states:
            raise JobStateError(f"job {job.id} is {job.state}, not {' or '.join(states)}")


def final2state(final: Final) -> State:
    """The state that a final event leads to."""
    if isinstance(final, Failed):
        return "failed"
    return "cancelled" if isinstance(final, Cancelled) else "done"


def request2body(request: Render | Listen) -> str:
    """A hash of what is asked: equal for two sendings of the same request, however it was spelt in JSON."""
    return hashlib.sha256(encode(request)).hexdigest()


def request2work(request: Render | Listen) -> float:
    """Stem-seconds to write: the measure by which ETAs scale."""
    if isinstance(request, Listen):
        return 1.0
    clock, scope = request.arrangement.timeline(), request.scope
    wanted = [s for s in request.arrangement.sections if not (scope and scope.sections) or s.name in scope.sections]
    seconds = sum(clock.beat2second(s.end) - clock.beat2second(s.start) for s in wanted)
    stems = len(scope.stems) if scope and scope.stems else len(request.stems)
    return max(seconds, 1.0) * max(stems, 1) * max(request.takes, 1)


def request2kind(request: Render | Listen) -> str:
    """Jobs of one kind go about equally fast per unit of work."""
    if isinstance(request, Listen):
        return "listen"
    return f"render {request.composer} {request.renderer}{' edit' if request.scope else ''}"
