"""The worker process: loads the models once and runs jobs one by one. Started by `engine.worker_process`.

    python -m engine.worker --pipeline engine.pipeline:Pipeline

Commands come on standard input, events go out on what was standard output (see `engine.wire`); whatever libraries
print goes to standard error, which the front keeps in the log. Ctrl-C in a terminal is the front's business.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import functools
import importlib
import os
import queue
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from bridge.errors import RequestError, StembridgeError
from bridge.messages import (
    Cancelled,
    Done,
    Event,
    Failed,
    Heard,
    Listen,
    ModelList,
    PieceReady,
    Progress,
    Render,
    StemReady,
)
from bridge.paths import TRACES, data_folder
from bridge.transport.endpoint import make_private
from engine.coming import Coming
from engine.memory import accelerator_bytes, few_heaps, give_back, resident_bytes
from engine.report import JobCancelled, JobPaused, Reporter
from engine.stages import NO_STAGES, StageCache, program2hash
from engine.store.database import DATABASE
from engine.store.lock import sole_holder
from engine.store.stages import StageStore
from engine.trace import traced
from engine.wire import Broken, FromWorker, Ready, Run, Said, Took, Vitals, line, to_worker

PIPELINE = "engine.pipeline:Pipeline"
REPORT_EVERY = 0.5
"""Seconds between two progress events at least."""
VITALS_EVERY = 2.0
"""Seconds between two looks at the memory; the front hears of changes."""
VITALS_CHANGE = 1 << 20
LOST = 70
"""Exit code of a worker whose device is lost."""
STAGES_GIB = 4.0
PREDECESSOR_SECONDS = 20.0
NICER = 5
"""The worker steps back behind the front process and the DAW."""


DEVICE_ERROR = re.compile(r"(CUDA|HIP|XPU|MPS)( driver)? error")


class PipelineLike(Protocol):
    """What runs the jobs: `engine.pipeline.Pipeline`. Made without arguments; making it loads the models."""

    def render(
        self,
        request: Render,
        out: Path,
        reporter: Reporter,
        *,
        stages: StageCache,
        first_take: int,
        coming: Sequence[Coming],
    ) -> Done: ...

    def listen(self, request: Listen, reporter: Reporter) -> Heard: ...

    def models(self) -> ModelList: ...

    def loaded(self) -> tuple[str, ...]: ...


class DeviceLost(Exception):
    """The accelerator does not answer any more; only a new process can use it again."""


class Channel:
    """Lines to the front process."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, message: FromWorker) -> None:
        """Raises BrokenPipeError where the front is gone."""
        with self._lock:
            self._pipe.write(line(message))
            self._pipe.flush()


class StopSign(threading.Event):
    """Set when the job shall stop; with `keep`, it will go on later."""

    keep = False


class JobReporter:
    """The `Reporter` of one job: at most one progress event per `REPORT_EVERY`; notes are kept for the next one."""

    def __init__(self, job: str, channel: Channel, stop: StopSign) -> None:
        self._job = job
        self._channel = channel
        self._stop = stop
        self._sent = float("-inf")
        self._notes: list[str] = []
        self._last = ("", 0.0)

    def progress(self, stage: str, fraction: float, note: str = "") -> None:
        """See `Reporter.progress`."""
        if self._stop.is_set():
            raise JobPaused(self._job) if self._stop.keep else JobCancelled(self._job)
        if note and note not in self._notes:
            self._notes.append(note)
        self._last = (stage, fraction)
        now = time.monotonic()
        if now - self._sent >= REPORT_EVERY:
            self._sent = now
            self._send()

    def flush(self) -> None:
        """Sends notes that still wait, whatever the time: the job has ended."""
        if self._notes:
            self._send()

    def _send(self) -> None:
        stage, fraction = self._last
        self._channel.send(Said(Progress(self._job, stage, fraction, note=" ".join(self._notes))))
        self._notes.clear()

    def stem(self, event: StemReady) -> None:
        """See `Reporter.stem`."""
        self._channel.send(Said(event))

    def piece(self, event: PieceReady) -> None:
        """See `Reporter.piece`."""
        self._channel.send(Said(event))


