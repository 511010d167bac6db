"""The real engine killed in the middle of a job that REAPER's script asked for, and started again: all lands, once."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daw.reaper.studio import Studio, check_landed
from tests.daw.reaper.test_real_engine import asked, landed
from tests.engine.held import HeldEngine, held_engine


@pytest.fixture
def own_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldEngine]:
    """An engine of this test alone, to be killed."""
    monkeypatch.setenv("STEMBRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("STEMBRIDGE_RUNTIME", str(tmp_path / "runtime"))
    with held_engine(tmp_path, tmp_path) as engine:
        yield engine


@pytest.mark.skipif(shutil.which("lua5.4") is None, reason="lua5.4 is not installed")
def test_what_was_asked_lands_once(own_engine: HeldEngine, tmp_path: Path) -> None:
    with Studio(tmp_path, "lua5.4", "7.72", data=tmp_path / "data") as studio:
        studio.open("song", "p", {"stems": {"drums": True, "bass": True, "keys": True, "pad": True}, "seed": 5})
        studio.regions(("Verse", 0, 16), ("Chorus", 16, 48))
        before = studio.own_part()
        studio.run("generate")
        studio.reaper.until(lambda: len(studio.takes()) >= 2, what="the first stem")
        os.kill(own_engine.endpoint.pid, signal.SIGKILL)
        studio.reaper.until(lambda: "stopped answering" in studio.said(), what="the warning")
        own_engine.revive()
        studio.finish()
        assert "4 stems landed" in studio.said(), studio.said()
        (request,) = asked(studio)
        takes = studio.takes()
        for stem in landed(studio, request.job):
            check_landed(takes, stem)
        assert len(takes) == 8, "audio and notes of each stem, once"
        assert studio.steps() == ["stembridge: Generate band"]
        assert studio.own_part() == before
        studio.check()
