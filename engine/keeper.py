"""Keeps one worker alive: starts it, starts it again when it dies, kills it when it does not stop.

A worker that dies after it was ready is replaced at once. One that dies while it loads is tried `TRIES` times with
growing pauses, one that says why it cannot load only once; then the keeper is broken, and tries again only when the
next job comes. An idle worker that has worked can be started anew: that gives back all that its jobs have left in
memory, which nothing less does (the C library and the models' libraries keep what they once had).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from bridge.messages import FINAL, Event, Failed, Heard, ModelRow
from engine.wire import Broken, FromWorker, Ready, Run, Said, Stop, Took, ToWorker, Vitals

STOP_WITHIN = 1.0
"""Seconds that a running job has to stop before its worker is killed."""
LOAD_WITHIN = 180.0
TRIES = 3
ENDS = (*FINAL, Heard)

log = logging.getLogger(__name__)


class WorkerHandle(Protocol):
    """A started worker, wherever it runs: `engine.worker_process.WorkerProcess` on this machine."""

    @property
    def name(self) -> str:
        """For the log."""

    @property
    def last_words(self) -> str:
        """The end of what it has written to its log."""

    def send(self, message: ToWorker) -> None:
        """Queues a command; one that a dying worker does not read is lost."""

    def kill(self) -> None:
        """Ends it at once; its exit is told as any other."""

    def join(self, seconds: float = 2.0) -> None:
        """Waits until a killed worker is gone."""


OnMessage = Callable[[WorkerHandle, FromWorker], None]
OnExit = Callable[[WorkerHandle, str], None]
StartWorker = Callable[[OnMessage, OnExit], WorkerHandle]
"""Starts a worker; both callbacks are called in the event loop, the second with how it ended, in words. Raises OSError
where none can be started."""


class Boss(Protocol):
    """Who is told about the worker."""

    def worker_ready(self) -> None:
        """The worker can take a job."""

    def worker_said(self, event: Event, fresh: bool) -> None:
        """The running job goes on, or ends; see `engine.wire.Said`."""

    def worker_lost(self, job: str, why: str, last_words: str, took: bool) -> None:
        """The worker died, and broke off the job that it had, if any; `took`: it knew of the job. Another worker is
        being started."""

    def worker_broken(self) -> None:
        """No worker can be started: see `Keeper.broken`."""


class Keeper:
    """One worker at a time. Use inside the event loop."""

    def __init__(self, start: StartWorker, boss: Boss) -> None:
        self._start_worker = start
        self._boss = boss
        self._worker: WorkerHandle | None = None
        self._failures = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._job = ""
        self._guests: set[str] = set()
        self._why_broken: Broken | None = None
        self._worked = self._releasing = False
        self._started_at = 0.0
        self._took = False
        self.vitals: Vitals | None = None
        self.load_seconds: float | None = None
        """How long the worker took to load; None until it has."""
        self.ready = False
        self.models: tuple[ModelRow, ...] | None = None
        self.broken: Failed | None = None

    @property
    def job(self) -> str:
        """The job that the worker has; empty for none."""
        return self._job

    @property
    def idle(self) -> bool:
        """Whether a job can be given."""
        return self.ready and not self._job

    @property
    def loading_for(self) -> float | None:
        """Seconds since a worker was started that is not ready yet; None where none loads."""
        return None if self._worker is None or self.ready else time.monotonic() - self._started_at

    def start(self) -> None:
        """Starts a worker, unless there is one."""
        if self._worker is not None or self._closed:
            return
        self._set_timer(None)
        self.broken = None
        try:
            self._worker = self._start_worker(self._heard, self._exited)
        except OSError as error:
            self._start_failed(f"the worker process cannot be started ({error.strerror}).")
            return
        log.info("%s starts", self._worker.name)
        self._started_at, self._worked, self._releasing = time.monotonic(), False, False
        self._set_timer(LOAD_WITHIN)

    def run(self, run: Run) -> None:
        """Gives the idle worker a job."""
        assert self._worker is not None
        self._job, self._took, self._worked = run.request.job, False, True
        self._guests = {one.job for one in run.coming}
        self._worker.send(run)

    def release(self) -> bool:
        """Starts the idle worker anew, if it has worked. Says whether it does."""
        if self._worker is None or not self.idle or not self._worked:
            return False
        log.info("%s is idle and is started anew, to give its memory back", self._worker.name)
        self.ready, self._releasing = False, True
        self._worker.kill()
        return True

    def stop(self, *, keep: bool = False) -> None:
        """Breaks the running job off: by asking (see `engine.wire.Stop`), then by killing the worker."""
        if self._worker is None or not self._job:
            return
        self._worker.send(Stop(self._job, keep))
        if self._timer is None:
            self._set_timer(STOP_WITHIN)

    def leave(self, job: str) -> None:
        """Has the worker leave a coming job alone, where it was told of it."""
        if self._worker is not None and job in self._guests:
            self._guests.remove(job)
            self._worker.send(Stop(job))

    def close(self) -> None:
        """Kills the worker and starts no other."""
        self._closed = True
        self._set_timer(None)
        if self._worker is not None:
            self._worker.kill()
            self._worker.join()
            self._worker = None

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = None if seconds is None else loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self._worker is not None:
            log.warning("%s does not answer in time and is killed", self._worker.name)
            self._worker.kill()

    def _heard(self, worker: WorkerHandle, message: FromWorker) -> None:
        if worker is not self._worker:
            return
        if isinstance(message, Said):
            if isinstance(message.event, ENDS):
                self._job = ""
                self._set_timer(None)
            self._boss.worker_said(message.event, message.fresh)
        elif isinstance(message, Ready):
            self._set_timer(None)
            self._failures = 0
            self.ready, self.models = True, message.models
            self.load_seconds = time.monotonic() - self._started_at
            log.info("%s is ready", worker.name)
            self._boss.worker_ready()
        elif isinstance(message, Took):
            self._took = True
        elif isinstance(message, Vitals):
            self.vitals = message
        else:
            self._why_broken = message

    def _exited(self, worker: WorkerHandle, how: str) -> None:
        if worker is not self._worker:
            return
        was_ready, job = self.ready, self._job
        self.ready, self._worker, self._job, self.vitals = False, None, "", None
        self._set_timer(None)
        if self._releasing:
            self.start()
            return
        log.warning("%s ended (%s)", worker.name, how)
        if was_ready:
            why, self._why_broken = self._why_broken, None
            how = why.message if why else how
            self.start()
            self._boss.worker_lost(job, how, worker.last_words, self._took)
        else:
            self._start_failed(f"the worker process ended while it loaded its models ({how}).")

    def _start_failed(self, message: str) -> None:
        self._failures += 1
        if self._failures < TRIES and self._why_broken is None:
            loop = asyncio.get_running_loop()
            self._set_timer(None)
            self._timer = loop.call_later(0.2 * 2**self._failures, self.start)
            return
        self._failures = TRIES - 1
        why, self._why_broken = self._why_broken, None
        hint = "The engine's log says more; `stembridge doctor` checks the installation."
        self.broken = (
            Failed("", why.code, why.message, hint=why.hint or hint)
            if why
            else Failed("", "worker.cannot_start", message, hint=hint)
        )
        log.error("no worker can be started: %s", self.broken.message)
        self._boss.worker_broken()
