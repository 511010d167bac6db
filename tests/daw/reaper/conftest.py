"""Fake REAPERs of the oldest and the newest version that the tests know, with a small project open."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.daw.lua import INTERPRETERS
from tests.daw.reaper.rig import Reaper
from tests.daw.reaper.studio import Studio

RATE = 48_000


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of stereo at 48 kHz, left = frame number / 1e6, right = its negative."""
    path = tmp_path_factory.mktemp("wav") / "ramp.wav"
    left = np.arange(RATE, dtype=np.float32) / 1e6
    soundfile.write(path, np.stack([left, -left], axis=1), RATE, subtype="FLOAT")
    return path


@pytest.fixture(scope="module", params=INTERPRETERS)
def interpreter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


SETUP = """
keep.p = user.open(folder .. "/song.rpp")
keep.track = user.track(keep.p, "Guitar")
keep.item = user.audio(keep.track, wav, 2)
keep.midi = user.midi(user.track(keep.p, "Chords"), 0, 4, {{0, 960, 60, 100}, {960, 1920, 64, 90}}, {{0, 1, "verse"}})
user.region(keep.p, "Verse", 0, 8)
user.marker(keep.p, "key=Am", 1)
"""


@pytest.fixture(scope="module")
def newest(interpreter: str, wav: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reaper]:
    folder = tmp_path_factory.mktemp("newest")
    with Reaper(interpreter, "7.72", folder / "home") as reaper:
        reaper.do(SETUP, folder=folder, wav=wav)
        yield reaper


@pytest.fixture(scope="module")
def oldest(interpreter: str, wav: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reaper]:
    folder = tmp_path_factory.mktemp("oldest")
    with Reaper(interpreter, "6.19", folder / "home") as reaper:
        reaper.do(SETUP, folder=folder, wav=wav)
        yield reaper


CASES = [
    pytest.param(("lua5.3", "6.19"), id="5.3-v6.19"),
    pytest.param(("lua5.3", "7.62"), id="5.3-v7.62"),
    pytest.param(("lua5.4", "7.61"), id="5.4-v7.61"),
    pytest.param(("lua5.4", "7.72"), id="5.4-v7.72"),
]
"""Both interpreters, each with the old and with the new functions for regions."""


@pytest.fixture(params=CASES)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Studio]:
    """A REAPER with a project open; after the test its manners are checked."""
    interpreter, version = request.param
    if shutil.which(interpreter) is None:
        pytest.skip(f"{interpreter} is not installed")
    with Studio(tmp_path, interpreter, version) as desk:
        desk.open()
        yield desk
        desk.check()
