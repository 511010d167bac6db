"""The front's handle on a worker that is a Ray actor. Nothing here waits in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bridge.errors import StembridgeError
from engine.cluster.join import Cluster
from engine.cluster.log import ActorLog
from engine.keeper import OnExit, OnMessage
from engine.wire import Broken, ToWorker, from_worker, line
from engine.worker_process import LAST_WORDS, worker_log

if TYPE_CHECKING:
    from ray.actor import ActorHandle

log = logging.getLogger(__name__)


class ActorWorker:
    """One started actor: an `engine.keeper.WorkerHandle`."""

    def __init__(
        self, cluster: Cluster, place: int, pipeline: str, stages_gib: float, on_message: OnMessage, on_exit: OnExit
    ) -> None:
        """Starts the worker of that `place`. Call in a running event loop; returns at once."""
        self._cluster = cluster
        self._place = place
        self._options = (pipeline, stages_gib)
        self._on_message = on_message
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._actor: ActorHandle[Any] | None = None
        self._killed = False
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        self._thread = threading.Thread(target=self._live, name=f"actor {place}", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """For the log."""
        return f"ray actor {self._place}"

    @property
    def last_words(self) -> str:
        """The end of what it has written to its log."""
        return "\n".join(self._words.copy())

    def send(self, message: ToWorker) -> None:
        """Queues a command; one that a dying actor does not read is lost, and `on_exit` tells."""
        with self._lock:
            if self._actor is not None and not self._killed:
                self._actor.tell.options(concurrency_group="talk").remote(line(message))

    def kill(self) -> None:
        """Ends the actor at once; `on_exit` follows."""
        with self._lock:
            self._killed = True
            self._end()

    def join(self, seconds: float = 2.0) -> None:
        """Waits until a killed actor is gone."""
        self._thread.join(seconds)

    def _live(self) -> None:
        """From birth to death, in a thread of its own."""
        how = "killed"
        try:
            self._cluster.connect()
            with ActorLog(self._place) as written:
                with self._lock:
                    if not self._killed:
                        self._actor = self._cluster.start_worker(self._place, *self._options)
                if self._actor is not None:
                    how = self._hear(self._actor, written)
        except StembridgeError as error:
            how = str(error)
            self._call(self._on_message, Broken(error.code, error.message, error.hint))
        except Exception as error:  # of any kind: a worker whose end is not told would be waited for
            log.exception("%s could not be started", self.name)
            how = f"{type(error).__name__}: {error}"
        self._call(self._on_exit, how)

    def _hear(self, actor: ActorHandle[Any], written: ActorLog) -> str:
        """Takes in what the actor says, and writes to its log, until it is gone; returns how it went."""
        import ray

        try:
            while True:
                lines: list[bytes] | None = ray.get(actor.hear.options(concurrency_group="talk").remote())
                self._log(written)
                if lines is None:
                    with self._lock:
                        self._end()
                    return "it has ended itself"
                for said in lines:
                    self._call(self._on_message, from_worker.decode(said))
        except ray.exceptions.RayActorError as error:
            reason = str(error).splitlines()
            return next((text.strip() for text in reversed(reason) if text.strip()), "the actor died")
        except ray.exceptions.RayError as error:
            return str(error).splitlines()[0]
        finally:
            self._log(written)

    def _log(self, written: ActorLog) -> None:
        for words in written.new_lines():
            self._words.append(words)
            worker_log.info("%s", words)

    def _end(self) -> None:
        if self._actor is not None:
            import ray

            with contextlib.suppress(Exception):  # Ray is gone already
                ray.kill(self._actor)

    def _call(self, function: Callable[..., None], argument: object) -> None:
        """Calls back in the event loop, unless that has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, self, argument)
