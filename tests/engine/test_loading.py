"""What a forecast says while the models are still being loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.client import Client, start_engine, stop_engine
from bridge.messages import Accepted, Done
from engine.eta import Speeds
from engine.jobs import LOADING, JobTable
from tests.engine.rig import ECHO, own_places, song, wait_for
from tests.engine.test_jobs import add


def table_with_one_job(loading_for: float | None) -> JobTable:
    """24 stem-seconds take 12 s, loading takes 10 s."""
    table = JobTable()
    table.speeds.learn("render auto auto", 24.0, [(1.0, 12.0)])
    table.loaded(10.0)
    table.loading_for = lambda: loading_for
    add(table, "a")
    return table


@pytest.mark.parametrize(("spent", "eta"), [(None, 12.0), (0.0, 22.0), (4.0, 18.0), (60.0, 12.0)])
def test_what_is_left_of_the_loading_counts(spent: float | None, eta: float) -> None:
    table = table_with_one_job(spent)
    job = table.get("a")
    assert job is not None
    assert table.accepted(job, 0.0).eta == pytest.approx(eta)
    (row,) = table.rows(0.0)
    assert row.eta == pytest.approx(eta)


def test_an_unknown_loading_time_counts_nothing() -> None:
    table = table_with_one_job(3.0)
    table.speeds = Speeds({kind: speed for kind, speed in table.speeds._known.items() if kind != LOADING})
    job = table.get("a")
    assert job is not None
    assert table.accepted(job, 0.0).eta == pytest.approx(12.0)


def test_an_engine_remembers_how_long_it_loaded(tmp_path: Path) -> None:
    """The second engine's worker is stopped while it loads: what it promises holds the loading, too."""
    style = "steps=2 pause=0.01"
    with own_places(tmp_path):
        try:
            with Client(start_engine(options=ECHO)) as client:
                assert isinstance(list(client.request(song("measure", tmp_path, style)))[-1], Done)
                ready = next(client.request(song("ready", tmp_path, style)))
                wait_for(lambda: all(row.state == "done" for row in client.jobs().jobs))
            stop_engine()
            slow = ("--pipeline", "tests.engine.fakes:SlowPipeline")
            with Client(start_engine(options=slow, wait_for_models=False)) as client:
                loading = next(client.request(song("loading", tmp_path, style)))
        finally:
            stop_engine()
    assert isinstance(ready, Accepted)
    assert isinstance(loading, Accepted)
    assert ready.eta is not None
    assert loading.eta is not None
    assert loading.eta > ready.eta
