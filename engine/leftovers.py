"""What jobs leave on disk that nobody needs any more, and the logs of those that were given up.

All of it blocks: call it in a thread.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from bridge.handover.files import PROBES

log = logging.getLogger(__name__)


def write_log(path: Path, text: str) -> None:
    """Keeps the last words of a job's worker."""
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        log.error("%s cannot be written: %s", path, error)


def remove_logs(folder: Path, known: Collection[str]) -> None:
    """Removes the logs of parked jobs that are forgotten."""
    for path in folder.glob("*.log"):
        if path.name not in known:
            with contextlib.suppress(OSError):
                path.unlink()


def remove_probes(folders: Sequence[Path]) -> None:
    """Removes what a look at the free space of jobs' folders has left, where that was broken off."""
    for home in {home for folder in folders for home in (folder, *folder.parents[:2])}:
        for probe in home.glob(PROBES):
            with contextlib.suppress(OSError):
                probe.unlink()


def remove_unfinished(folder: Path) -> None:
    """Removes a job's takes without a manifest (it is written last), and its folder where nothing else is in it."""
    if not folder.is_dir():
        return
    for take in folder.glob("take-*"):
        if not (take / "manifest.json").exists():
            shutil.rmtree(take, ignore_errors=True)
    try:
        folder.rmdir()
    except OSError:
        log.info("%s keeps what was finished", folder)
