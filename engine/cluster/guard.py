"""Ends what Ray has started on this machine when the engine that asked for it is gone, however it went.

Ray's own processes notice one after the other that nobody needs them, its agents only after half a minute. So the
engine starts this program beside a cluster of its own: it keeps a list of the engine's descendants, waits until the
engine's end of a pipe is closed, which the system does for an engine that was killed, and then kills what is left.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys

import psutil

LOOK_SECONDS = 1.0
"""Between two looks at who is there: by its parents alone nobody is found any more once they are dead."""


def start_guard() -> subprocess.Popen[bytes]:
    """A guard of all that this process starts, and what those start; it ends after this process."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "engine.cluster.guard", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def descendants(processes: set[psutil.Process]) -> set[psutil.Process]:
    """All that the processes have started, as far as they live."""
    found: set[psutil.Process] = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            found.update(process.children(recursive=True))
    return found


def guard(engine: psutil.Process) -> None:
    """Waits for the end of standard input, then kills all that the engine has left."""
    known: set[psutil.Process] = set()
    while not select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
        known = {process for process in descendants({engine}) if process.pid != os.getpid()}
    while known:
        known |= descendants(known)
        for process in known:
            with contextlib.suppress(psutil.Error):
                process.kill()
        known = set(psutil.wait_procs(known, timeout=0.1)[1])


if __name__ == "__main__":
    with contextlib.suppress(psutil.NoSuchProcess):
        guard(psutil.Process(int(sys.argv[1])))
