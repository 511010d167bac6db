"""One process at a time: a lock that ends with its holder, however that dies."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from engine.store.database import unusable


@contextlib.contextmanager
def sole_holder(path: Path, seconds: float) -> Iterator[bool]:
    """Holds the lock `path` during the block; gives False where another process has kept it for `seconds`.

    The lock is SQLite's own on an empty database: it works alike on all systems, and the system gives it back when
    the process ends. Raises `StembridgeError` where the file cannot be made.
    """
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=seconds, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if connection is not None:
            connection.close()
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise unusable(path, error) from error
        yield False
        return
    try:
        yield True
    finally:
        connection.close()
