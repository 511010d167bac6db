"""The job table's transitions and the ETA, as values."""

from __future__ import annotations

import itertools
import sqlite3
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.messages import Cancelled, Checks, Done, Failed, Heard, Listen, Progress, Scope, StemReady
from engine.eta import BINS, Speeds
from engine.job import Job, request2body, request2job, request2kind, request2work
from engine.jobs import KEEP_FINISHED, JobStateError, JobTable
from engine.store.database import open_database
from engine.store.jobs import JobStore, read_jobs
from engine.store.journal import Change
from tests.engine.rig import song

ROOT = Path("/music")


def add(table: JobTable, name: str, **changes: object) -> Job:
    request = song(name, ROOT, **changes)  # type: ignore[arg-type]
    job = request2job(request, request2body(request), ROOT, table.next_number(), "client")
    table.add(job)
    return job


def stem(job: str, name: str = "bass") -> StemReady:
    return StemReady(job, 1, name, name, f"/{name}.wav", "", 0, 0.0, 8, 2, 48000, Checks())


def test_transitions_that_cannot_be_are_refused() -> None:
    table = JobTable()
    job = add(table, "a")
    with pytest.raises(JobStateError):
        add(table, "a")
    with pytest.raises(JobStateError):
        table.requeue(job)
    with pytest.raises(JobStateError):
        table.report(job, Progress("a", "compose", 0.1), 0.0)
    with pytest.raises(JobStateError):
        table.announce(job, stem("a"))
    table.start_next(0.0)
    table.finish(job, Cancelled("a"), 1.0)
    for change in (lambda: table.finish(job, Cancelled("a"), 2.0), lambda: table.requeue(job)):
        with pytest.raises(JobStateError):
            change()


def test_a_retried_job_comes_first_and_announces_each_stem_once() -> None:
    table = JobTable()
    job, _ = add(table, "a"), add(table, "b")
    assert table.start_next(0.0) is job
    assert table.announce(job, stem("a"))
    table.requeue(job)
    assert [queued.id for queued in table.queued()] == ["a", "b"]
    assert table.start_next(1.0) is job
    assert job.attempts == 2
    assert not table.announce(job, stem("a"))
    assert table.announce(job, stem("a", "keys"))
    assert [made.stem for made in job.stems] == ["bass", "keys"]


def test_progress_never_goes_back_and_stays_within_1() -> None:
    table = JobTable()
    job = add(table, "a")
    table.start_next(0.0)
    given_fractions = (0.2, 0.1, 0.5, 7.0)
    told = [table.report(job, Progress("a", "x", f), 1.0).fraction for f in given_fractions]
    assert told == [0.2, 0.2, 0.5, 1.0]


def test_a_snapshot_tells_all_that_was_missed() -> None:
    table = JobTable()
    job = add(table, "a")
    assert [type(e).__name__ for e in table.snapshot(job, 0.0)] == ["Accepted"]
    table.start_next(0.0)
    table.report(job, Progress("a", "render", 0.5), 1.0)
    table.announce(job, stem("a"))
    assert [type(e).__name__ for e in table.snapshot(job, 2.0)] == ["Accepted", "Progress", "StemReady"]
    done = Done("a", ("/m.json",), 2.0)
    table.finish(job, done, 2.0)
    assert table.snapshot(job, 3.0)[-1] is done


def test_the_body_tells_requests_apart_and_spelling_does_not() -> None:
    request = song("a", ROOT)
    spelt = msgspec.json.format(msgspec.json.encode(request), indent=4)
    assert request2body(msgspec.json.decode(spelt, type=type(request))) == request2body(request)
    assert request2body(msgspec.structs.replace(request, seed=1)) != request2body(request)


def test_work_is_the_stem_seconds_asked_for() -> None:
    assert request2work(song("a", ROOT)) == pytest.approx(8.0 * 3)
    assert request2work(song("a", ROOT, takes=2)) == pytest.approx(8.0 * 3 * 2)
    edit = song("a", ROOT, scope=Scope("b/take-1", stems=("bass",)))
    assert request2work(edit) == pytest.approx(8.0)
    assert request2kind(edit) != request2kind(song("a", ROOT))
    assert request2work(Listen("l", "x.mid")) == 1.0


