"""Sounds that swell, whose attacks cannot be timed: what is late, drifts or cannot be told is refused, and what is on
time lands where it is."""

from __future__ import annotations

import numpy as np
import pytest

from engine.conform import conform
from tests.engine.conform.adversaries import moved
from tests.engine.conform.swells import WRONG, off_by, swelling, target_of

MOST_MS = 10.0
PAIRS = (
    ("pad", "warm pad"), ("pad", "synth strings"), ("pad", "drawbar organ"), ("strings", "slow strings"),
    ("brass", "french horns"), ("brass", "strings"), ("lead", "flute"),
)  # fmt: skip
"""The guide's own instrument, swelling ones, one with attacks; the benchmark has them all."""


@pytest.mark.parametrize(("role", "words"), PAIRS)
def test_what_is_on_time_lands_and_stays_there(role: str, words: str) -> None:
    right = swelling(role, words)
    fitted = conform(right.guide, target_of(role))
    assert fitted.faults == ()
    assert fitted.audio is not None
    assert np.abs(off_by(right.bars, right.guide, fitted.audio)).max() <= MOST_MS


@pytest.mark.parametrize(("role", "words"), PAIRS)
def test_what_is_20_ms_late_lands_on_time_or_not_at_all(role: str, words: str) -> None:
    right = swelling(role, words)
    fitted = conform(moved(right.guide, 20.0), target_of(role))
    if fitted.audio is not None:
        assert np.abs(off_by(right.bars, right.guide, fitted.audio)).max() <= MOST_MS


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize(("role", "words"), PAIRS)
def test_what_is_off_the_grid_does_not_land(role: str, words: str, name: str) -> None:
    fitted = conform(WRONG[name](swelling(role, words).guide), target_of(role))
    assert fitted.audio is None
    assert fitted.faults
