"""Work on several things at a time, in order: pieces of a sound, the stems of a group, what is begun early."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.report import ShareReporter, Tick, wait_for

WORKED_ON = 2
"""So much is worked on at a time, and one result may wait."""
Result = TypeVar("Result")
Piece = TypeVar("Piece")


@dataclass(frozen=True)
class Hands:
    """Who works on a group, and its share of the take's progress."""

    pool: ThreadPoolExecutor
    share: ShareReporter
    at: float
    width: float

    def run(self, work: Callable[..., Result], *inputs: object) -> Result:
        """What the work gives; meanwhile a wish to stop is heard. Raises `JobCancelled`."""
        return wait_for(self.pool.submit(work, *inputs), self.share.poll)

    def each(self, work: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """What each piece of work, (function, its inputs...), gives, in order. Raises `JobCancelled`."""
        running: deque[Future[Any]] = deque()
        for function, *inputs in work:
            running.append(self.pool.submit(function, *inputs))
            if len(running) > WORKED_ON:
                yield wait_for(running.popleft(), self.share.poll)
        while running:
            yield wait_for(running.popleft(), self.share.poll)

    def tick(self, stage: str, start: float, end: float) -> Tick:
        """A tick for what takes from `start` to `end` of the group's time."""
        return self.share.tick(stage, self.at + self.width * start, self.at + self.width * end)


def in_turn(
    pool: ThreadPoolExecutor, work: Callable[[Piece], Result], inputs: Iterable[Piece], ahead: int
) -> Iterator[Result]:
    """Results in order; never more than `ahead` are worked on or wait."""
    running: deque[Future[Result]] = deque()
    for one in inputs:
        running.append(pool.submit(work, one))
        if len(running) > ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


@contextmanager
def begun(items: Generator[Result], poll: Callable[[], object]) -> Iterator[Iterator[Result]]:
    """The items, the first of which is being made in another thread from now on; while it is waited for, `poll` is
    called, which may raise `JobCancelled`."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="begun")
    first = pool.submit(next, items, None)

    def each() -> Iterator[Result]:
        item = wait_for(first, poll)
        if item is not None:
            yield item
            yield from items

    try:
        yield each()
    finally:
        pool.shutdown()
        items.close()