def test_the_eta_of_a_queue_is_the_sum_of_what_is_left() -> None:
    table = JobTable()
    first = add(table, "first")
    assert table.accepted(first, 0.0).eta is None
    table.start_next(0.0)
    for tenth in range(1, 11):
        table.report(first, Progress("first", "x", tenth / 10), float(tenth))
    table.finish(first, Done("first", (), 10.0), 10.0)
    second, third = add(table, "second"), add(table, "third", takes=2)
    assert table.accepted(second, 10.0).eta == pytest.approx(10.0)
    table.start_next(10.0)
    table.report(second, Progress("second", "x", 0.5), 15.0)
    assert table.accepted(third, 15.0).eta == pytest.approx(5.0 + 20.0)
    assert (table.accepted(second, 15.0).position, table.accepted(third, 15.0).position) == (0, 0)


def test_with_two_places_the_next_job_waits_for_the_first_that_is_free() -> None:
    table = JobTable(places=2)
    table.speeds.learn("render auto auto", 10.0, [(i / BINS, float(i)) for i in range(1, BINS + 1)])
    jobs = [add(table, name, takes=takes) for name, takes in (("short", 1), ("long", 4), ("third", 1), ("fourth", 1))]
    assert [table.start_next(0.0), table.start_next(0.0), table.start_next(0.0)] == [*jobs[:2], None]
    whole = table.accepted(jobs[0], 0.0).eta
    assert whole is not None
    etas = [table.accepted(job, 0.0).eta for job in jobs]
    assert etas == pytest.approx([whole, 4 * whole, 2 * whole, 3 * whole])
    assert [row.eta for row in table.rows(0.0)] == pytest.approx(etas, abs=1e-3)


def test_speeds_scale_with_work_and_with_the_job_s_own_pace() -> None:
    speeds = Speeds()
    assert speeds.remaining("k", 1.0) is None
    speeds.learn("k", 10.0, [(0.5, 8.0), (1.0, 10.0)])
    assert speeds.remaining("k", 10.0) == pytest.approx(10.0)
    assert speeds.remaining("k", 5.0) == pytest.approx(5.0)
    assert speeds.remaining("k", 10.0, 0.5) == pytest.approx(2.0)
    assert speeds.remaining("k", 10.0, 0.25) == pytest.approx(6.0)
    assert speeds.remaining("k", 10.0, 0.5, elapsed=16.0) == pytest.approx(4.0)
    assert speeds.remaining("other", 10.0) is None
    speeds.learn("k", 10.0, [(0.5, 16.0), (1.0, 20.0)])
    newer = speeds.remaining("k", 10.0)
    assert newer is not None
    assert 10.0 < newer < 20.0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 100)), max_size=20), st.floats(0, 1), st.floats(0.1, 1e4))
@settings(max_examples=100, deadline=None)
def test_remaining_is_never_negative_and_falls(steps: list[tuple[float, float]], fraction: float, work: float) -> None:
    fractions, seconds = sorted(f for f, _ in steps), sorted(s for _, s in steps)
    speeds = Speeds()
    speeds.learn("k", work, [*zip(fractions, seconds, strict=True), (1.0, seconds[-1] + 1.0 if seconds else 1.0)])
    left = [speeds.remaining("k", work, i / BINS) for i in range(BINS + 1)]
    assert all(value is not None and value >= -1e-6 for value in left)
    assert all(a >= b - 1e-6 for a, b in itertools.pairwise(left))  # type: ignore[operator]
    assert speeds.remaining("k", work, fraction, elapsed=3.0) >= -1e-6  # type: ignore[operator]


PLACES = 2
"""Jobs that run at a time in the machine below."""


