"""Jobs, their stems and the measured speeds as rows, written through the journal; read once, when an engine starts."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bridge.messages import Event, Failed, Listen, Render, StemReady, decode_event, decode_shape, encode
from engine.eta import Speed
from engine.job import Final, Job
from engine.jobs import KEEP_FINISHED
from engine.store.journal import Change, Journal

KEEP_SECONDS = 60 * 86400
"""Jobs that were over so long ago are forgotten when an engine starts."""

_ADD = """
    INSERT INTO jobs (id, number, project, kind, work, body, request, out, first_take, client, priority, rank,
                      state, attempts, crashes, halts, cancelling)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0)
"""
_SAVE = """
    UPDATE jobs SET state = ?, attempts = ?, crashes = ?, halts = ?, rank = ?, cancelling = ?, final = ?,
           ended = CASE WHEN ?7 IS NULL THEN NULL ELSE coalesce(ended, ?) END,
           request = CASE WHEN ? THEN NULL ELSE request END
    WHERE id = ?
"""
_COLUMNS = (
    "id, number, project, kind, work, body, request, out, first_take, client, priority, rank, "
    "state, attempts, crashes, halts, cancelling, final"
)


Row = tuple[Any, ...]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """What an earlier engine has left. `held`: its queue was paused as a whole."""

    jobs: tuple[Job, ...]
    speeds: dict[str, Speed]
    held: bool


class JobStore:
    """An `engine.jobs.JobLog` on top of the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add(self, job: Job) -> None:
        """A new job; tell nobody before the journal says that it is there."""
        assert job.request is not None
        row = (job.id, job.number, job.project, job.kind, job.work, job.body, encode(job.request), str(job.out),
               job.first_take, job.client, job.priority, job.rank, job.state)  # fmt: skip
        self._journal.write(Change(("new job", job.id), _ADD, row))

    def withdraw(self, job: str) -> None:
        """Takes back a job that could not be kept; the insertion that still waits is dropped."""
        self._journal.write(Change(("new job", job), "DELETE FROM jobs WHERE id = ?", (job,)))

    def save(self, job: Job) -> None:
        """See `JobLog`."""
        final = encode(job.final) if job.final else None
        over = job.request is None
        row = (job.state, job.attempts, job.crashes, job.halts, job.rank, int(job.cancelling), final, time.time(),
               int(over), job.id)  # fmt: skip
        self._journal.write(Change(("job", job.id), _SAVE, row))

    def announce(self, job: str, number: int, stem: StemReady) -> None:
        """See `JobLog`."""
        sql = "INSERT OR REPLACE INTO events (job, number, event) VALUES (?, ?, ?)"
        self._journal.write(Change(("stem", job, number), sql, (job, number, encode(stem))))

    def begin_anew(self, job: str) -> None:
        """See `JobLog`."""
        self._journal.write(Change(("no stems", job), "DELETE FROM events WHERE job = ?", (job,)))

    def learn(self, kind: str, speed: Speed) -> None:
        """See `JobLog`."""
        sql = "INSERT OR REPLACE INTO speeds (kind, speed) VALUES (?, ?)"
        self._journal.write(Change(("speed", kind), sql, (kind, msgspec.json.encode(speed))))

    def forget(self, jobs: Sequence[str]) -> None:
        """See `JobLog`."""
        for job in jobs:
            self._journal.write(Change(("no job", job), "DELETE FROM jobs WHERE id = ?", (job,)))
            self.begin_anew(job)

    def hold(self, held: bool) -> None:
        """Whether the whole queue is paused."""
        sql = "INSERT OR REPLACE INTO settings (name, value) VALUES ('held', ?)"
        self._journal.write(Change("held", sql, ("yes" if held else "no",)))


def read_jobs(connection: sqlite3.Connection) -> Kept:
    """All that is kept, in order of arrival. Removes what is too old, or more than `KEEP_FINISHED` ended jobs.

    A job that waited and that this version cannot read has failed, and says so.
    """
    _prune(connection)
    stems: dict[str, list[StemReady]] = {}
    for name, raw in connection.execute("SELECT job, event FROM events ORDER BY job, number"):
        event = decode_event(raw)
        assert isinstance(event, StemReady)
        stems.setdefault(name, []).append(event)
    jobs: list[Job] = []
    for row in connection.execute(f"SELECT {_COLUMNS} FROM jobs ORDER BY number").fetchall():
        try:
            jobs.append(_row2job(row, stems.get(row[0], [])))
        except msgspec.MsgspecError as error:
            log.error("job %s was kept by another version of stembridge and cannot be read: %s", row[0], error)
            jobs.append(_fail(connection, row))
    speeds = {kind: msgspec.json.decode(raw, type=Speed) for kind, raw in connection.execute("SELECT * FROM speeds")}
    held = connection.execute("SELECT value FROM settings WHERE name = 'held'").fetchone()
    return Kept(tuple(jobs), speeds, held == ("yes",))


def _prune(connection: sqlite3.Connection) -> None:
    old = """
        SELECT id FROM jobs WHERE final IS NOT NULL AND (
            ended < ? OR id NOT IN (SELECT id FROM jobs WHERE final IS NOT NULL ORDER BY number DESC LIMIT ?))
    """
    ids = connection.execute(old, (time.time() - KEEP_SECONDS, KEEP_FINISHED)).fetchall()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("DELETE FROM jobs WHERE id = ?", ids)
    connection.execute("DELETE FROM events WHERE job NOT IN (SELECT id FROM jobs)")
    connection.execute("COMMIT")


def _row2job(row: Row, stems: list[StemReady]) -> Job:
    """Raises `msgspec.MsgspecError` where the request or the last event is not of this version's protocol."""
    (name, number, project, kind, work, body, raw, out, first_take, client, priority, rank,
     state, attempts, crashes, halts, cancelling, final) = row  # fmt: skip
    request = None if raw is None else decode_shape(raw)
    assert request is None or isinstance(request, Render | Listen)
    return Job(
        name, project, request, body, Path(out), work, kind, first_take, client, priority, number, rank, state,
        attempts, crashes, halts, stems=stems, final=_final(final), cancelling=bool(cancelling),
    )  # fmt: skip


def _fail(connection: sqlite3.Connection, row: Row) -> Job:
    """Ends a job that cannot be read."""
    hint = "Send the request again, under a new job id."
    final = Failed(row[0], "engine.updated", "the engine was updated and cannot read this job any more.", hint=hint)
    sql = "UPDATE jobs SET state = 'failed', final = ?, request = NULL, ended = ? WHERE id = ?"
    connection.execute(sql, (encode(final), time.time(), row[0]))
    return _row2job((*row[:6], None, *row[7:12], "failed", *row[13:17], encode(final)), [])


def _final(raw: bytes | None) -> Final | None:
    event: Event | None = None if raw is None else decode_event(raw)
    assert event is None or isinstance(event, Final)
    return event
