"""Runs the jobs: gives them to the workers, follows them to their ends, tries again what a crash broke off.

Everything here runs in the event loop's thread and returns at once; files are removed in other threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bridge.messages import (
    Cancelled,
    Done,
    Event,
    Failed,
    Heard,
    Listen,
    PieceReady,
    Progress,
    StemReady,
)
from engine.crew import Crew
from engine.job import Final, Job, may_share, paused
from engine.jobs import JobTable
from engine.keeper import StartWorker
from engine.leftovers import remove_logs, remove_probes, remove_unfinished, write_log
from engine.news import News
from engine.stats import Tally
from engine.store.jobs import JobStore, Kept
from engine.store.journal import Journal
from engine.wire import Run

MAX_CRASHES = 2
"""Workers that may die of a job before it is parked."""
MAX_HALTS = 8
"""Engines that may die during a job before it is parked."""
TIME_LIMIT = 4 * 3600.0
COMING = 3
"""Waiting jobs that a worker is told of with the one that it is given."""
IDLE_RELEASE = 300.0
"""Seconds without a job after which workers that have worked give their memory back."""

log = logging.getLogger(__name__)


class Runner:
    """Implements `engine.keeper.Boss`. `starts` has one entry per worker; `parked` is the folder for the logs of jobs
    that were given up; `on_worker` is called when a worker is ready or none can be. `idle_release`: see
    `IDLE_RELEASE`; 0 keeps everything. `trace`: of every job, not only of those that ask for it."""

    def __init__(
        self,
        starts: Sequence[StartWorker],
        journal: Journal,
        publish: Callable[[str, Event], None],
        parked: Path,
        time_limit: float = TIME_LIMIT,
        idle_release: float = IDLE_RELEASE,
        trace: bool = False,
    ) -> None:
        self.crew = Crew(starts, self)
        self.news = News(journal, publish)
        self.store = JobStore(journal)
        self.table = JobTable(self.store, len(starts))
        self.tally = Tally()
        self.held = False
        self.table.loading_for = lambda: self.crew.loading_for
        self.on_worker: Callable[[], None] = lambda: None
        self._journal = journal
        self._parked = parked
        self._time_limit = time_limit
        self._idle_release = idle_release
        self._trace = trace
        self._release_timer: asyncio.TimerHandle | None = None
        self._overdue: dict[str, asyncio.TimerHandle] = {}
        self._ending: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    def restore(self, kept: Kept) -> None:
        """Takes over the jobs of an earlier engine. Those that the user wanted to stop end now."""
        self.table.restore(kept.jobs, kept.speeds)
        self.held = kept.held
        waiting = self.table.waiting()
        self._go(asyncio.to_thread(remove_probes, [job.out for job in waiting]))
        self._go(asyncio.to_thread(remove_logs, self._parked, {f"{job.id}.log" for job in kept.jobs}))
        for job in waiting:
            job.arrived = time.monotonic()
            state = "begun" if job.begun else "queued"
            log.info("was %s when the last engine ended", state, extra={"job": job.id})
            if job.cancelling:
                self._sweep_and_finish(job, Cancelled(job.id))
            elif job.halts >= MAX_HALTS:
                self._park(job, f"{job.halts} engines have ended in the middle of it.", "")

    def keep(self, job: Job, kept: Callable[[Job, Exception | None], None]) -> None:
        """Writes a new job down and calls back when that is done, with None, or why it cannot be."""

        def written(error: Exception | None) -> None:
            if error is not None:
                self.store.withdraw(job.id)
            kept(job, error)

        self.store.add(job)
        self._journal.after(written)

    def accept(self, job: Job) -> None:
        """A job that is kept already takes its place in the queue."""
        job.arrived = time.monotonic()
        self.table.add(job)
        log.info("accepted: %s, %.0f stem-seconds, from %s", job.kind, job.work, job.client, extra={"job": job.id})
        self.news.emit(job.id, self.table.accepted(job, time.monotonic()))
        if self.crew.broken:
            self.crew.start()
        self.advance()

    def cancel(self, job: Job) -> None:
        """Stops a waiting job, or asks a running one to stop; a worker that does not is killed."""
        if job.state == "running":
            if not job.cancelling:
                self.table.wish(job, cancel=True)
                fraction = job.progress.fraction if job.progress else 0.0
                self.news.emit(job.id, Progress(job.id, "cancelling", fraction))
            self.crew.stop(job.id)
        elif job.id not in self._ending:
            self.crew.leave(job.id)
            self._sweep_and_finish(job, Cancelled(job.id))

    def pause(self, job: Job) -> None:
        """Takes a job out of the queue; one that runs is broken off and keeps what it has finished."""
        if job.state == "running":
            if not job.cancelling:
                self.table.wish(job, pause=True)
                self.crew.stop(job.id, keep=True)
        elif job.state == "queued":
            self.crew.leave(job.id)
            self.table.pause(job)
            self.news.emit(job.id, paused(job))

    def resume(self, job: Job) -> None:
        """Queues a paused or parked job; one that is about to pause goes on after that."""
        if job.state == "running" and job.pausing:
            self.table.wish(job, pause=False)
        elif job.state in ("paused", "parked"):
            self.table.resume(job)
            if self.crew.broken:
                self.crew.start()
        if not job.finished:
            self.news.emit(job.id, self.table.accepted(job, time.monotonic()))
        self.advance()

    def move(self, job: Job, position: int) -> None:
        """Puts a waiting job elsewhere among its client's."""
        self.table.move(job, position)
        self.news.emit(job.id, self.table.accepted(job, time.monotonic()))

    def hold(self, held: bool) -> None:
        """Begins no further job, or goes on."""
        self.held = held
        self.store.hold(held)
        self.advance()

    # The worker

    def worker_ready(self) -> None:
        """See `engine.keeper.Boss`."""
        if (seconds := self.crew.load_seconds) is not None:
            self.table.loaded(seconds)
        self.on_worker()
        self.advance()

    def worker_broken(self) -> None:
        """See `engine.keeper.Boss`. Every waiting job fails with the reason."""
        assert self.crew.broken is not None
        self.on_worker()
        for job in self.table.queued():
            self._sweep_and_finish(job, msgspec.structs.replace(self.crew.broken, job=job.id))

    def worker_said(self, event: Event, fresh: bool) -> None:
        """See `engine.keeper.Boss`."""
        job = self._working_on(getattr(event, "job", ""))
        if job is None:
            return
        if isinstance(event, Progress):
            self.news.emit(job.id, self.table.report(job, event, time.monotonic()))
        elif isinstance(event, StemReady):
            if self.table.announce(job, event):
                self.tally.add("stems_total")
                self.tally.add("stem_seconds_total", event.samples / event.sample_rate)
                log.debug("stem %s of take %d", event.stem, event.take, extra={"job": job.id})
                self.news.emit(job.id, event)
        elif isinstance(event, PieceReady):
            self.news.emit(job.id, event)
        elif isinstance(event, Done | Heard):
            self._finish(job, event, fresh)
        elif isinstance(event, Cancelled) and not job.cancelling:
            self._interrupt(job)
        elif isinstance(event, Failed | Cancelled):
            self._sweep_and_finish(job, event)

    def worker_lost(self, job: str, why: str, last_words: str, took: bool) -> None:
        """See `engine.keeper.Boss`. Its job is tried again, once; after that it is parked. A job that was given to a
        worker that was dead already has no part in that."""
        self.tally.add("workers_lost_total")
        lost = self._working_on(job)
        if lost is None:
            return
        if took or lost.cancelling:
            self._broken_off(lost, why, last_words)
        else:
            self._interrupt(lost)

    def _working_on(self, name: str) -> Job | None:
        """The running job of that id, unless it is ending already."""
        job = self.table.get(name)
        return job if job is not None and job.state == "running" and name not in self._ending else None

    def _broken_off(self, job: Job, why: str, last_words: str) -> None:
        if job.cancelling:
            self._sweep_and_finish(job, Cancelled(job.id))
        elif job.pausing or self._stopping:
            self._interrupt(job)
        elif job.crashes + 1 < MAX_CRASHES:
            note = "The worker stopped unexpectedly; the job is tried again."
            fraction = job.progress.fraction if job.progress else 0.0
            self.news.emit(job.id, Progress(job.id, "retry", fraction, note=note))
            log.warning("its worker stopped (%s); it is tried again", why, extra={"job": job.id})
            self.table.requeue(job, crashed=True)
            self.advance()
        else:
            self._park(job, f"the worker stopped unexpectedly {MAX_CRASHES} times ({why}).", last_words)

    def _interrupt(self, job: Job) -> None:
        """The worker has let the job go before its end: it waits, with what it has finished."""
        if job.pausing:
            self.table.pause(job)
            self.news.emit(job.id, paused(job))
        else:
            self.table.requeue(job)
        self.advance()

    def _park(self, job: Job, message: str, last_words: str) -> None:
        path = self._parked / f"{job.id}.log"
        hint = f"It is parked: `stembridge jobs --resume {job.id}` tries again. Its log is {path}."
        failed = Failed(job.id, "worker.crashed", message, hint=hint)
        self._sweep_and_finish(job, failed, park=lambda: write_log(path, f"{message}\n\n{last_words}\n"))

    def _too_long(self, job: Job) -> None:
        """The job has run for as long as any may."""
        if job.state == "running" and not job.cancelling:
            hint = "Ask for less at once, or for more time; the engine's own limit is set by its --time-limit."
            message = f"it has run for {duration(self._limit(job))}, the limit."
            job.overdue = Failed(job.id, "job.too_long", message, hint=hint)
            self.cancel(job)

    def _limit(self, job: Job) -> float:
        """Seconds that the job may run: the engine's limit, or less where its request says so."""
        own = getattr(job.request, "time_limit", None)
        return self._time_limit if own is None else min(own, self._time_limit)

    # Ends

    def _sweep_and_finish(self, job: Job, final: Final, park: Callable[[], None] | None = None) -> None:
        """Ends a job that was not done; what is unfinished on disk goes first."""
        if isinstance(final, Cancelled) and job.overdue is not None:
            final = job.overdue
        if (isinstance(job.request, Listen) or not job.begun) and park is None:
            self._finish(job, final)
        else:
            self._ending.add(job.id)
            self._go(self._sweep(job, final, park))

    async def _sweep(self, job: Job, final: Final, park: Callable[[], None] | None) -> None:
        await asyncio.to_thread(remove_unfinished, job.out)
        if park is not None:
            await asyncio.to_thread(park)
        self._ending.discard(job.id)
        self._finish(job, final, park=park is not None)

    def _finish(self, job: Job, final: Final, fresh: bool = False, park: bool = False) -> None:
        self._ending.discard(job.id)
        if (timer := self._overdue.pop(job.id, None)) is not None:
            timer.cancel()
        for old in self.table.finish(job, final, time.monotonic(), fresh=fresh, park=park):
            self._go(asyncio.to_thread((self._parked / f"{old}.log").unlink, missing_ok=True))
        self.news.emit(job.id, final)
        self.news.end(job.id)
        self.tally.add("jobs_total", state=job.state)
        why = f" ({final.code}: {final.message})" if isinstance(final, Failed) else ""
        seconds = time.monotonic() - (job.started or job.arrived)
        log.info("%s after %.1f s%s", job.state, seconds, why, extra={"job": job.id})
        self.advance()

    def advance(self) -> None:
        """Gives the next jobs to idle workers."""
        while self.crew.idle and not self._stopping and not self.held:
            job = self.table.start_next(time.monotonic(), without=self._ending)
            if job is None or job.request is None:
                break
            if (timer := self._overdue.pop(job.id, None)) is not None:
                timer.cancel()
            loop = asyncio.get_running_loop()
            self._overdue[job.id] = loop.call_later(self._limit(job), self._too_long, job)
            waited = job.started - job.arrived
            log.info("begins, attempt %d, after %.1f s", job.attempts, waited, extra={"job": job.id})
            trace = self._trace or getattr(job.request, "trace", False)
            coming = [other.request for other in self.table.queued()[:COMING] if may_share(other.request)]
            self.crew.run(Run(job.request, str(job.out), job.first_take, waited, trace, tuple(coming)))
        self._await_idleness()

    def _await_idleness(self) -> None:
        """Frees the workers' memory when no job has come for a while."""
        if self._release_timer is not None:
            self._release_timer.cancel()
            self._release_timer = None
        if self._idle_release > 0 and not self._stopping and not self.table.running:
            loop = asyncio.get_running_loop()
            self._release_timer = loop.call_later(self._idle_release, self._release)

    def _release(self) -> None:
        released = self.crew.release()
        if released:
            self.tally.add("workers_released_total", released)

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, seconds: float = 2.5) -> None:
        """Breaks the running jobs off, so that they go on when an engine is started again; kills the workers.

        Takes about `seconds` at most.
        """
        self._stopping = True
        end = time.monotonic() + seconds
        for running in self.table.running:
            note = "The engine ends; the job goes on when it is started again."
            fraction = running.progress.fraction if running.progress else 0.0
            self.news.emit(running.id, Progress(running.id, "waiting", fraction, note=note))
            self.crew.stop(running.id, keep=not running.cancelling)
        while (self.table.running or self._ending) and time.monotonic() < end:
            await asyncio.sleep(0.02)
        self.crew.close()
        for left in self.table.running:
            if left.id not in self._ending:
                self.table.requeue(left)
        settled = asyncio.Event()
        self._journal.after(lambda error: settled.set())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(settled.wait(), 1.0)


def duration(seconds: float) -> str:
    """For people: "2.0 hours", "45 seconds"."""
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds:g} seconds"
