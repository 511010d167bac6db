"""The front desk: takes requests from every transport, keeps the queue, gives jobs to the worker, tells who asks.

Everything here runs in the event loop's thread and returns at once; files are read and removed in other threads.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bridge import VERSION
from bridge.errors import RequestError
from bridge.messages import (
    Cancel,
    Cancelled,
    Done,
    Event,
    Failed,
    Heard,
    JobList,
    Jobs,
    Listen,
    ModelList,
    Models,
    Ping,
    Pong,
    Progress,
    Render,
    Request,
    Shutdown,
    Status,
    StemReady,
)
from bridge.paths import under_roots
from bridge.transport import Outlet
from bridge.validate import MAX_MESSAGE, check_request, raw2request
from engine.jobs import Final, Job, JobTable, request2body
from engine.keeper import Keeper
from engine.models import check_choice

TRIES = 2
"""How often a job is begun before a dying worker makes it fail."""
BUSY_HINT = "Wait until some jobs are done, or cancel one."

log = logging.getLogger(__name__)


@dataclass
class Checking:
    """A request whose files are being looked at; it is no job yet."""

    body: str
    outlets: list[Outlet]
    cancelled: bool = False


class _Loose(msgspec.Struct):
    """What a refusal needs of a request that is no request."""

    job: str = ""


@dataclass
class Desk:
    """Implements `bridge.transport.Desk` for the transports and `engine.keeper.Boss` for the worker's keeper.

    `publish(job, event)` tells observers; `shut_down()` is called when a client asks for the end; `results` is
    where jobs of no project write.
    """

    pipeline: str
    roots: Sequence[Path]
    results: Path
    publish: Callable[[str, Event], None]
    shut_down: Callable[[], None]
    table: JobTable = field(default_factory=JobTable)
    _checking: dict[str, Checking] = field(default_factory=dict)
    _followers: dict[str, dict[Hashable, Outlet]] = field(default_factory=dict)
    _ending: set[str] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _models_wanted: list[Outlet] = field(default_factory=list)
    _one_check: asyncio.Lock = field(default_factory=asyncio.Lock)
    _stopping: bool = False

    def __post_init__(self) -> None:
        self.keeper = Keeper(self.pipeline, self)

    def pong(self) -> Pong:
        """The engine's state in one line."""
        return Pong(VERSION, os.getpid(), self.keeper.ready, self.table.unfinished + len(self._checking))

    # Requests

    def receive(self, raw: bytes, outlet: Outlet) -> None:
        """Takes a request from a proven sender. Never raises."""
        try:
            request = raw2request(raw)
            if isinstance(request, Render | Listen):
                self._submit(request, raw, outlet)
            elif isinstance(request, Cancel):
                self._cancel(request.job, outlet)
            elif isinstance(request, Status):
                self._status(request.job, outlet)
            elif isinstance(request, Jobs):
                outlet.send(JobList(self.table.rows()))
            elif isinstance(request, Models):
                self._models(outlet)
            elif isinstance(request, Ping):
                outlet.send(self.pong())
            elif isinstance(request, Shutdown):
                outlet.send(self.pong())
                self.shut_down()
        except RequestError as error:
            outlet.send(refusal(raw2job(raw), error))
        except Exception:
            log.exception("a request broke the desk")
            outlet.send(Failed(raw2job(raw), "engine.fault", "the engine could not handle this request.", refused=True))

    def receive_file(self, path: str, outlet: Outlet) -> None:
        """Takes a request from a JSON file under the roots."""
        self._go(self._read_file(path, outlet))

    async def _read_file(self, path: str, outlet: Outlet) -> None:
        try:
            raw = await asyncio.to_thread(read_request_file, path, self.roots)
        except RequestError as error:
            outlet.send(refusal("", error))
            return
        self.receive(raw, outlet)

    def _submit(self, request: Render | Listen, raw: bytes, outlet: Outlet) -> None:
        body = request2body(request)
        job, checking = self.table.get(request.job), self._checking.get(request.job)
        if job or checking:
            if body != (job.body if job else checking.body if checking else ""):
                raise RequestError(
                    "job.exists", "another request has this job id.", field="job", hint="Give each request its own id."
                )
            self._status(request.job, outlet)
        elif self._stopping:
            raise RequestError("engine.stopping", "the engine is ending.", hint="Start it again, then send again.")
        elif self.table.full or len(self._checking) >= 16:
            raise RequestError("queue.full", f"{self.table.unfinished} jobs are waiting already.", hint=BUSY_HINT)
        else:
            self._checking[request.job] = Checking(body, [outlet])
            self._go(self._check(request.job, raw))

    async def _check(self, name: str, raw: bytes) -> None:
        """Looks at the files that a request names; then it is a job, or refused. In the order of arrival."""
        try:
            async with self._one_check:
                request = await asyncio.to_thread(check_job, raw, self.roots)
        except RequestError as error:
            failed = refusal(name, error)
        except Exception:
            log.exception("a request broke its check")
            failed = Failed(name, "engine.fault", "the engine could not check this request.", refused=True)
        else:
            assert isinstance(request, Render | Listen)
            checking = self._checking.pop(name)
            job = self.table.add(request, checking.body, request2out(request, self.results))
            self._followers[name] = {outlet.key: outlet for outlet in checking.outlets}
            self._emit(name, self.table.accepted(job, time.monotonic()))
            if checking.cancelled or self._stopping:
                self._finish(job, Cancelled(name))
            if self.keeper.broken:
                self.keeper.start()
            self._advance()
            return
        for outlet in self._checking.pop(name).outlets:
            outlet.send(failed)

    def _status(self, name: str, outlet: Outlet) -> None:
        checking, job = self._checking.get(name), self.table.get(name)
        if checking:
            checking.outlets.append(outlet)
        elif job:
            for event in self.table.snapshot(job, time.monotonic()):
                outlet.send(event)
            if not job.finished:
                self._followers[name][outlet.key] = outlet
        else:
            raise unknown(name)

    def _cancel(self, name: str, outlet: Outlet) -> None:
        checking, job = self._checking.get(name), self.table.get(name)
        if checking:
            checking.cancelled = True
            checking.outlets.append(outlet)
        elif job is None:
            raise unknown(name)
        elif job.final is not None:
            outlet.send(job.final)
        else:
            self._followers[name][outlet.key] = outlet
            self._stop_job(job)

    def _stop_job(self, job: Job) -> None:
        if job.state == "queued":
            self._finish(job, Cancelled(job.id))
        else:
            job.cancelling = True
            self.keeper.stop(job.id)

    def _models(self, outlet: Outlet) -> None:
        if self.keeper.models is not None:
            outlet.send(ModelList(self.keeper.models))
        elif self.keeper.broken:
            outlet.send(self.keeper.broken)
        else:
            self._models_wanted.append(outlet)

    # The worker

    def worker_ready(self) -> None:
        """See `engine.keeper.Boss`."""
        self._answer_models()
        self._advance()

    def worker_broken(self) -> None:
        """See `engine.keeper.Boss`. Every waiting job fails with the reason."""
        assert self.keeper.broken is not None
        self._answer_models()
        for job in self.table.queued():
            self._finish(job, msgspec.structs.replace(self.keeper.broken, job=job.id))

    def worker_said(self, event: Event) -> None:
        """See `engine.keeper.Boss`."""
        job = self.table.running
        if job is None or job.id in self._ending or getattr(event, "job", "") != job.id:
            return
        if isinstance(event, Progress):
            self._emit(job.id, self.table.report(job, event, time.monotonic()))
        elif isinstance(event, StemReady):
            if self.table.announce(job, event):
                self._emit(job.id, event)
        elif isinstance(event, Done | Heard | Failed | Cancelled):
            self._end(job, event)

    def worker_lost(self, why: str) -> None:
        """See `engine.keeper.Boss`. The running job is tried again, once."""
        job = self.table.running
        if job is None or job.id in self._ending:
            return
        if job.cancelling:
            self._end(job, Cancelled(job.id))
        elif job.attempts < TRIES:
            note = "The worker stopped unexpectedly; the job is tried again."
            fraction = job.progress.fraction if job.progress else 0.0
            self._emit(job.id, Progress(job.id, "retry", fraction, note=note))
            self._end(job, None)
        else:
            message = f"the worker stopped unexpectedly {TRIES} times ({why})."
            hint = "The engine's log says more. Ask for less at once, in case memory ran out."
            self._end(job, Failed(job.id, "worker.crashed", message, hint=hint))

    def _end(self, job: Job, final: Final | None) -> None:
        """Ends the running job, or puts it back into the queue for None; what is unfinished on disk goes first."""
        if isinstance(final, Done | Heard) or isinstance(job.request, Listen):
            self._close(job, final)
        else:
            self._ending.add(job.id)
            self._go(self._sweep(job, final))

    async def _sweep(self, job: Job, final: Final | None) -> None:
        await asyncio.to_thread(remove_unfinished, job.out)
        self._ending.discard(job.id)
        self._close(job, final)

    def _close(self, job: Job, final: Final | None) -> None:
        if final is None and (job.cancelling or self._stopping):
            final = Cancelled(job.id)
        if final is None:
            self.table.requeue(job)
        else:
            self._finish(job, final)
        self._advance()

    def _finish(self, job: Job, final: Final) -> None:
        self.table.finish(job, final, time.monotonic())
        self._emit(job.id, final)
        del self._followers[job.id]
        log.info("job %s: %s", job.id, job.state)

    def _advance(self) -> None:
        """Gives the next job to an idle worker."""
        if self.keeper.idle and not self._stopping:
            job = self.table.start_next(time.monotonic())
            if job is not None and job.request is not None:
                self.keeper.run(job.request, job.out)

    def _answer_models(self) -> None:
        wanted, self._models_wanted = self._models_wanted, []
        for outlet in wanted:
            self._models(outlet)

    # Out

    def _emit(self, name: str, event: Event) -> None:
        """Tells all who follow the job, and forgets those who are gone."""
        followers = self._followers[name]
        for key in [key for key, outlet in followers.items() if not outlet.send(event)]:
            del followers[key]
        self.publish(name, event)

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, seconds: float = 2.5) -> None:
        """Cancels every job, kills the worker; takes about `seconds` at most."""
        self._stopping = True
        for job in [*self.table.queued(), self.table.running]:
            if job is not None:
                self._stop_job(job)
        end = time.monotonic() + seconds
        while (self.table.running or self._checking) and time.monotonic() < end:
            await asyncio.sleep(0.02)
        self.keeper.close()