class Worker:
    """Takes commands, runs jobs, answers."""

    def __init__(self, commands: BinaryIO, channel: Channel) -> None:
        """From now on it ends when the front does."""
        self._commands = commands
        self._channel = channel
        self._runs: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self._stops: dict[str, StopSign] = {}
        self._guests: dict[str, StopSign] = {}
        threading.Thread(target=self._read_commands, name="commands", daemon=True).start()

    def serve(self, load: Callable[[], PipelineLike], stages: StageStore | None = None) -> None:
        """Loads the pipeline and runs jobs until the front is gone; without `stages` every job computes everything."""
        try:
            runner = load()
            rows = runner.models().models
        except StembridgeError as error:
            self._channel.send(Broken(error.code, str(error), error.hint))
            raise SystemExit(1) from error
        except Exception as error:
            traceback.print_exc()
            self._channel.send(Broken("worker.cannot_load", f"{type(error).__name__}: {error}"))
            raise SystemExit(1) from error
        self._channel.send(Ready(rows))
        threading.Thread(target=self._tell_vitals, args=(runner,), name="vitals", daemon=True).start()
        while True:
            run = self._runs.get()
            stop = self._stops[run.request.job]
            reporter = JobReporter(run.request.job, self._channel, stop)
            if stages is not None:
                stages.begin(run.request.job)
            work = functools.partial(run_job, runner, run, reporter, stages or NO_STAGES, self._coming(run, stages))
            try:
                final = traced(run.request.job, run.waited, data_folder() / TRACES, work) if run.trace else work()
            except DeviceLost as lost:
                self._channel.send(Broken("device.lost", str(lost)))
                os._exit(LOST)
            reporter.flush()
            del self._stops[run.request.job]
            self._channel.send(Said(final, fresh=stages is None or stages.hits == 0))
            give_back()

    def _coming(self, run: Run, stages: StageStore | None) -> list[Coming]:
        """The jobs that run next, each with its place in the store and the sign that it is wanted no longer."""
        return [
            Coming(request, NO_STAGES if stages is None else stages.beside(request.job), sign.is_set)
            for request in run.coming
            if (sign := self._guests.get(request.job)) is not None
        ]

    def _tell_vitals(self, pipeline: PipelineLike) -> None:
        """Runs in its own thread: tells what the worker holds, when that has changed."""
        last: Vitals | None = None
        with contextlib.suppress(BrokenPipeError):
            while True:
                now = Vitals(os.getpid(), resident_bytes(), accelerator_bytes(), pipeline.loaded())
                if last is None or now.models != last.models or _distance(now, last) > VITALS_CHANGE:
                    self._channel.send(now)
                    last = now
                time.sleep(VITALS_EVERY)

    @property
    def busy(self) -> bool:
        """Whether it has a job."""
        return bool(self._stops)

    def _read_commands(self) -> None:
        """Runs in its own thread, so that a job can be stopped while it works. Ends the process with the front."""
        for raw in self._commands:
            command = to_worker.decode(raw)
            if isinstance(command, Run):
                self._stops[command.request.job] = StopSign()
                before = self._guests
                self._guests = {one.job: before.get(one.job) or StopSign() for one in command.coming}
                self._channel.send(Took(command.request.job))
                self._runs.put(command)
            elif command.job in self._stops:
                self._stops[command.job].keep = command.keep
                self._stops[command.job].set()
            elif (guest := self._guests.pop(command.job, None)) is not None:
                guest.set()
        os._exit(0)


