"""What a take is kept under: all that it is made from, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bridge.arrangement import Arrangement, Section
from bridge.messages import ModelRow, Render, StemWanted
from engine.references import Lessons
from engine.sampler import Bank
from engine.sampler.fontmaker import Recording, Region, make_font
from engine.sampler.join import add_sounds
from engine.sampler.ownbanks import forget
from engine.score import Heard, Key
from engine.setting import Setting
from engine.stages import NO_STAGES

RATE = 44100
REQUEST = Render(
    "first",
    Arrangement(RATE, ((0.0, 0.0), (8.0, 4.0)), sections=(Section("Verse", "verse", 0.0, 8.0),)),
    stems=(StemWanted("keys"),),
)


def setting() -> Setting:
    """One take by the sampler."""
    row = ModelRow("guide", "renderer", "", "Apache-2.0", True)
    heard, clock = Heard(Key(0, "major"), ()), REQUEST.arrangement.timeline()
    return Setting(REQUEST, NO_STAGES, clock, (), heard, Lessons(), None, None, {"keys": row}, {}, row, Bank.open(), ())


def font(path: Path, hertz: float) -> Path:
    tone = 0.3 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)[:, None].astype(np.float32)
    path.write_bytes(make_font("Tone", [Recording("a", tone, RATE, 60)], [Region(0)]))
    return path


def test_names_of_jobs_and_folders_do_not_count_and_seeds_do() -> None:
    made = setting()
    other = msgspec.structs.replace(REQUEST, job="second")
    assert made.key(REQUEST) == made.key(other) == replace(made, request=other).key(other)
    assert made.key(REQUEST) != made.key(msgspec.structs.replace(REQUEST, seed=1))


def test_the_users_sounds_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a request would come back as it was before the sounds that it now may have joined, or in sounds that have
    gone."""
    monkeypatch.setenv("STEMBRIDGE_DATA", str(tmp_path / "data"))
    made = setting()
    without = made.key(REQUEST)
    path = font(tmp_path / "mine.sf2", 262.0)
    add_sounds(path, say=lambda _: None)
    with_them = made.key(REQUEST)
    assert with_them == made.key(REQUEST) != without
    add_sounds(font(path, 270.0), say=lambda _: None)
    assert made.key(REQUEST) not in (with_them, without)
    forget("mine")
    assert made.key(REQUEST) == without
