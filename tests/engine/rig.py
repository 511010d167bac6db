"""Real engines for the tests of process and transports: own folders, the small pipeline of `tests.engine.fakes`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from bridge.arrangement import Arrangement, Section
from bridge.client import start_engine, stop_engine
from bridge.messages import Project, Render, StemWanted
from bridge.transport.endpoint import Endpoint
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
ECHO = ("--pipeline", "tests.engine.fakes:EchoPipeline")


@contextmanager
def own_places(folder: Path) -> Iterator[Path]:
    """Runtime and data folders under `folder`, for this process and the engines that it starts."""
    here = {
        "STEMBRIDGE_RUNTIME": str(folder / "runtime"),
        "STEMBRIDGE_DATA": str(folder / "data"),
        "PYTHONPATH": str(ROOT),
    }
    before = {name: os.environ.get(name) for name in here}
    os.environ.update(here)
    try:
        yield folder
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def echo_engine(folder: Path, *options: str) -> Iterator[Endpoint]:
    """A running engine; ended afterwards, if the test has not done so."""
    with own_places(folder):
        endpoint = start_engine(options=[*ECHO, *options])
        try:
            yield endpoint
        finally:
            stop_engine()


def song(job: str, root: Path, style: str = "", **changes: Any) -> Render:
    """Four bars of three stems."""
    arrangement = Arrangement(8000, ((0.0, 0.0), (16.0, 8.0)), sections=(Section("Verse", "verse", 0.0, 16.0),))
    stems = (StemWanted("drums"), StemWanted("bass"), StemWanted("keys"))
    return Render(job, arrangement, project=Project("Song", str(root)), style=style, **{"stems": stems, **changes})


def workers(endpoint: Endpoint) -> set[int]:
    """The processes of the engine's workers: its child, or the actors that its cluster on this machine holds."""

    def find() -> set[int]:
        alive = [p for p in psutil.Process(endpoint.pid).children(recursive=True) if p.status() != "zombie"]
        actors = {p.pid for p in alive if p.cmdline() and p.cmdline()[0].startswith("ray::WorkerActor")}
        return actors or {p.pid for p in alive if "engine.worker" in p.cmdline()}

    found: set[int] = wait_for(find)
    return found


def wait_for(condition: Callable[[], Any]) -> Any:
    """The first true value of `condition`; fails the test after `PATIENCE`."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return value
