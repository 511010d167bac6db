"""The journal: what was said before is committed first, in order; a disk that refuses is tried again."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from engine.store import journal as module
from engine.store.journal import Change, Journal
from tests.patience import PATIENCE


def put(number: int) -> Change:
    return Change(number, "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (f"{number}", "x"))


def there(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM settings")}


def in_loop(work: Callable[[Journal], Awaitable[None]], path: Path) -> None:
    async def run() -> None:
        journal = Journal(path)
        try:
            await work(journal)
        finally:
            journal.close()

    asyncio.run(run())


async def settled(journal: Journal) -> Exception | None:
    done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    journal.after(done.set_result)
    return await asyncio.wait_for(done, PATIENCE)


def test_what_is_told_is_committed_and_in_order(tmp_path: Path) -> None:
    path, told = tmp_path / "j.sqlite", list[int]()

    async def work(journal: Journal) -> None:
        def tell(number: int) -> None:
            def call(error: Exception | None) -> None:
                assert error is None
                assert f"{number}" in there(path)
                told.append(number)

            journal.after(call)

        for number in range(300):
            journal.write(put(number))
            tell(number)
            if number % 50 == 0:
                await asyncio.sleep(0.001)
        await settled(journal)

    in_loop(work, path)
    assert told == list(range(300))


def test_with_nothing_to_write_it_calls_at_once(tmp_path: Path) -> None:
    async def work(journal: Journal) -> None:
        calls: list[Exception | None] = []
        journal.after(calls.append)
        assert calls == [None]

    in_loop(work, tmp_path / "j.sqlite")


def test_a_call_from_within_a_call_waits_its_turn(tmp_path: Path) -> None:
    order: list[str] = []

    async def work(journal: Journal) -> None:
        def first(error: Exception | None) -> None:
            order.append("first")
            journal.after(lambda error: order.append("nested"))

        journal.write(put(1))
        journal.after(first)
        journal.after(lambda error: order.append("second"))
        await settled(journal)

    in_loop(work, tmp_path / "j.sqlite")
    assert order == ["first", "second", "nested"]


def test_a_database_that_refuses_is_tried_again_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j.sqlite"
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)

    async def work(journal: Journal) -> None:
        blocker = sqlite3.connect(path, isolation_level=None)
        journal._connection.execute("PRAGMA busy_timeout = 20")
        blocker.execute("BEGIN IMMEDIATE")
        journal.write(put(1))
        journal.write(put(2))
        assert isinstance(await settled(journal), sqlite3.OperationalError)
        assert journal.broken
        journal.write(Change(1, "DELETE FROM settings WHERE name = ?", ("1",)))
        assert await settled(journal)
        blocker.execute("ROLLBACK")
        while journal.broken:
            await asyncio.sleep(0.01)
        assert there(path) == {"2"}
        assert await settled(journal) is None

    in_loop(work, path)


def test_closing_commits_what_waits(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"

    async def work(journal: Journal) -> None:
        for number in range(50):
            journal.write(put(number))

    in_loop(work, path)
    assert len(there(path)) == 50
