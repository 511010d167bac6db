"""An actor's log: a file of its own among the engine's data, which the front takes into its log.

Ray's own forwarding would mix the actors' lines, and loses the last ones of an actor that dies.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from bridge.paths import data_folder
from bridge.transport.endpoint import make_private
from engine.worker_process import MAX_LOG_LINE


def place2log(place: int) -> Path:
    """Where the worker of that place writes."""
    return make_private(data_folder()) / f"worker-{place}.log"


def write_log(place: int) -> None:
    """Sends what this process writes to standard output and error there, from the file's end on."""
    file = os.open(place2log(place), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    sys.stdout, sys.stderr = Stubborn(1), Stubborn(2)
    faulthandler.enable(2)


class Stubborn(io.TextIOBase):
    """A stream to an open file; a disk that takes no more text disturbs nobody who writes."""

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        """The file's number."""
        return self._number

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """At once, UTF-8."""
        with contextlib.suppress(OSError):
            os.write(self._number, text.encode("utf-8", "replace"))
        return len(text)


class ActorLog:
    """The front's end of it, for the life of one actor: begins a new file."""

    def __init__(self, place: int) -> None:
        """Before the actor starts."""
        path = place2log(place)
        path.unlink(missing_ok=True)
        self._file = open(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600), "rb")  # noqa: SIM115 closed by __exit__
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def new_lines(self) -> list[str]:
        """What was written since the last call, but for a line that is not whole."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [line.decode("utf-8", "replace")[:MAX_LOG_LINE] for line in lines]
