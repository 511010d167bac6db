"""Writes to the database in a thread of its own, many changes in one commit, and calls back when they are safe.

The event loop never waits for the disk. What the world shall hear only when it is durable goes through `after`, in
the order in which it was said. A disk that refuses (full, gone) keeps the changes waiting; they are tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

from engine.store.database import open_database

RETRY_SECONDS = 1.0
Value = str | bytes | int | float | None
Afterwards = Callable[[Exception | None], None]
"""Called with None when everything before it is committed, else with the reason why it is not yet."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """One statement. Of changes with the same `key` that wait together only the last is written."""

    key: Hashable
    sql: str
    values: tuple[Value, ...]


class Journal:
    """Make it inside the event loop; `write` and `after` are called there."""

    def __init__(self, path: Path) -> None:
        """Raises `StembridgeError` as `open_database` does."""
        self._connection = open_database(path)
        self._loop = asyncio.get_running_loop()
        self._filled = threading.Condition()
        self._waiting: list[Change | Afterwards] = []
        self._unsettled = 0
        self._closing = False
        self.broken: Exception | None = None
        """Why the last commit failed; None when all is well."""
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def write(self, change: Change) -> None:
        """Queues a change."""
        self._put(change)

    def after(self, call: Afterwards) -> None:
        """Calls back in the event loop when all that was queued before is committed; at once where nothing waits."""
        if self._unsettled == 0:
            call(self.broken)
        else:
            self._put(call)

    def close(self, seconds: float = 2.0) -> None:
        """Commits what waits, as far as the disk lets it, and closes. Callbacks that still wait are called."""
        with self._filled:
            self._closing = True
            self._filled.notify()
        self._thread.join(seconds)

    def _put(self, item: Change | Afterwards) -> None:
        self._unsettled += 1
        with self._filled:
            self._waiting.append(item)
            self._filled.notify()

    def _run(self) -> None:
        backlog: dict[Hashable, Change] = {}
        while True:
            with self._filled:
                self._filled.wait_for(lambda: self._waiting or self._closing, RETRY_SECONDS if backlog else None)
                items, self._waiting = self._waiting, []
                closing = self._closing
            for item in items:
                if isinstance(item, Change):
                    backlog.pop(item.key, None)
                    backlog[item.key] = item
            error = self._commit(backlog)
            if error is None:
                backlog.clear()
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._settle, items, error)
            if closing:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.close()
                return

    def _commit(self, backlog: dict[Hashable, Change]) -> Exception | None:
        if not backlog:
            return None
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for change in backlog.values():
                self._connection.execute(change.sql, change.values)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            if not isinstance(self.broken, sqlite3.Error):
                log.error("the database cannot be written (%s); it is tried again", error)
            return error
        return None

    def _settle(self, items: list[Change | Afterwards], error: Exception | None) -> None:
        if self.broken and error is None:
            log.info("the database can be written again")
        self.broken = error
        for item in items:
            self._unsettled -= 1
            if not isinstance(item, Change):
                item(error)