def refusal(job: str, error: RequestError) -> Failed:
    """The event that tells of a refused request."""
    return Failed(job, error.code, error.message, error.field, error.hint, refused=True)


def unknown(job: str) -> RequestError:
    """For a job id that the table does not hold."""
    return RequestError(
        "job.unknown", f"there is no job {job[:80]!r}.", field="job", hint="`stembridge jobs` lists them."
    )


def raw2job(raw: bytes) -> str:
    """The job id in a message that may be anything; empty where there is none."""
    try:
        return msgspec.json.decode(raw, type=_Loose).job[:80]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def read_request_file(text: str, roots: Sequence[Path]) -> bytes:
    """A request's JSON from a file. Raises `RequestError`."""
    path = Path(text)
    try:
        if "\0" in text or not path.is_absolute() or path.suffix.lower() != ".json" or not under_roots(path, roots):
            raise RequestError(
                "path.outside", "the path of a .json file under the engine's roots is wanted.", field="path"
            )
        if not path.is_file():
            raise RequestError("path.missing", f"there is no file {path}.", field="path")
        with path.open("rb") as file:
            raw = file.read(MAX_MESSAGE + 1)
    except (OSError, RuntimeError) as error:
        raise RequestError("path.unreadable", f"it cannot be read ({error}).", field="path") from error
    return raw


def check_job(raw: bytes, roots: Sequence[Path]) -> Request:
    """A request with its files looked at and its composer and renderer known to be here. Raises `RequestError`."""
    request = check_request(raw, roots)
    if isinstance(request, Render):
        check_choice(request)
    return request


def request2out(request: Render | Listen, results: Path) -> Path:
    """The job's own folder: its takes go into it."""
    project = request.project
    if project.out:
        return Path(project.out) / request.job
    return (Path(project.root) / "stembridge" if project.root else results) / request.job


def remove_unfinished(folder: Path) -> None:
    """Removes a job's takes without a manifest (it is written last), and its folder where nothing else is in it."""
    if not folder.is_dir():
        return
    for take in folder.glob("take-*"):
        if not (take / "manifest.json").exists():
            shutil.rmtree(take, ignore_errors=True)
    try:
        folder.rmdir()
    except OSError:
        log.info("%s keeps what was finished", folder)
