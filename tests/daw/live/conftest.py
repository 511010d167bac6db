"""What the Live tests stand on: the script's package, a set in a folder of its own, an engine that plays noise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daw.live.desk import NoiseEngine
from tests.daw.live.fake_gate import VERSIONS
from tests.daw.live.fake_live import FakeLive, Host
from tests.ports import free_port

SCRIPTS = Path(__file__).parents[3] / "daw_scripts" / "ableton"
sys.path.insert(0, str(SCRIPTS))


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each version of Live in turn."""
    return str(request.param)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The engine's runtime folder of this test alone."""
    folder = tmp_path / "runtime"
    monkeypatch.setenv("STEMBRIDGE_RUNTIME", str(folder))
    return folder


@pytest.fixture
def noise(runtime: Path, tmp_path: Path) -> Iterator[NoiseEngine]:
    """An engine that plays noise, running."""
    engine = NoiseEngine(runtime, [tmp_path])
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a Live project."""
    folder = tmp_path / "My Song Project"
    folder.mkdir()
    return folder


Opener = Callable[..., Host]


@pytest.fixture
def open_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    """Opens a set in Live with the script chosen as its control surface; `chosen` are the user's settings."""
    from stembridge import settings, surface

    hosts: list[Host] = []

    def open_one(live: FakeLive, *, speed: float = 5.0, **chosen: Any) -> Host:
        merged, wrong = settings.merged(settings.DEFAULTS, {"osc_port": free_port(), **chosen})
        assert not wrong
        monkeypatch.setattr(settings, "load", lambda folder: (merged, []))
        hosts.append(Host(live, surface.Surface, speed))
        return hosts[-1]

    yield open_one
    for host in hosts:
        host.disconnect()


@pytest.fixture
def opened(version: str, project: Path, noise: NoiseEngine, open_set: Opener) -> tuple[FakeLive, Host]:
    """A set of which nothing was asked yet."""
    from tests.daw.live.test_live_scenarios import song

    live = song(version, project)
    return live, open_set(live, sample_rate=8000)


@pytest.fixture
def generated(opened: tuple[FakeLive, Host]) -> tuple[FakeLive, Host]:
    """A set in which a take of the whole song has landed."""
    from tests.daw.live.test_live_scenarios import GENERATE, press

    press(opened[1], GENERATE)
    return opened
