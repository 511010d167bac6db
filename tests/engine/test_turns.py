"""Whose turn it is, as values: classes, fairness, and an order that is what then happens."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from engine.turns import Turns


@dataclass(frozen=True)
class Wish:
    client: str
    rank: float
    work: float = 1.0
    priority: str = "interactive"
    begun: bool = False


def names(jobs: list[Wish]) -> list[str]:
    return [f"{job.client}{job.rank:g}" for job in jobs]


def test_clients_take_turns() -> None:
    jobs = [Wish("a", i) for i in range(4)] + [Wish("b", 10), Wish("c", 11), Wish("b", 12)]
    assert names(Turns().order(jobs)) == ["a0", "b10", "c11", "a1", "b12", "a2", "a3"]


def test_turns_are_counted_in_work() -> None:
    songs = [Wish("long", i, work=600.0) for i in range(3)]
    loops = [Wish("short", 10 + i, work=100.0) for i in range(8)]
    assert names(Turns().order([*songs, *loops])) == [
        "long0", "short10", "short11", "short12", "short13", "short14", "short15",
        "long1", "short16", "short17", "long2",
    ]  # fmt: skip


def test_batch_waits_and_what_was_begun_goes_on() -> None:
    jobs = [
        Wish("a", 0, priority="batch"),
        Wish("b", 1),
        Wish("a", 2),
        Wish("a", 3, begun=True),
        Wish("c", 4, priority="batch", begun=True),
    ]
    assert names(Turns().order(jobs)) == ["a3", "b1", "a2", "c4", "a0"]


def test_who_comes_late_starts_level_and_cannot_save_turns_up() -> None:
    turns = Turns()
    for i in range(10):
        turns.take(Wish("early", i))
    assert names(turns.order([Wish("early", 20), Wish("early", 21), Wish("late", 22), Wish("late", 23)])) == [
        "late22", "early20", "late23", "early21",
    ]  # fmt: skip


def test_what_goes_on_is_not_counted_twice() -> None:
    turns = Turns()
    turns.take(Wish("a", 0, work=5.0))
    turns.take(Wish("a", 0, work=5.0, begun=True))
    assert turns.served == {"a": 5.0}


wishes = st.lists(
    st.builds(
        Wish,
        client=st.sampled_from("abcd"),
        rank=st.floats(0, 100).map(lambda x: round(x, 3)),
        work=st.floats(0.5, 500),
        priority=st.sampled_from(["interactive", "batch"]),
        begun=st.booleans(),
    ),
    max_size=30,
    unique_by=lambda wish: wish.rank,
)


@given(wishes)
def test_the_order_told_is_the_order_that_happens(jobs: list[Wish]) -> None:
    turns, told = Turns(), Turns().order(jobs)
    waiting, happened = list(jobs), []
    while waiting:
        job = turns.order(waiting)[0]
        turns.take(job)
        waiting.remove(job)
        happened.append(job)
    assert happened == told
    assert sorted(told, key=lambda j: j.rank) == sorted(jobs, key=lambda j: j.rank)
    classes = [job.priority for job in told]
    assert classes == sorted(classes, key=["interactive", "batch"].index)


@given(wishes, st.dictionaries(st.sampled_from("abcd"), st.floats(0, 500)), st.floats(0, 500))
def test_the_order_is_by_the_least_start(jobs: list[Wish], served: dict[str, float], now: float) -> None:
    """The definition, word by word: of all clients' next jobs the one that starts first, begun ones before the rest."""
    turns, expected = Turns(dict(served), now), []
    left = sorted(jobs, key=lambda job: (job.priority == "batch", not job.begun, job.rank))
    while left:
        heads = {job.client: job for job in reversed(left) if job.priority == left[0].priority}
        starts = {client: max(turns.now, turns.served.get(client, 0.0)) for client in heads}
        job = min(heads.values(), key=lambda job: (not job.begun, starts[job.client], job.rank))
        turns.take(job)
        left.remove(job)
        expected.append(job)
    assert Turns(dict(served), now).order(jobs) == expected


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(1, 50)), min_size=10, max_size=60))
def test_no_client_gets_ahead_by_more_than_a_job(asked: list[tuple[str, float]]) -> None:
    jobs = [Wish(client, float(i), work) for i, (client, work) in enumerate(asked)]
    got = {"a": 0.0, "b": 0.0}
    order, largest = Turns().order(jobs), max(work for _, work in asked)
    for i, job in enumerate(order):
        left = {j.client for j in order[i:]}
        if left == {"a", "b"}:
            assert abs(got["a"] - got["b"]) <= 2 * largest
        got[job.client] += job.work
