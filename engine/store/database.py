"""Opens the engine's database: brings an older one up to date, refuses a newer one, sets a damaged one aside.

Write-ahead logging with `synchronous=NORMAL`: what is committed survives the death of any process of ours at any
moment; a power cut may lose the last commits, never the file.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from pathlib import Path

from bridge.errors import StembridgeError
from engine.store.schema import STEPS, VERSION

DATABASE = "engine.sqlite"
WAIT_SECONDS = 10.0
"""How long a write waits for another process's."""
LOOK_SECONDS = 0.01

log = logging.getLogger(__name__)


def open_database(path: Path) -> sqlite3.Connection:
    """A connection of the newest version, to be used by one thread at a time; the folder must exist.

    Raises `StembridgeError`: `store.newer` where a later stembridge made it, `store.unusable` where it cannot be
    opened. A damaged file is renamed and a new one begun, which the log tells.
    """
    try:
        return _open(path)
    except sqlite3.OperationalError as error:
        raise unusable(path, error) from error
    except sqlite3.DatabaseError as error:
        aside = set_aside(path)
        log.error("the database was damaged (%s): it is kept as %s, and a new one is begun", error, aside.name)
        return _open(path)


def unusable(path: Path, error: sqlite3.Error) -> StembridgeError:
    """For a file that cannot be opened or made."""
    hint = "Check that the disk has space and that the folder may be written."
    return StembridgeError("store.unusable", f"the file cannot be opened ({error}).", field=str(path), hint=hint)


def set_aside(path: Path) -> Path:
    """Renames a database with its journal files to a free name beside it; returns the name."""
    number = 1
    while (aside := path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")).exists():
        number += 1
    path.rename(aside)
    for ending in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{ending}").rename(f"{aside}{ending}")
    return aside


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _log_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Turns write-ahead logging on. Where another process writes or does the same just then, SQLite refuses at once
    instead of waiting as it does elsewhere: the waiting is done here."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(LOOK_SECONDS)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Each step is one transaction, so that an engine that dies in the middle leaves a whole version behind."""
    while (version := _version(connection)) < VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _version(connection) == version:  # another process may have been faster
                for statement in statements(STEPS[version]):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    if version > VERSION:
        raise StembridgeError(
            "store.newer",
            f"a later stembridge has made the engine's database (version {version}; this one knows {VERSION}).",
            field=str(path),
            hint="Update stembridge, or set STEMBRIDGE_DATA to another folder.",
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def statements(script: str) -> list[str]:
    """The single statements of a script without triggers, comments gone."""
    bare = "\n".join(line.split("--")[0] for line in script.splitlines())
    return [statement for statement in bare.split(";") if statement.strip()]
