"""How a running job talks to its surroundings: progress, finished stems, and the wish to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Protocol, TypeVar

from bridge.handover.resume import Later
from bridge.messages import PieceReady, StemReady
from engine.trace import span

POLL_SECONDS = 0.05
Result = TypeVar("Result")
Tick = Callable[[float], None]
"""Called by long stages at every decoding or diffusion step with the stage's fraction 0-1; raises `JobCancelled`."""


def part_of(tick: Tick, start: float, end: float) -> Tick:
    """A tick for a stage that takes from `start` to `end` of the whole."""
    return lambda fraction: tick(start + (end - start) * fraction)


class JobCancelled(Exception):
    """Raised out of a stage when the user asked the job to stop."""


class JobPaused(JobCancelled, Later):
    """Raised in its place when the job will go on later: what is finished stays."""


class Reporter(Protocol):
    """Given to the pipeline by whoever runs it."""

    def progress(self, stage: str, fraction: float, note: str = "") -> None:
        """Tells how far the whole job is (0-1). Raises `JobCancelled` when the job shall stop."""

    def stem(self, event: StemReady) -> None:
        """Announces a stem that is complete on disk."""

    def piece(self, event: PieceReady) -> None:
        """Announces a stretch of a stem that is still being made."""


def wait_for(work: Future[Result], poll: Callable[[], object]) -> Result:
    """The result of work in another thread; `poll` is called every 50 ms meanwhile and may raise `JobCancelled`.

    So a job stops at once, however long a step of it is: the step's result is thrown away when it comes.
    """
    while not work.done():
        wait([work], POLL_SECONDS)
        if not work.done():
            poll()
    return work.result()


class Stopwatch:
    """Seconds spent per stage; stages that run side by side both count.

    `shared`: what was spent before, by stages whose result is used again (listening).
    """

    def __init__(self, shared: dict[str, float] | None = None) -> None:
        self._lock = threading.Lock()
        self.seconds: dict[str, float] = {"listen": shared["listen"]} if shared and "listen" in shared else {}

    @contextmanager
    def timing(self, stage: str, part: str = "") -> Iterator[None]:
        """Adds the time of a block to its stage, and to the job's timeline where one is recorded. `part`: of which."""
        started = time.perf_counter()
        try:
            with span(stage, part=part) if part else span(stage):
                yield
        finally:
            with self._lock:
                self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.perf_counter() - started, 3)


class ShareReporter:
    """Maps one take's fraction onto its share of the whole job."""

    def __init__(self, report: Reporter, start: float, width: float) -> None:
        self.report = report
        self._start = start
        self._width = width
        self._last = ("", 0.0)

    def progress(self, stage: str, fraction: float, note: str = "") -> None:
        """`fraction` of this take. Raises `JobCancelled`."""
        self._last = (stage, max(fraction, self._last[1]))
        self.report.progress(stage, self._start + self._width * fraction, note)

    def poll(self) -> None:
        """Says again how far it is. Raises `JobCancelled`."""
        self.progress(*self._last)

    def tick(self, stage: str, start: float, end: float) -> Tick:
        """A tick whose 0-1 is this stage's share of the take."""

        def tick(fraction: float) -> None:
            self.progress(stage, start + (end - start) * fraction)

        return tick
