"""The real engine killed in the middle of a job, and started again: what the script asked for lands, once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daw.live.conftest import Opener
from tests.daw.live.fake_live import FakeLive
from tests.daw.live.saved_sets import write_als
from tests.daw.live.test_live_scenarios import GENERATE, clips
from tests.engine.held import HeldEngine, held_engine


@pytest.fixture
def own_engine(runtime: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldEngine]:
    """An engine of this test alone, to be killed."""
    monkeypatch.setenv("STEMBRIDGE_DATA", str(tmp_path / "data"))
    with held_engine(project, tmp_path) as engine:
        yield engine


def test_killed_in_the_middle(own_engine: HeldEngine, project: Path, open_set: Opener) -> None:
    live = FakeLive("12.2.0", write_als(project / "Song.als"))
    live.user_locators((0.0, "Verse"), (16.0, "Chorus"), (32.0, "End"))
    host = open_set(live, speed=3.0, sample_rate=44_100, stems=["drums", "bass"])
    host.run_until(lambda: host.said("The engine is there"))
    host.press(GENERATE)
    host.run_until(lambda: host.said("drums is ready"))
    os.kill(own_engine.endpoint.pid, signal.SIGKILL)
    host.run_until(lambda: host.said("is lost"))
    own_engine.revive()
    host.run_until(lambda: host.said("Done: "))
    for stem in ("drums", "bass"):
        (audio,) = clips(live, stem)
        assert audio.file is not None
        assert audio.file.is_file()
        assert (audio.file.parent / "manifest.json").is_file()
        assert audio.get_end_time() == pytest.approx(32.0, abs=1e-3)
    assert len(live.undo) == 1
    assert live.touched == []
