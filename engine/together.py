"""Takes of one job made side by side: how far the job is then, and their results in order.

One take that breaks does not take the others along: what is under way is finished first, and no more is begun.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from bridge.messages import PieceReady, StemReady
from engine.report import POLL_SECONDS, Reporter, ShareReporter, wait_for

Result = TypeVar("Result")


class Lanes:
    """One reporter for takes that may be made at the same time: the job is as far as they are on average."""

    def __init__(self, report: Reporter, takes: int) -> None:
        """Nothing is told yet."""
        self.report = report
        self._far = [0.0] * takes
        self._said = ("", "")
        self._lock = threading.Lock()

    def share(self, number: int) -> ShareReporter:
        """For the take of that number, from 0."""
        return ShareReporter(Lane(self, number), 0.0, 1.0)

    def progress(self, number: int, stage: str, fraction: float, note: str) -> None:
        """How far one take is. Raises `JobCancelled`."""
        with self._lock:
            self._far[number], self._said = fraction, (stage, note)
            self._tell()

    def whole(self, number: int, make: Callable[[], Result]) -> Result:
        """What `make` makes of the take, which is whole then."""
        result = make()
        self.finish(number)
        return result

    def finish(self, number: int) -> None:
        """The take is whole."""
        with self._lock:
            self._far[number] = 1.0

    def poll(self) -> None:
        """Says again how far the job is. Raises `JobCancelled`."""
        with self._lock:
            self._tell()

    def stem(self, event: StemReady) -> None:
        """See `engine.report.Reporter`."""
        with self._lock:
            self.report.stem(event)

    def piece(self, event: PieceReady) -> None:
        """See `engine.report.Reporter`."""
        with self._lock:
            self.report.piece(event)

    def _tell(self) -> None:
        stage, note = self._said
        self.report.progress(stage, sum(self._far) / len(self._far), note)


@dataclass(frozen=True)
class Lane:
    """One take's `Reporter`."""

    lanes: Lanes
    number: int

    def progress(self, stage: str, fraction: float, note: str = "") -> None:
        """See `engine.report.Reporter`."""
        self.lanes.progress(self.number, stage, fraction, note)

    def stem(self, event: StemReady) -> None:
        """See `engine.report.Reporter`."""
        self.lanes.stem(event)

    def piece(self, event: PieceReady) -> None:
        """See `engine.report.Reporter`."""
        self.lanes.piece(event)


class Together(Generic[Result]):
    """Work in threads, so many pieces at a time at most; one at a time is done by the caller's own thread. Leaving the
    block waits for what is under way."""

    def __init__(self, limit: int, poll: Callable[[], object]) -> None:
        """`poll` is called while it waits and may raise `JobCancelled`, as the work itself then does."""
        self._limit = limit
        self._poll = poll
        self._pool = ThreadPoolExecutor(limit, thread_name_prefix="take")
        self._work: list[Future[Result]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)

    def known(self, result: Result) -> None:
        """A result that needs no work."""
        self._work.append(Future())
        self._work[-1].set_result(result)

    def add(self, work: Callable[[], Result]) -> None:
        """Begins the work when there is room. Raises what broke of earlier work."""
        if self._limit == 1:
            self.known(work())
            return
        while sum(not other.done() for other in self._work) >= self._limit:
            wait([other for other in self._work if not other.done()], POLL_SECONDS, FIRST_COMPLETED)
            self._poll()
        for other in self._work:
            if other.done():
                other.result()
        self._work.append(self._pool.submit(work))

    def results(self) -> list[Result]:
        """All results in the order in which their work was added. Raises the first error in that order."""
        return [wait_for(work, self._poll) for work in self._work]
