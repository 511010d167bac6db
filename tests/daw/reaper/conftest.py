"""Fake REAPERs of the oldest and the newest version that the tests know, with a small project open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.daw.lua import INTERPRETERS
from tests.daw.reaper.rig import Reaper

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