class AtOnce:
    """A journal whose changes are in the database when `write` returns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def write(self, change: Change) -> None:
        self.connection.execute(change.sql, change.values)


class TableMachine(RuleBasedStateMachine):
    """Any sequence of allowed transitions keeps the table whole and bounded, and the database in step with it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.connection = open_database(Path(self.folder.name) / "engine.sqlite")
        self.connection.execute("PRAGMA synchronous = OFF")
        self.store = JobStore(AtOnce(self.connection))  # type: ignore[arg-type]
        self.table = JobTable(self.store, PLACES)
        self.made = 0
        self.now = 0.0

    def teardown(self) -> None:
        self.connection.close()
        self.folder.cleanup()

    def pick(self, which: int, *states: str) -> Job | None:
        found = [job for row in self.table.rows(self.now) if row.state in states and (job := self.table.get(row.job))]
        return found[which % len(found)] if found else None

    @rule(many=st.integers(1, 40), client=st.sampled_from("ab"), priority=st.sampled_from(["interactive", "batch"]))
    def come(self, many: int, client: str, priority: str) -> None:
        for _ in range(many):
            self.made += 1
            request = song(f"job-{self.made}", ROOT, priority=priority)
            job = request2job(request, request2body(request), ROOT, self.table.next_number(), client)
            self.store.add(job)
            self.table.add(job)

    @rule()
    def begin(self) -> None:
        self.now += 1.0
        busy = len(self.table.running) >= PLACES
        assert not (self.table.start_next(self.now) and busy)

    @precondition(lambda self: self.table.running)
    @rule(fraction=st.floats(0, 1), number=st.integers(0, 3), which=st.integers(0, PLACES - 1))
    def go_on(self, fraction: float, number: int, which: int) -> None:
        job = self.table.running[which % len(self.table.running)]
        self.table.report(job, Progress(job.id, "x", fraction), self.now)
        self.table.announce(job, stem(job.id, f"stem {number}"))

    @precondition(lambda self: self.table.running)
    @rule(
        how=st.sampled_from(["done", "failed", "cancelled", "retry", "heard", "pause", "park", "wish"]),
        which=st.integers(0, PLACES - 1),
    )
    def end(self, how: str, which: int) -> None:
        job = self.table.running[which % len(self.table.running)]
        if how == "retry":
            self.table.requeue(job, crashed=True)
        elif how == "pause":
            self.table.pause(job)
        elif how == "wish":
            self.table.wish(job, cancel=True)
        else:
            finals = {
                "done": Done(job.id, (), 1.0),
                "failed": Failed(job.id, "x", "x"),
                "park": Failed(job.id, "x", "x"),
                "cancelled": Cancelled(job.id),
                "heard": Heard(job.id, "x", {}),
            }
            self.table.finish(job, finals[how], self.now, park=how == "park")  # type: ignore[arg-type]

    @rule(which=st.integers(0, 10_000), what=st.sampled_from(["cancel", "pause", "resume", "move"]))
    def change(self, which: int, what: str) -> None:
        states = {"cancel": ("queued", "paused"), "pause": ("queued",), "resume": ("paused", "parked")}
        job = self.pick(which, *states.get(what, ("queued", "paused")))
        if job is None:
            return
        if what == "cancel":
            self.table.finish(job, Cancelled(job.id), self.now)
        elif what == "pause":
            self.table.pause(job)
        elif what == "resume":
            self.table.resume(job)
        else:
            place = which % 7
            self.table.move(job, place)
            lane = [j for j in self.table.waiting() if (j.client, j.priority) == (job.client, job.priority)]
            assert sorted(lane, key=lambda j: j.rank).index(job) == min(place, len(lane) - 1)

    @rule()
    def restart(self) -> None:
        """Another engine takes over what is in the database."""
        before = self.states()
        self.table = JobTable(self.store, PLACES)
        kept = read_jobs(self.connection)
        self.table.restore(kept.jobs, kept.speeds)
        after = {name: "queued" if state == "running" else state for name, state in before.items()}
        assert self.states() == after

    def states(self) -> dict[str, str]:
        return {row.job: row.state for row in self.table.rows(self.now)}

    @invariant()
    def whole(self) -> None:
        rows = self.table.rows(self.now)
        queued = [row for row in rows if row.state == "queued"]
        running = [row for row in rows if row.state == "running"]
        assert len(running) <= PLACES
        assert sorted(row.position for row in queued) == list(range(len(queued)))
        over = [row for row in rows if row.state in ("done", "failed", "cancelled", "parked")]
        assert self.table.unfinished == len(rows) - len(over)
        assert len(over) <= KEEP_FINISHED

    @invariant()
    def kept(self) -> None:
        for job in read_jobs(self.connection).jobs:
            ours = self.table.get(job.id)
            assert ours is not None
            for name in ("state", "attempts", "crashes", "rank", "cancelling", "final", "stems", "request", "client"):
                assert getattr(job, name) == getattr(ours, name), name


TableMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
TestTable = TableMachine.TestCase
