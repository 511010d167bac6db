"""Work side by side: in order, never too much at a time, begun early, stopped when it is wished."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.hands import begun, in_turn
from engine.report import JobCancelled

PATIENCE = 60.0


def nobody() -> None:
    """Nothing is wished."""


def test_results_come_in_order_and_few_are_ahead() -> None:
    begun_ones: list[int] = []

    def work(k: int) -> int:
        begun_ones.append(k)
        return k * k

    with ThreadPoolExecutor(4) as pool:
        results = in_turn(pool, work, range(20), 2)
        assert next(results) == 0
        assert max(begun_ones) <= 2
        assert list(results) == [k * k for k in range(1, 20)]


def test_the_first_item_is_made_before_it_is_asked_for() -> None:
    made = threading.Event()

    def items() -> Iterator[int]:
        made.set()
        yield 1
        yield 2

    with begun((x for x in items()), nobody) as early:
        assert made.wait(PATIENCE)
        assert list(early) == [1, 2]


def test_no_items_are_none() -> None:
    with begun((x for x in ()), nobody) as early:
        assert list(early) == []


def test_what_goes_wrong_is_told_where_it_is_asked_for() -> None:
    def items() -> Iterator[int]:
        raise ValueError("broken")
        yield 1

    with begun((x for x in items()), nobody) as early, pytest.raises(ValueError, match="broken"):
        list(early)


def test_a_wish_to_stop_is_heard_and_leaves_nothing_running() -> None:
    go_on, closed = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        try:
            assert go_on.wait(PATIENCE)
            yield 1
        finally:
            closed.set()

    def stop() -> None:
        go_on.set()
        raise JobCancelled

    def slow() -> None:
        with begun((x for x in items()), stop) as early:
            list(early)

    with pytest.raises(JobCancelled):
        slow()
    assert closed.is_set()
    assert not any(thread.name.startswith("begun") for thread in threading.enumerate())
