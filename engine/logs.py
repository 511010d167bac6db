"""The engine's log: one JSON object a line, of bounded size, with the job that each line is about.

    {"time": "2026-03-01T12:00:00.123Z", "level": "info", "from": "engine.runner", "job": "song-1", "text": "accepted"}

`job` is there where a job is meant; what the worker's libraries print belongs to the job that it has. An error's
traceback is under `error`. Times are UTC. A terminal gets the same as plain lines.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

LOG_BYTES, LOG_FILES = 1 << 20, 3
LEVELS = ("debug", "info", "warning", "error")
WORKER = "worker"
"""The logger of what workers print."""


class JsonLine(logging.Formatter):
    """A record as one line of JSON. `job_of_worker()` is the job that the worker has; empty for none."""

    def __init__(self, job_of_worker: Callable[[], str] = lambda: "") -> None:
        super().__init__()
        self.job_of_worker = job_of_worker

    def format(self, record: logging.LogRecord) -> str:
        """Never raises: what JSON cannot hold is replaced."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        job = getattr(record, "job", "") or (self.job_of_worker() if record.name == WORKER else "")
        said: dict[str, object] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "from": record.name,
            **({"job": job} if job else {}),
            "text": _clean(record.getMessage()),
        }
        if record.exc_info:
            said["error"] = _clean(self.formatException(record.exc_info))
        return msgspec.json.encode(said).decode()


class JobFirst(logging.Formatter):
    """For people: the job before the text."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        job = getattr(record, "job", "")
        line = super().format(record)
        return f"{line} [{job}]" if job else line


def _clean(text: str) -> str:
    """Without lone surrogates, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


@contextlib.contextmanager
def logging_to(path: Path, level: str = "info") -> Iterator[JsonLine]:
    """Sends all log records of `level` and above to a file of bounded size, and to the terminal where there is one.

    A disk that takes no more records disturbs nothing else.
    """
    root, complaining, before = logging.getLogger(), logging.raiseExceptions, logging.getLogger().level
    form = JsonLine()
    file = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES - 1, encoding="utf-8")
    file.setFormatter(form)
    handlers: list[logging.Handler] = [file]
    if sys.stderr is not None and sys.stderr.isatty():
        handlers.append(logging.StreamHandler())
        handlers[-1].setFormatter(JobFirst("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level.upper())
    logging.raiseExceptions = False
    try:
        yield form
    finally:
        root.setLevel(before)
        for handler in handlers:
            root.removeHandler(handler)
            with contextlib.suppress(OSError):
                handler.close()
        logging.raiseExceptions = complaining
