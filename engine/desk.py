"""The front desk: takes requests from every transport, looks at what they name, answers, and hands jobs to the runner.

Everything here runs in the event loop's thread and returns at once; files are read in other threads.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bridge import VERSION
from bridge.errors import RequestError
from bridge.messages import (
    Cancel,
    Failed,
    JobList,
    Jobs,
    Listen,
    ModelList,
    Models,
    Move,
    Pause,
    Ping,
    Pong,
    Render,
    Request,
    Resume,
    Shutdown,
    StatList,
    Stats,
    Status,
)
from bridge.paths import under_roots
from bridge.transport import Outlet
from bridge.transport.refusals import Refusals
from bridge.validate import MAX_MESSAGE, check_request, raw2request
from engine.hardware import Hardware
from engine.job import Job, request2body, request2job
from engine.models import check_choice, current_rows
from engine.runner import Runner
from engine.stats import collect

MAX_CHECKING = 16
BUSY_HINT = "Wait until some jobs are done, or cancel one."
DISK_HINT = "Free some space on the disk that holds the engine's data; then send again."

log = logging.getLogger(__name__)


@dataclass
class Checking:
    """A request whose files are being looked at, or that is being written down; it is no job yet."""

    body: str
    client: str
    outlets: list[Outlet]
    cancelled: bool = False


class _Loose(msgspec.Struct):
    """What a refusal needs of a request that is no request."""

    job: str = ""


@dataclass
class Desk:
    """Implements `bridge.transport.Desk`.

    `shut_down()` is called when a client asks for the end; `results` is where jobs of no project write; `device` is
    what the models run on, None while that is not known.
    """

    runner: Runner
    roots: Sequence[Path]
    results: Path
    shut_down: Callable[[], None]
    refusals: Refusals = field(default_factory=Refusals)
    device: Hardware | None = None
    _checking: dict[str, Checking] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _models_wanted: list[Outlet] = field(default_factory=list)
    _one_check: asyncio.Lock = field(default_factory=asyncio.Lock)
    _stopping: bool = False

    def __post_init__(self) -> None:
        self.runner.on_worker = self.answer_models

    def pong(self) -> Pong:
        """The engine's state in one line."""
        jobs = self.runner.table.unfinished + len(self._checking)
        return Pong(VERSION, os.getpid(), self.runner.crew.ready, jobs)

    def stats(self) -> StatList:
        """The engine's counters and gauges."""
        runner = self.runner
        return collect(runner.tally, runner.table, runner.crew, self.refusals.counts, self.device, runner.held)

    # Requests

    def receive(self, raw: bytes, outlet: Outlet) -> None:
        """Takes a request from a proven sender. Never raises."""
        try:
            request = raw2request(raw)
            self.runner.tally.add("requests_total", kind=type(request).__name__.lower())
            if isinstance(request, Render | Listen):
                self._submit(request, raw, outlet)
            elif isinstance(request, Cancel):
                self._cancel(request.job, outlet)
            elif isinstance(request, Status):
                self._status(request.job, outlet)
            elif isinstance(request, Jobs):
                outlet.send(self._job_list())
            elif isinstance(request, Pause | Resume):
                self._pause(request.job, isinstance(request, Pause), outlet)
            elif isinstance(request, Move):
                self._move(request, outlet)
            elif isinstance(request, Models):
                self._models(outlet)
            elif isinstance(request, Stats):
                outlet.send(self.stats())
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
        body, table = request2body(request), self.runner.table
        job, checking = table.get(request.job), self._checking.get(request.job)
        if job or checking:
            if body != (job.body if job else checking.body if checking else ""):
                raise RequestError(
                    "job.exists", "another request has this job id.", field="job", hint="Give each request its own id."
                )
            self._status(request.job, outlet)
        elif self._stopping:
            raise RequestError("engine.stopping", "the engine is ending.", hint="Start it again, then send again.")
        elif table.full or len(self._checking) >= MAX_CHECKING:
            raise RequestError("queue.full", f"{table.unfinished} jobs are waiting already.", hint=BUSY_HINT)
        else:
            self._checking[request.job] = Checking(body, outlet.client, [outlet])
            self._go(self._check(request.job, raw))

    async def _check(self, name: str, raw: bytes) -> None:
        """Looks at the files that a request names; then it is kept as a job, or refused. In the order of arrival."""
        checking = self._checking[name]
        try:
            async with self._one_check:
                request = await asyncio.to_thread(check_job, raw, self.roots)
                assert isinstance(request, Render | Listen)
                out = request2out(request, self.results)
                first_take = 1 + await asyncio.to_thread(last_take, out)
        except RequestError as error:
            self._refuse(name, refusal(name, error))
        except Exception:
            log.exception("a request broke its check")
            self._refuse(name, Failed(name, "engine.fault", "the engine could not check this request.", refused=True))
        else:
            number = self.runner.table.next_number()
            self.runner.keep(request2job(request, checking.body, out, number, checking.client, first_take), self._kept)

    def _kept(self, job: Job, error: Exception | None) -> None:
        """The job is in the database, so that it may be accepted; or it is not."""
        if error is not None:
            message = f"the engine cannot write the job down ({error})."
            self._refuse(job.id, Failed(job.id, "store.failed", message, hint=DISK_HINT, refused=True))
            return
        checking = self._checking.pop(job.id)
        for outlet in checking.outlets:
            self.runner.news.follow(job.id, outlet)
        self.runner.accept(job)
        if checking.cancelled:
            self.runner.cancel(job)

    def _refuse(self, name: str, failed: Failed) -> None:
        for outlet in self._checking.pop(name).outlets:
            outlet.send(failed)

    def _status(self, name: str, outlet: Outlet) -> None:
        checking = self._checking.get(name)
        if checking:
            checking.outlets.append(outlet)
            return
        job = self._job(name)
        self.runner.news.tell(outlet, self.runner.table.snapshot(job, time.monotonic()))
        if not job.finished:
            self.runner.news.follow(name, outlet)

    def _cancel(self, name: str, outlet: Outlet) -> None:
        checking = self._checking.get(name)
        if checking:
            checking.cancelled = True
            checking.outlets.append(outlet)
            return
        job = self._job(name)
        if job.final is not None:
            self.runner.news.tell(outlet, [job.final])
        else:
            self.runner.news.follow(name, outlet)
            self.runner.cancel(job)

    def _pause(self, name: str, pause: bool, outlet: Outlet) -> None:
        if not name:
            self.runner.hold(pause)
            self.runner.news.tell(outlet, [self._job_list()])
            return
        job = self._job(name)
        if job.final is not None and (pause or job.state != "parked"):
            self.runner.news.tell(outlet, [job.final])
            return
        self.runner.news.follow(name, outlet)
        if pause:
            self.runner.pause(job)
        else:
            self.runner.resume(job)

    def _move(self, request: Move, outlet: Outlet) -> None:
        job = self._job(request.job)
        if job.state not in ("queued", "paused"):
            raise RequestError(
                "job.not_waiting", f"the job is {job.state}; only a waiting job can be moved.", field="job"
            )
        self.runner.news.follow(job.id, outlet)
        self.runner.move(job, request.position)

    def _job(self, name: str) -> Job:
        """The job of that id. Raises `RequestError` where there is none."""
        job = self.runner.table.get(name)
        if job is None:
            hint = "`stembridge jobs` lists them. If it was sent just before an engine ended, send it again."
            raise RequestError("job.unknown", f"there is no job {name[:80]!r}.", field="job", hint=hint)
        return job

    def _job_list(self) -> JobList:
        return JobList(self.runner.table.rows(time.monotonic()), self.runner.held)

    def _models(self, outlet: Outlet) -> None:
        crew = self.runner.crew
        if crew.models is not None:
            outlet.send(ModelList(current_rows(crew.models)))
        elif crew.broken:
            outlet.send(crew.broken)
        else:
            self._models_wanted.append(outlet)

    def answer_models(self) -> None:
        """The worker is ready, or cannot be: tells those who have asked for the models."""
        wanted, self._models_wanted = self._models_wanted, []
        for outlet in wanted:
            self._models(outlet)

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Takes no more jobs; those that are not over wait for the next engine."""
        self._stopping = True
        await self.runner.close()


def refusal(job: str, error: RequestError) -> Failed:
    """The event that tells of a refused request."""
    return Failed(job, error.code, error.message, error.field, error.hint, refused=True)


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


def last_take(out: Path) -> int:
    """The highest number of a take in a job's folder; 0 for none. Numbers are never used again."""
    numbers = [path.name.removeprefix("take-") for path in out.glob("take-*")]
    return max((int(number) for number in numbers if number.isdecimal()), default=0)
