"""The real engine killed in the middle of a job, and started again: what the script asked for lands, once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.client import start_engine, stop_engine
from bridge.transport.endpoint import read_endpoint
from tests.daw.live.conftest import Opener
from tests.daw.live.fake_live import FakeLive
from tests.daw.live.saved_sets import write_als
from tests.daw.live.test_live_scenarios import GENERATE, clips


@pytest.fixture
def own_engine(runtime: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An engine of this test alone, to be killed."""
    monkeypatch.setenv("STEMBRIDGE_DATA", str(tmp_path / "data"))
    start_engine(roots=[project])
    yield runtime
    stop_engine()


def test_killed_in_the_middle(own_engine: Path, project: Path, open_set: Opener) -> None:
    live = FakeLive("12.2.0", write_als(project / "Song.als"))
    live.user_locators((0.0, "Verse"), (16.0, "Chorus"), (32.0, "End"))
    host = open_set(live, speed=3.0, sample_rate=44_100, stems=["drums", "bass"])
    host.run_until(lambda: host.said("The engine is there"), 60)
    host.press(GENERATE)
    host.run_until(lambda: host.said("drums is ready"), 120)
    endpoint = read_endpoint(own_engine)
    assert endpoint is not None
    os.kill(endpoint.pid, signal.SIGKILL)
    host.run_until(lambda: host.said("is lost"), 60)
    start_engine(roots=[project], wait_for_models=False)
    host.run_until(lambda: host.said("Done: "), 200)
    for stem in ("drums", "bass"):
        (audio,) = clips(live, stem)
        assert audio.file is not None
        assert audio.file.is_file()
        assert (audio.file.parent / "manifest.json").is_file()
        assert audio.get_end_time() == pytest.approx(32.0, abs=1e-3)
    assert len(live.undo) == 1
    assert live.touched == []
