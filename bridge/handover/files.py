"""Files that are whole or absent: temp name, fsync, rename; disk errors that say what to do.

A name that exists is never written again: DAWs cache peaks by file name, and a take is never damaged.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bridge.errors import JobError, StembridgeError

PART_SUFFIX = ".part"
PROBES = f".stembridge-*{PART_SUFFIX}"
"""What `check_writable` writes and removes."""

_FULL = {errno.ENOSPC, errno.EFBIG, *(getattr(errno, name) for name in ("EDQUOT",) if hasattr(errno, name))}
_READONLY = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_HARD_LINKS = {
    errno.EPERM,
    errno.EMLINK,
    errno.ENOSYS,
    *(getattr(errno, name) for name in ("ENOTSUP", "EOPNOTSUPP") if hasattr(errno, name)),
}


class Sink:
    """What `atomic` gives to write into: `write` as of a binary file, and the SHA-256 of all that was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        """Appends `data`; returns its length in bytes."""
        self._hash.update(data)
        return self._file.write(data)

    @property
    def sha256(self) -> str:
        """Hex digest of everything written so far."""
        return self._hash.hexdigest()


@contextmanager
def atomic(path: Path) -> Iterator[Sink]:
    """A file that appears at `path` complete, or not at all; written from front to back, and hashed on the way.

    Otherwise as `whole_file`.
    """
    with whole_file(path) as file:
        yield Sink(file)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears at `path` complete, or not at all.

    Writes beside it under a hidden name, syncs to disk, then gives it its name. Raises `JobError`:
    `disk.exists` when `path` is taken, `disk.full`, `disk.readonly` or `disk.failed` when the disk refuses.
    Whatever ends the block early (an error, a cancelled job, Ctrl-C) leaves nothing behind.
    """
    if os.path.lexists(path):
        raise _taken(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART_SUFFIX}")
    try:
        with _open_new(part) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _publish(part, path)
        sync_folder(path.parent)
    except OSError as error:
        if error.filename is not None and Path(os.fsdecode(error.filename)) not in (part, path, path.parent):
            raise
        raise disk_error(error, path) from error
    finally:
        remove_quietly(part)


def check_writable(
    folder: Path, bytes_needed: int, *, error: type[StembridgeError] = JobError, field: str = ""
) -> None:
    """Makes sure that `bytes_needed` can be written into `folder`, which need not exist yet; leaves nothing behind.

    Raises `error` (give `RequestError` before a job is accepted) with code `disk.full`, `disk.readonly`
    or `disk.not_a_folder`; `field` names the value of the request that asked for this folder.
    """
    home = folder
    while not os.path.lexists(home) and home != home.parent:
        home = home.parent
    if not home.is_dir():
        raise error(
            "disk.not_a_folder",
            f'"{home}" is not a folder.',
            field=field,
            hint="Choose another folder for the results.",
        )
    probe = home / f".stembridge-{secrets.token_hex(4)}{PART_SUFFIX}"
    try:
        with _open_new(probe) as file:
            file.write(b"\0")
        free = shutil.disk_usage(home).free
    except OSError as failure:
        told = disk_error(failure, home)
        raise error(told.code, told.message, field=field, hint=told.hint) from failure
    finally:
        remove_quietly(probe)
    if free < bytes_needed:
        raise error(
            "disk.full",
            f'the disk of "{home}" has {_megabytes(free)} free; this needs {_megabytes(bytes_needed)}.',
            field=field,
            hint="Free some space, or choose a folder on another disk.",
        )


def remove_quietly(path: Path) -> None:
    """Removes a file of ours, if it is there and the disk lets us: what went wrong before is what shall be told."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def disk_error(error: OSError, path: Path) -> JobError:
    """What an `OSError` from writing `path` means to a musician."""
    if error.errno in _FULL:
        return JobError(
            "disk.full",
            f'there is no space left to write "{path}".',
            hint="Free some space (or raise the quota) and ask again; the unfinished file was removed.",
        )
    if error.errno in _READONLY:
        return JobError(
            "disk.readonly",
            f'"{path}" cannot be written: {_reason(error)}.',
            hint="Allow writing to this folder, or choose another one for the results.",
        )
    if error.errno == errno.EEXIST:
        return _taken(path)
    return JobError(
        "disk.failed",
        f'"{path}" could not be written: {_reason(error)}.',
        hint="Check the disk and the folder, then ask again.",
    )


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` survive a power cut (Windows does so by itself)."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, data: bytes) -> str:
    """Writes `data` to the new file `path`, whole or not at all; returns its SHA-256."""
    with atomic(path) as sink:
        sink.write(data)
        return sink.sha256


def _open_new(path: Path) -> BinaryIO:
    return open(path, "xb")


def _publish(part: Path, path: Path) -> None:
    """Gives `part` its final name without ever replacing a file that has it."""
    if sys.platform == "win32":
        os.rename(part, path)
        return
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # FAT and some network disks have no hard links. A rename would replace silently, so look first:
        # take folders belong to one writer, and nobody else makes names in them.
        if os.path.lexists(path):
            raise _taken(path) from error
        os.rename(part, path)


def _taken(path: Path) -> JobError:
    return JobError(
        "disk.exists",
        f'"{path}" exists already; nothing is ever overwritten.',
        hint="Ask for a new take or another folder.",
    )


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
