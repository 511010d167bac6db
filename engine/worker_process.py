"""The front's handle on its worker process: start, send, hear, kill. Nothing here waits in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO

import msgspec

from engine.wire import FromWorker, ToWorker, from_worker, line

log = logging.getLogger(__name__)
worker_log = logging.getLogger("worker")
MAX_LOG_LINE = 2000
LAST_WORDS = 200
"""Lines of a worker's log that are kept, for the case that it dies."""


class WorkerProcess:
    """One started worker process: an `engine.keeper.WorkerHandle`."""

    def __init__(
        self,
        options: Sequence[str],
        on_message: Callable[[WorkerProcess, FromWorker], None],
        on_exit: Callable[[WorkerProcess, str], None],
    ) -> None:
        """Starts `engine.worker` with these options. Call in a running event loop. Raises OSError where it cannot be
        started."""
        self._loop = asyncio.get_running_loop()
        self._on_message = on_message
        self._on_exit = on_exit
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.worker", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            close_fds=True,
        )
        self._commands: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        self._threads = [
            threading.Thread(target=work, name=f"worker {name}", daemon=True)
            for name, work in (("commands", self._write), ("events", self._read), ("log", self._log))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def name(self) -> str:
        """For the log."""
        return f"worker {self._process.pid}"

    @property
    def last_words(self) -> str:
        """The end of what it has written to its log."""
        return "\n".join(self._words.copy())

    def send(self, message: ToWorker) -> None:
        """Queues a command; one that a dying worker does not read is lost, and `on_exit` tells."""
        self._commands.put(line(message))

    def kill(self) -> None:
        """Ends the process at once; `on_exit` follows."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def join(self, seconds: float = 2.0) -> None:
        """Waits until a killed process is gone. Raises nothing: the system ends it when it can."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError):
            while (data := self._commands.get()) is not None:
                pipe.write(data)
                pipe.flush()
        with contextlib.suppress(OSError):
            pipe.close()

    def _read(self) -> None:
        for raw in _lines(self._process.stdout):
            try:
                message = from_worker.decode(raw)
            except msgspec.MsgspecError as error:
                log.error("the worker sent what is no message: %s", error)
                continue
            self._call(self._on_message, message)
        code = self._process.wait()
        self._threads[2].join(1.0)
        self._commands.put(None)
        self._call(self._on_exit, f"signal {-code}" if code < 0 else f"exit code {code}")

    def _log(self) -> None:
        for raw in _lines(self._process.stderr):
            words = raw.decode("utf-8", "replace").rstrip()[:MAX_LOG_LINE]
            self._words.append(words)
            worker_log.info("%s", words)

    def _call(self, function: Callable[..., None], argument: object) -> None:
        """Calls back in the event loop, unless that has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, self, argument)


def _lines(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
