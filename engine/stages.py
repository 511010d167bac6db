"""Finished stages are kept under a hash of what they were made from, and not made again. Values and rules only; the
files are `engine.store.stages`'.

A stage is a pure function of its inputs and of the program: the key holds a hash of both.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from bridge.messages import Render

log = logging.getLogger(__name__)


class Pieces(Protocol):
    """A long value that is read in pieces, as often as it is asked for."""

    @property
    def nbytes(self) -> int:
        """Length of all pieces."""

    def __bytes__(self) -> bytes:
        """All of it."""

    def __iter__(self) -> Iterator[bytes]:
        """One after the other."""


Chunk = bytes | memoryview | Pieces
Result = TypeVar("Result")


class StageCache(Protocol):
    """Where finished stages lie."""

    def get(self, key: str) -> bytes | None:
        """What was put under the key; None where nothing is, or it was damaged since."""

    def put(self, key: str, *chunks: Chunk) -> None:
        """Keeps the chunks as one value. A disk that refuses it is logged: the stage is made again when it must."""


class NoStages:
    """Keeps nothing."""

    def get(self, key: str) -> bytes | None:
        """See `StageCache`."""
        return None

    def put(self, key: str, *chunks: Chunk) -> None:
        """See `StageCache`."""


NO_STAGES = NoStages()


def kept(
    stages: StageCache,
    key: str,
    make: Callable[[], Result],
    pack: Callable[[Result], Sequence[Chunk]],
    unpack: Callable[[bytes], Result],
) -> Result:
    """The stage's result: what was kept of it, or made now and kept. The same either way, to the bit.

    A thread that makes it already (of an attempt that was paused just now) is waited for.
    """
    with _alone(key):
        raw = stages.get(key)
        if raw is not None:
            return unpack(raw)
        result = make()
        stages.put(key, *pack(result))
        return result


_in_work: set[str] = set()
_changed = threading.Condition()


@contextlib.contextmanager
def _alone(key: str) -> Iterator[None]:
    """Lets one thread at a time make the stage."""
    with _changed:
        _changed.wait_for(lambda: key not in _in_work)
        _in_work.add(key)
    try:
        yield
    finally:
        with _changed:
            _in_work.remove(key)
            _changed.notify_all()


def kept_json(stages: StageCache, key: str, kind: type[Result], make: Callable[[], Result]) -> Result:
    """The same for a value that msgspec turns into JSON and back without loss."""
    raw = stages.get(key)
    if raw is not None:
        return decode(raw, kind)
    result = make()
    put_json(stages, key, result)
    return result


def put_json(stages: StageCache, key: str, value: object) -> None:
    """Keeps a value as JSON, to be read back by `decode`. One that holds what JSON cannot say to the bit (NumPy's
    numbers) is not kept, which the log tells; its stage is made again when it must."""
    try:
        raw = msgspec.json.encode(value)
    except TypeError as error:
        log.warning("a finished stage could not be kept: %s", error)
    else:
        stages.put(key, raw)


def decode(raw: bytes, kind: type[Result]) -> Result:
    """A value of `kind` from JSON."""
    return msgspec.json.decode(raw, type=kind)


def stage2key(stage: str, *inputs: object) -> str:
    """The key of a stage that was made from these inputs (bytes, or what msgspec can write as JSON) by this program."""
    digest = hashlib.sha256(f"{program2hash()} {stage}".encode())
    for value in inputs:
        raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
        digest.update(f" {len(raw)} ".encode())
        digest.update(raw)
    return digest.hexdigest()


def request2inputs(request: Render) -> list[object]:
    """All of a request that its takes depend on: what it says, but for names of job and folders, and the contents of
    the files that it names. Raises OSError where one has vanished."""
    said = msgspec.structs.replace(
        request,
        job="",
        takes=1,
        priority="interactive",
        time_limit=None,
        trace=False,
        project=msgspec.structs.replace(request.project, out="", root=""),
    )
    arrangement = request.arrangement
    paths = [track.midi or track.audio for track in arrangement.tracks]
    paths += [reference.audio for reference in arrangement.references]
    paths += [request.soundfont or None]
    return [said, *(file2hash(Path(path)) for path in paths if path)]


def file2hash(path: Path) -> str:
    """SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def program2hash() -> str:
    """A hash of all code and weights that can shape a result: a changed program finds nothing of an earlier one."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted([*(root / "engine").rglob("*"), *(root / "bridge").rglob("*.py")]):
        if path.suffix in (".py", ".json", ".groove", ".toml", ".txt"):
            digest.update(path.name.encode() + path.read_bytes())
        elif path.is_file() and path.suffix != ".pyc":
            status = path.stat()
            digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()
