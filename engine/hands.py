"""What a group of matched stems is worked on with: hands that hear a wish to stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.report import ShareReporter, Tick, wait_for

WORKED_ON = 2
"""So much is worked on at a time, and one result may wait."""
Result = TypeVar("Result")


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
