"""What runs inside a Ray actor: the same worker as in a process of its own, and stems for other workers."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import traceback
from typing import TYPE_CHECKING, ClassVar

from bridge.errors import StembridgeError
from engine.cluster.helping import Peers, is_helpful
from engine.cluster.log import write_log
from engine.memory import few_heaps
from engine.stages import program2hash
from engine.worker import NICER, Channel, PipelineLike, Worker, load_pipeline, open_stages, sole_worker

if TYPE_CHECKING:
    from engine.helpers import StemTask
    from engine.sounds import Sound

HEAR_SECONDS = 1.0
"""So long the front's question waits for something to be said."""


class WorkerActor:
    """Runs jobs on the front's machine; while it has none, plays stems for other workers."""

    THREADS: ClassVar = {"talk": 3, "help": 1}
    """Ray's concurrency groups: so many calls of each at a time."""

    def __init__(self, name: str, place: int, pipeline: str, stages_gib: float) -> None:
        """`place`: which of the engine's workers it is, from 0."""
        few_heaps()
        write_log(place)
        print(f"{name}, process {os.getpid()}", file=sys.stderr, flush=True)
        if hasattr(os, "nice"):
            os.nice(NICER)
        self._name = name
        self._helpful: PipelineLike | None = None
        commands, self._commands = os.pipe()
        self._events, events = os.pipe()
        self._said: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._worker = Worker(os.fdopen(commands, "rb"), Channel(os.fdopen(events, "wb")))
        threading.Thread(target=self._serve, args=(place, pipeline, stages_gib), name="jobs", daemon=True).start()
        threading.Thread(target=self._listen, name="events", daemon=True).start()

    def tell(self, line: bytes) -> None:
        """A command (`engine.wire`) for the worker."""
        os.write(self._commands, line)

    def hear(self) -> list[bytes] | None:
        """What the worker has said since the last call, as lines; waits a moment for something. None: it has ended."""
        lines: list[bytes] = []
        with contextlib.suppress(queue.Empty):
            line = self._said.get(timeout=HEAR_SECONDS)
            while line is not None:
                lines.append(line)
                line = self._said.get_nowait()
            self._said.put(None)
            return lines or None
        return lines

    def stem(self, task: StemTask) -> Sound | None:
        """See `engine.helpers.Helper`; it has its own job first."""
        pipeline = self._helpful
        if pipeline is None or self._worker.busy or not is_helpful(pipeline):
            return None
        return pipeline.stem(task)

    def _serve(self, place: int, pipeline: str, stages_gib: float) -> None:
        def load() -> PipelineLike:
            loaded = load_pipeline(pipeline)
            if is_helpful(loaded):
                loaded.helpers = Peers(self._name)
            self._helpful = loaded
            return loaded

        try:
            with sole_worker(place):
                self._worker.serve(load, open_stages(stages_gib, alone=False))
        except SystemExit:
            pass
        except BaseException:
            traceback.print_exc()
        self._said.put(None)

    def _listen(self) -> None:
        with os.fdopen(self._events, "rb") as events:
            for line in events:
                self._said.put(line)


class HelperActor:
    """Plays stems for the workers on the front's machine, from another one."""

    THREADS: ClassVar = {"help": 1}

    def __init__(self, program: str) -> None:
        """`program`: the front's `program2hash`. Raises `StembridgeError` where another version is installed here."""
        if program2hash() != program:
            raise StembridgeError("ray.version", "another version of stembridge is installed on this machine.")
        few_heaps()
        from engine.pipeline import Pipeline

        if hasattr(os, "nice"):
            os.nice(NICER)
        self._pipeline = Pipeline()

    def stem(self, task: StemTask) -> Sound | None:
        """See `engine.helpers.Helper`."""
        return self._pipeline.stem(task)
