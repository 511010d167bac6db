"""The codes of a request's takes, written in one batch: weights are read once for all of them at each step.

A take alone is heard while it is written; several are written first, in little more time than one, and heard while
they are rendered. The codes are those that each would get alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from bridge.errors import JobError
from engine.report import JobCancelled, Tick, wait_for
from engine.song.making import Machine
from engine.song.plan import SongPlan

if TYPE_CHECKING:
    from torch import Tensor


class Writers(Machine, Protocol):
    """A machine that writes several songs at once."""

    def write_several(
        self, plan: SongPlan, prompts: Sequence[Tensor | None], seeds: Sequence[int], tick: Tick
    ) -> list[Tensor]:
        """Codes int64 [3, T] for each prompt and seed."""


def write_together(
    machine: Writers, plan: SongPlan, seeds: Sequence[int], tick: Tick, poll: Callable[[], object]
) -> list[Tensor]:
    """Codes of each seed's song. `tick` is called at every step, `poll` every 50 ms; either may raise `JobCancelled`,
    which takes effect at once: the thread that writes ends at its next step. Raises `JobError`, `RequestError`."""
    stop = threading.Event()

    def step(fraction: float) -> None:
        if stop.is_set():
            raise JobCancelled
        tick(fraction)

    def work() -> list[Tensor]:
        with machine.busy:
            machine.prepare(plan, lambda fraction: step(0.0))
            prompts = [machine.hear_prompt(plan.prompt, seed, lambda fraction: step(0.0))[0] for seed in seeds]
            codes = machine.write_several(plan, prompts, seeds, step)
            if not machine.streams:
                machine.unload_writer()
        if any(song.shape[1] == 0 for song in codes):
            raise JobError("song.empty", "the model ended a song before it began.", hint="Ask with another seed.")
        return codes

    pool = ThreadPoolExecutor(1, thread_name_prefix="songs")
    try:
        return wait_for(pool.submit(work), poll)
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
