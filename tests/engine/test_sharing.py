"""A renderer that several takes share: batches of what waits, cancels and errors that stay with their callers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from bridge.errors import JobError
from engine.rendering import Audio, Clip, Stretch
from engine.report import JobCancelled, Tick
from engine.sharing import Shared, share_renderers
from tests.engine.conform.doubles import DoubleRenderer, filtered
from tests.engine.diffusion.stretches import silent_tick, stretch, tone
from tests.patience import PATIENCE


class Gate:
    """An answer that holds the first batch until the test lets it go; later ones answer at once."""

    def __init__(self, answer: Callable[[Stretch], Audio] = filtered) -> None:
        self.entered, self.open = threading.Event(), threading.Event()
        self._answer = answer

    def __call__(self, wish: Stretch) -> Audio:
        self.entered.set()
        assert self.open.wait(PATIENCE)
        return self._answer(wish)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def wish(seed: int, stem: str = "bass") -> Stretch:
    return stretch(stem=stem, seed=seed, guide=tone(0.2, seed=seed))


def wait_until(said: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not said():
        assert time.monotonic() < end
        time.sleep(0.005)


def start(
    pool: ThreadPoolExecutor, shared: Shared, wishes: list[Stretch], tick: Tick = silent_tick
) -> Future[list[Clip]]:
    """A call that is known to wait."""
    before = shared.waiting
    future = pool.submit(shared.render, wishes, tick)
    wait_until(lambda: shared.waiting > before)
    return future


def seeds(double: DoubleRenderer) -> list[list[int]]:
    return [[asked.seed for asked in batch] for batch in double.asked]


def test_what_waits_meanwhile_is_one_batch_and_each_has_its_own_answers(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    double = DoubleRenderer("double", gate, batch=4)
    shared = Shared(double)
    first = start(pool, shared, [wish(1)])
    assert gate.entered.wait(PATIENCE)
    others = [start(pool, shared, [wish(n), wish(n + 1), wish(n + 2, "keys")]) for n in (10, 20)]
    gate.open.set()
    assert len(first.result()) == 1
    for n, future in zip((10, 20), others, strict=True):
        clips = future.result()
        for asked, clip in zip([wish(n), wish(n + 1), wish(n + 2, "keys")], clips, strict=True):
            assert np.array_equal(clip.audio, filtered(asked))
    assert seeds(double) == [[1], [10, 11, 20, 21], [12, 22]]
    assert shared.waiting == 0


def test_nobody_waits_for_company(pool: ThreadPoolExecutor) -> None:
    double = DoubleRenderer("double", filtered, batch=4)
    shared = Shared(double)
    for n in range(3):
        shared.render([wish(n)], silent_tick)
    assert seeds(double) == [[0], [1], [2]]


def test_more_than_a_batch_is_cut_and_the_rest_goes_with_others(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    double = DoubleRenderer("double", gate, batch=2)
    shared = Shared(double)
    held = start(pool, shared, [wish(0)])
    assert gate.entered.wait(PATIENCE)
    rest = [start(pool, shared, [wish(n), wish(n + 1), wish(n + 2)]) for n in (10, 20)]
    gate.open.set()
    assert [len(future.result()) for future in (held, *rest)] == [1, 3, 3]
    assert seeds(double) == [[0], [10, 11], [12, 20], [21, 22]]


def test_a_caller_that_stops_while_it_waits_is_let_go_at_once(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    double = DoubleRenderer("double", gate, batch=4)
    shared = Shared(double)
    held = start(pool, shared, [wish(0)])
    assert gate.entered.wait(PATIENCE)

    def stop(_fraction: float) -> None:
        raise JobCancelled

    with pytest.raises(JobCancelled):
        shared.render([wish(1)], stop)
    assert not held.done()
    gate.open.set()
    held.result()
    assert seeds(double) == [[0]], "what nobody wants any more is not rendered"


def test_a_caller_that_stops_in_a_batch_leaves_the_others_whole(pool: ThreadPoolExecutor) -> None:
    gate = Gate()
    double = DoubleRenderer("double", gate, batch=4)
    shared = Shared(double)
    held = start(pool, shared, [wish(0)])
    assert gate.entered.wait(PATIENCE)

    def stop(fraction: float) -> None:
        if fraction > 0.0:
            raise JobCancelled

    stopped = start(pool, shared, [wish(1)], stop)
    told: list[float] = []
    kept = start(pool, shared, [wish(2), wish(3)], told.append)
    gate.open.set()
    held.result()
    with pytest.raises(JobCancelled):
        stopped.result()
    assert [np.array_equal(c.audio, filtered(wish(n))) for c, n in zip(kept.result(), (2, 3), strict=True)] == [
        True
    ] * 2
    assert seeds(double) == [[0], [1, 2, 3]], "the batch goes on without being rendered again"
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_when_all_callers_stop_so_does_the_renderer(pool: ThreadPoolExecutor) -> None:
    ticks: list[float] = []

    def stop(fraction: float) -> None:
        ticks.append(fraction)
        if fraction > 0.0:
            raise JobCancelled

    double = DoubleRenderer("double", lambda _: pytest.fail("it went on"), batch=4)
    with pytest.raises(JobCancelled):
        Shared(double).render([wish(0), wish(1)], stop)
    assert len(ticks) == 2


def test_an_error_goes_to_its_caller_and_the_others_get_their_sound(pool: ThreadPoolExecutor) -> None:
    def moody(asked: Stretch) -> Audio:
        if asked.seed == 1:
            raise JobError("renderer.not_finite", "its numbers ran over.")
        return filtered(asked)

    gate = Gate(moody)
    double = DoubleRenderer("double", gate, batch=4)
    shared = Shared(double)
    held = start(pool, shared, [wish(0)])
    assert gate.entered.wait(PATIENCE)
    bad, good = start(pool, shared, [wish(1)]), start(pool, shared, [wish(2)])
    gate.open.set()
    held.result()
    with pytest.raises(JobError, match="ran over"):
        bad.result()
    assert np.array_equal(good.result()[0].audio, filtered(wish(2)))
    assert seeds(double) == [[0], [1, 2], [1], [2]]


def test_a_stretch_that_has_no_shape_is_its_caller_s_error() -> None:
    class Picky(DoubleRenderer):
        def shape(self, stretch: Stretch) -> object:
            if stretch.stem == "keys":
                raise JobError("renderer.task", "it cannot play keys.")
            return super().shape(stretch)

    shared = Shared(Picky("double", filtered, batch=4))
    with pytest.raises(JobError, match="cannot play keys"):
        shared.render([wish(1), wish(2, "keys")], silent_tick)
    assert len(shared.render([replace(wish(1), seed=5)], silent_tick)) == 1


def test_one_machine_is_shared_once() -> None:
    one, other = DoubleRenderer("one", filtered), DoubleRenderer("other", filtered)
    known: dict[int, Shared] = {}
    shared = share_renderers({"bass": one, "keys": one, "lead": other}, known)
    assert shared["bass"] is shared["keys"]
    assert shared["lead"] is not shared["bass"]
    assert (shared["lead"].name, shared["lead"].batch) == ("other", other.batch)
    assert share_renderers({"drums": one}, known)["drums"] is shared["bass"]


class Narrow(DoubleRenderer):
    """A double whose calls have so many rows of a stretch."""

    rows = 4

    def width(self, wish: Stretch) -> int:
        return self.rows


def offer(
    pool: ThreadPoolExecutor, shared: Shared, wishes: list[Stretch], tick: Tick = silent_tick
) -> tuple[Future[None], dict[int, Clip]]:
    """A guest that is known to wait, and what it has got."""
    before, got = shared.offered, {}
    future = pool.submit(shared.along, wishes, tick, got.__setitem__)
    wait_until(lambda: shared.offered == before + len(wishes))
    return future, got


@pytest.mark.parametrize(
    ("rows", "host", "batches"),
    [
        (4, [1], [[1, 10, 11, 12]]),
        (4, [1, 2, 3], [[1, 2, 3, 10]]),
        (4, [1, 2, 3, 4], [[1, 2, 3, 4]]),
        (2, [1, 2], [[1, 2]]),
        (2, [1, 2, 3], [[1, 2, 3, 10]]),
        (1, [1], [[1]]),
    ],
)
def test_guests_get_the_rows_of_a_call_that_are_free(
    pool: ThreadPoolExecutor, rows: int, host: list[int], batches: list[list[int]]
) -> None:
    double = Narrow("double", filtered, batch=4)
    double.rows = rows
    shared = Shared(double)
    left = threading.Event()

    def tick(fraction: float) -> None:
        if left.is_set():
            raise JobCancelled

    guest, got = offer(pool, shared, [wish(n) for n in (10, 11, 12)], tick)
    assert seeds(double) == [], "a guest asks for no call"
    clips = shared.render([wish(n) for n in host], silent_tick)
    assert seeds(double) == batches
    assert [np.array_equal(c.audio, filtered(wish(n))) for c, n in zip(clips, host, strict=True)] == [True] * len(host)
    found = [n for n in batches[0] if n >= 10]
    wait_until(lambda: len(got) == len(found))
    assert [np.array_equal(got[i].audio, filtered(wish(n))) for i, n in enumerate(found)] == [True] * len(found)
    left.set()
    if len(found) < 3:
        with pytest.raises(JobCancelled):
            guest.result()
    else:
        guest.result()
    assert shared.offered == 0


def test_a_guest_of_another_shape_waits_on(pool: ThreadPoolExecutor) -> None:
    double = Narrow("double", filtered, batch=4)
    shared = Shared(double)
    guest, got = offer(pool, shared, [wish(10, "keys")])
    shared.render([wish(1)], silent_tick)
    assert (seeds(double), got) == ([[1]], {})
    shared.render([wish(2, "keys")], silent_tick)
    guest.result()
    assert seeds(double) == [[1], [2, 10]]


def test_a_host_that_stops_takes_no_guest_along(pool: ThreadPoolExecutor) -> None:
    def stop(fraction: float) -> None:
        if fraction > 0.0:
            raise JobCancelled

    double = Narrow("double", filtered, batch=4)
    shared = Shared(double)
    guest, got = offer(pool, shared, [wish(10)])
    with pytest.raises(JobCancelled):
        shared.render([wish(1)], stop)
    assert (shared.offered, got) == (1, {})
    shared.render([wish(2)], silent_tick)
    guest.result()
    assert seeds(double) == [[1, 10], [2, 10]]
    assert np.array_equal(got[0].audio, filtered(wish(10)))
