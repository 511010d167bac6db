"""The database's versions: old ones are brought up to date with all they hold, newer and damaged ones are told."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bridge.errors import StembridgeError
from bridge.messages import Done, Failed, encode
from engine.eta import Speed
from engine.store.database import open_database, statements
from engine.store.jobs import KEEP_SECONDS, read_jobs
from engine.store.schema import STEPS, VERSION
from tests.engine.rig import song
from tests.patience import PATIENCE


def old_database(path: Path, version: int) -> sqlite3.Connection:
    """A database as the stembridge of that version left it: a job that waits, one that is done."""
    connection = sqlite3.connect(path, isolation_level=None)
    for step in STEPS[:version]:
        connection.executescript(step)
    connection.execute(f"PRAGMA user_version = {version}")
    waiting = song("waiting", Path("/music"))
    columns = "id, number, project, kind, work, body, request, out, first_take, state, attempts, cancelling, final"
    rows = [
        ("done", 0, "Song", "listen", 1.0, "b", None, "/out", 1, "done", 1, 0, encode(Done("done", ("/m",), 2.0))),
        ("waiting", 7, "Song", "render auto auto", 24.0, "c", encode(waiting), "/out", 3, "running", 1, 0, None),
    ]
    for row in rows:
        connection.execute(f"INSERT INTO jobs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute("UPDATE jobs SET ended = ? WHERE final IS NOT NULL", (time.time(),))
    speed = b'{"shares":[' + b",".join([b"0.02"] * 50) + b'],"lengths":[[1,2]]}'
    connection.execute("INSERT INTO speeds VALUES ('listen', ?)", (speed,))
    return connection


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_every_earlier_version_is_brought_up_to_date(version: int, tmp_path: Path) -> None:
    path = tmp_path / "engine.sqlite"
    old_database(path, version).close()
    connection = open_database(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    kept = read_jobs(connection)
    done, waiting = kept.jobs
    assert (done.id, done.state, done.final) == ("done", "done", Done("done", ("/m",), 2.0))
    assert (waiting.state, waiting.number, waiting.first_take, waiting.attempts) == ("running", 7, 3, 1)
    assert waiting.request == song("waiting", Path("/music"))
    assert (waiting.client, waiting.priority) == ("", "interactive")
    if version == 1:
        assert waiting.rank == 7.0
    assert kept.speeds == {"listen": Speed((0.02,) * 50, ((1.0, 2.0),))}
    fresh = open_database(tmp_path / "fresh.sqlite")
    assert tables(connection) == tables(fresh)


def tables(connection: sqlite3.Connection) -> dict[str, list[tuple[str, str]]]:
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {
        name: [(row[1], row[2]) for row in connection.execute(f"PRAGMA table_info({name})")] for name in sorted(names)
    }


def test_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "engine.sqlite"
    connection = old_database(path, VERSION)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(StembridgeError, match="later stembridge") as caught:
        open_database(path)
    assert caught.value.code == "store.newer"
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (VERSION + 1,)


def test_a_migration_that_breaks_off_leaves_a_whole_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "engine.sqlite"
    old_database(path, 1).close()
    broken = (*STEPS[:1], STEPS[1] + "INSERT INTO nowhere VALUES (1);", *STEPS[2:])
    monkeypatch.setattr("engine.store.database.STEPS", broken)
    with pytest.raises(StembridgeError, match="no such table: nowhere"):
        open_database(path)
    monkeypatch.undo()
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (1,)
    assert [job.id for job in read_jobs(open_database(path)).jobs] == ["done", "waiting"]


def test_processes_that_open_it_at_once_agree(tmp_path: Path) -> None:
    path = tmp_path / "engine.sqlite"
    old_database(path, 1).close()
    code = f"from pathlib import Path; from engine.store.database import *; open_database(Path({str(path)!r}))"
    started = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(4)]
    assert [(process.wait(PATIENCE), process.stderr and process.stderr.read()) for process in started] == [(0, b"")] * 4


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_one_that_is_just_being_written_is_waited_for(begin: str, tmp_path: Path) -> None:
    path = tmp_path / "engine.sqlite"
    old_database(path, 1).close()
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute(begin)
    done = threading.Timer(0.3, lambda: writer.execute("COMMIT"))
    done.start()
    connection = open_database(path)
    assert not writer.in_transaction
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    done.join()
    writer.close()


def test_one_that_stays_locked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "engine.sqlite"
    old_database(path, 1).close()
    monkeypatch.setattr("engine.store.database.WAIT_SECONDS", 0.1)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StembridgeError, match="database is locked") as caught:
        open_database(path)
    assert caught.value.code == "store.unusable"
    writer.close()


@pytest.mark.parametrize("harm", ["noise", "torn", "a folder"])
def test_a_damaged_one_is_kept_aside(harm: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "engine.sqlite"
    old_database(path, 1).close()
    if harm == "a folder":
        path.unlink()
        path.mkdir()
        with pytest.raises(StembridgeError, match="cannot be opened"):
            open_database(path)
        return
    raw = path.read_bytes()
    path.write_bytes(b"\x07" * len(raw) if harm == "noise" else raw[:100] + b"\xff" * (len(raw) - 100))
    connection = open_database(path)
    assert read_jobs(connection).jobs == ()
    assert (tmp_path / "engine.damaged-1.sqlite").stat().st_size == len(raw)
    assert "damaged" in caplog.text


def test_what_is_old_or_too_much_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.jobs.KEEP_FINISHED", 3)
    path = tmp_path / "engine.sqlite"
    connection = old_database(path, VERSION)
    for number in range(1, 6):
        connection.execute(
            "INSERT INTO jobs SELECT ?, ?, project, kind, work, body, request, out, first_take, state, attempts, "
            "cancelling, final, ?, client, priority, rank, crashes, halts FROM jobs WHERE id = 'done'",
            (f"done-{number}", number, time.time() - (KEEP_SECONDS + 10 if number == 5 else 0)),
        )
        connection.execute("INSERT INTO events SELECT ?, 0, final FROM jobs WHERE id = 'done'", (f"done-{number}",))
    connection.execute("DELETE FROM events WHERE job IN ('done-3', 'done-4')")
    kept = read_jobs(connection)
    assert [job.id for job in kept.jobs] == ["done-3", "done-4", "waiting"]
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (0,)


def test_a_job_that_cannot_be_read_has_failed_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "engine.sqlite"
    connection = old_database(path, VERSION)
    connection.execute(
        "UPDATE jobs SET request = ? WHERE id = 'waiting'", (b'{"type":"render","job":"waiting","tune":1}',)
    )
    for _ in range(2):
        job = read_jobs(connection).jobs[1]
        assert isinstance(job.final, Failed)
        assert (job.final.code, job.state, job.request) == ("engine.updated", "failed", None)


def test_the_steps_are_plain_statements() -> None:
    assert all(sqlite3.complete_statement(f"{text};") for step in STEPS for text in statements(step))
