"""Finished stages on disk: small ones in the database, large ones as files named by the hash of their content.

    stages/ab/abcdef...     one value; appears whole, by renaming

Bounded by size: the least recently used go first, but never one that a job which is not over has used or made, for
that job's take would have to be begun anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.stages import Chunk, StageCache
from engine.store.database import open_database

SMALL = 64 << 10
"""Values up to so many bytes lie in the database."""
PART = ".part"
WRITTEN_WITHIN = 3600.0
"""Seconds in which a value that another process writes is whole and in the database."""

_EVICTABLE = """
    SELECT key, digest, size FROM stages WHERE key NOT IN (
        SELECT uses.key FROM uses JOIN jobs ON jobs.id = uses.job WHERE jobs.final IS NULL)
    ORDER BY used
"""

log = logging.getLogger(__name__)


class StageStore:
    """An `engine.stages.StageCache`; any thread may use it. `begin` says for which job."""

    def __init__(self, database: Path, folder: Path, max_bytes: int, *, alone: bool = True) -> None:
        """Opens the store and removes what an earlier process left half-written, unless other processes use it as well
        (not `alone`): then, what nobody can be writing any more. Raises `StembridgeError`, OSError."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._job = ""
        self.hits = 0
        """Values found since `begin`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._connection = open_database(database)
        known = {digest for (digest,) in self._connection.execute("SELECT digest FROM stages WHERE value IS NULL")}
        long_ago = time.time() - WRITTEN_WITHIN
        for path in folder.glob("*/*"):
            if path.name not in known and (alone or path.stat().st_mtime < long_ago):
                path.unlink(missing_ok=True)

    def begin(self, job: str) -> None:
        """From now on this job uses the store."""
        with self._lock:
            self._job, self.hits = job, 0
            self._write("DELETE FROM uses WHERE job NOT IN (SELECT id FROM jobs WHERE final IS NULL)")

    def beside(self, job: str) -> StageCache:
        """The same store for a job that waits, while the one that `begin` named runs."""
        return _Beside(self, job)

    def get(self, key: str) -> bytes | None:
        """See `StageCache`."""
        value = self.find(key, self._job)
        self.hits += value is not None
        return value

    def put(self, key: str, *chunks: Chunk) -> None:
        """See `StageCache`."""
        self.keep(key, self._job, *chunks)

    def find(self, key: str, job: str) -> bytes | None:
        """What was put under the key, which this job uses then."""
        with self._lock:
            row = self._connection.execute("SELECT digest, value FROM stages WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            digest, value = row
            if value is None:
                value = self._read(digest)
            if value is None or hashlib.sha256(value).hexdigest() != digest:
                log.warning("a kept stage was damaged; it is made again")
                self._drop(key, digest)
                return None
            self._use(key, job)
            return bytes(value)

    def keep(self, key: str, job: str, *chunks: Chunk) -> None:
        """Puts what this job has made."""
        size = sum(len(chunk) if isinstance(chunk, bytes) else chunk.nbytes for chunk in chunks)
        digest = hashlib.sha256()
        for piece in _pieces(chunks):
            digest.update(piece)
        name = digest.hexdigest()
        try:
            value = b"".join(_pieces(chunks)) if size <= SMALL else None
            if value is None:
                self._write_file(name, chunks)
            with self._lock:
                sql = "INSERT OR REPLACE INTO stages (key, digest, size, value, used) VALUES (?, ?, ?, ?, 0)"
                self._connection.execute(sql, (key, name, size, value))
                self._use(key, job)
                self._make_room()
        except (OSError, sqlite3.Error) as error:
            log.warning("a finished stage could not be kept: %s", error)

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._connection.close()

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest

    def _read(self, digest: str) -> bytes | None:
        try:
            return self._path(digest).read_bytes()
        except OSError:
            return None

    def _write_file(self, digest: str, chunks: tuple[Chunk, ...]) -> None:
        """No fsync: after a power cut the hash tells a file that is not whole."""
        path = self._path(digest)
        if path.exists():
            return
        path.parent.mkdir(mode=0o700, exist_ok=True)
        part = path.with_name(f".{secrets.token_hex(4)}{PART}")
        try:
            with part.open("xb") as file:
                for piece in _pieces(chunks):
                    file.write(piece)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def _use(self, key: str, job: str) -> None:
        """Counts, for a clock may be set back."""
        self._write("UPDATE stages SET used = (SELECT max(used) + 1 FROM stages) WHERE key = ?", key)
        self._write("INSERT OR IGNORE INTO uses (job, key) VALUES (?, ?)", job, key)

    def _write(self, sql: str, *values: str) -> None:
        """Bookkeeping: what cannot be written now costs order, not results."""
        try:
            self._connection.execute(sql, values)
        except sqlite3.Error as error:
            log.warning("the store of stages cannot be written: %s", error)

    def _drop(self, key: str, digest: str) -> None:
        self._write("DELETE FROM stages WHERE key = ?", key)
        self._write("DELETE FROM uses WHERE key = ?", key)
        (others,) = self._connection.execute("SELECT count(*) FROM stages WHERE digest = ?", (digest,)).fetchone()
        if not others:
            with contextlib.suppress(OSError):
                self._path(digest).unlink(missing_ok=True)

    def _make_room(self) -> None:
        (total,) = self._connection.execute("SELECT coalesce(sum(size), 0) FROM stages").fetchone()
        if total <= self._max_bytes:
            return
        for key, digest, size in self._connection.execute(_EVICTABLE).fetchall():
            self._drop(key, digest)
            total -= size
            if total <= self._max_bytes:
                return


def _pieces(chunks: tuple[Chunk, ...]) -> Iterator[bytes | memoryview]:
    """All there is to write, in order."""
    for chunk in chunks:
        if isinstance(chunk, bytes | memoryview):
            yield chunk
        else:
            yield from chunk


@dataclass(frozen=True)
class _Beside:
    """A `StageCache`."""

    store: StageStore
    job: str

    def get(self, key: str) -> bytes | None:
        """See `StageCache`."""
        return self.store.find(key, self.job)

    def put(self, key: str, *chunks: Chunk) -> None:
        """See `StageCache`."""
        self.store.keep(key, self.job, *chunks)
