"""What a group of matched stems is worked on with: hands that hear a wish to stop, and parts that lie on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from bridge.handover.files import disk_error
from engine.report import ShareReporter, Tick, wait_for
from engine.splice import Audio

Result = TypeVar("Result")


@dataclass(frozen=True)
class Spooled:
    """A part's sound, float32 [2, length], the `number`th in a file."""

    file: IO[bytes]
    number: int
    length: int

    def write(self, audio: Audio) -> None:
        """Puts it there. Raises `JobError` where the disk is full."""
        try:
            self.file.seek(8 * self.length * self.number)
            self.file.write(np.ascontiguousarray(audio, np.float32).data)
            self.file.flush()
        except OSError as error:
            raise disk_error(error, Path(tempfile.gettempdir())) from error

    def view(self) -> Audio:
        """Read only, without a place in memory of its own."""
        return np.memmap(self.file, np.float32, "r", 8 * self.length * self.number, (2, self.length))

    def read(self) -> Audio:
        """A copy in memory."""
        return np.array(self.view())


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

    def tick(self, stage: str, start: float, end: float) -> Tick:
        """A tick for what takes from `start` to `end` of the group's time."""
        return self.share.tick(stage, self.at + self.width * start, self.at + self.width * end)