def run_job(
    pipeline: PipelineLike,
    run: Run,
    reporter: Reporter,
    stages: StageCache = NO_STAGES,
    coming: Sequence[Coming] = (),
) -> Event:
    """Runs one job to its final event; every error becomes one, but for `DeviceLost`."""
    request = run.request
    try:
        if isinstance(request, Listen):
            return pipeline.listen(request, reporter)
        return pipeline.render(
            request, Path(run.out), reporter, stages=stages, first_take=run.first_take, coming=coming
        )
    except JobCancelled:
        return Cancelled(request.job)
    except StembridgeError as error:
        refused = isinstance(error, RequestError)
        return Failed(request.job, error.code, error.message, error.field, error.hint, refused)
    except OSError as error:
        traceback.print_exc()
        gone = "The file was there when the job was accepted: put it back, or relink it, and ask again."
        hint = gone if isinstance(error, FileNotFoundError) else ""
        return Failed(request.job, "file.error", error.strerror or str(error), str(error.filename or ""), hint)
    except Exception as error:
        if is_out_of_memory(error):
            hint = "Ask for fewer stems or a shorter part, or close other programs."
            return Failed(request.job, "memory.full", "there is not enough memory for this job.", hint=hint)
        traceback.print_exc()
        if is_device_lost(error):
            raise DeviceLost(f"the GPU was lost: {str(error).splitlines()[0]}") from error
        hint = "This is a fault of stembridge; the engine's log holds the details."
        return Failed(request.job, "engine.fault", f"{type(error).__name__}: {error}", hint=hint)


def open_stages(gib: float, *, alone: bool = True) -> StageStore | None:
    """The user's store of finished stages, so large at most; None, which the log tells, where it cannot be opened.

    `alone`: no other worker uses it.
    """
    data = data_folder()
    program2hash()  # of the program as it is loaded now, whatever is installed while it runs
    try:
        return StageStore(data / DATABASE, data / "stages", round(gib * 2**30), alone=alone)
    except (StembridgeError, OSError) as error:
        print(f"finished stages are not kept: {error}", file=sys.stderr)
        return None


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, of the machine or of its accelerator: Python's own error, NumPy's, or torch's, or that
    there is no room for a thread's stack."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = ("allocate", "out of memory", "can't start new thread")
    return isinstance(error, RuntimeError) and any(words in str(error) for words in said)


def is_device_lost(error: Exception) -> bool:
    """Whether the accelerator has failed, so that no call of this process will reach it again: torch's own class for
    that, or what it says ("CUDA error: unspecified launch failure")."""
    if type(error).__name__ == "AcceleratorError":
        return True
    return isinstance(error, RuntimeError) and DEVICE_ERROR.match(str(error)) is not None


def _distance(one: Vitals, other: Vitals) -> int:
    return max(abs(one.memory_bytes - other.memory_bytes), abs(one.accelerator_bytes - other.accelerator_bytes))


@contextlib.contextmanager
def sole_worker(place: int = 0) -> Iterator[None]:
    """Waits until the worker that an engine which was killed had in this place is gone, so that no two write one take.

    Such a worker ends within moments, when it finds its front gone. Ends this process where it does not.
    """
    name = f"worker-{place}.lock" if place else "worker.lock"
    with sole_holder(make_private(data_folder()) / name, PREDECESSOR_SECONDS) as alone:
        if not alone:
            print("another worker uses this data folder", file=sys.stderr)
            raise SystemExit(1)
        yield


def load_pipeline(name: str) -> PipelineLike:
    """Makes the pipeline named "module:Class"."""
    module, _, attribute = name.partition(":")
    pipeline: PipelineLike = getattr(importlib.import_module(module), attribute)()
    return pipeline


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Takes standard input and output for the commands and events, and points their usual places elsewhere."""
    commands, events = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return os.fdopen(commands, "rb"), os.fdopen(events, "wb")


def main(argv: Sequence[str] | None = None) -> None:
    """Entry of the worker process."""
    parser = argparse.ArgumentParser(prog="engine.worker", description="Runs jobs for the engine's front process.")
    parser.add_argument("--pipeline", default=PIPELINE, help="module:Class that does the work")
    parser.add_argument("--stages-gib", type=float, default=STAGES_GIB, help="size of the store of finished stages")
    options = parser.parse_args(argv)
    few_heaps()
    commands, events = take_pipes()
    faulthandler.enable(sys.stderr)
    if hasattr(os, "nice"):
        os.nice(NICER)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = Worker(commands, Channel(events))
    with contextlib.suppress(BrokenPipeError), sole_worker():
        worker.serve(functools.partial(load_pipeline, options.pipeline), open_stages(options.stages_gib))


if __name__ == "__main__":
    main()
