"""Sounds that swell, whose attacks cannot be timed: what is late, drifts or cannot be told is refused, and what is on
time lands where it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.conform import conform
from engine.score import Note
from tests.engine.conform.adversaries import moved, played
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


@pytest.mark.parametrize(
    ("role", "words", "name"),
    [(*pair, name) for k, pair in enumerate(PAIRS) for n, name in enumerate(WRONG) if (k + n) % 7 < 2],
)
def test_what_is_off_the_grid_does_not_land(role: str, words: str, name: str) -> None:
    fitted = conform(WRONG[name](swelling(role, words).guide), target_of(role))
    assert fitted.audio is None
    assert fitted.faults


@pytest.mark.parametrize("cents", [30, 50, -100])
def test_what_is_out_of_tune_does_not_land(cents: int) -> None:
    song = swelling("pad", "synth strings")
    fitted = conform(played(song, lambda note: note, cents=cents, words="synth strings"), target_of("pad"))
    assert fitted.audio is None
    assert fitted.cents == pytest.approx(cents, abs=8)


@pytest.mark.parametrize(("role", "words"), [("pad", "synth strings"), ("brass", "french horns")])
def test_one_bar_of_another_chord_does_not_land(role: str, words: str) -> None:
    def change(note: Note) -> Note:
        up = 1 if note.pitch % 12 in (0, 5) else 2
        return replace(note, pitch=note.pitch + up) if 8.0 <= note.start < 12.0 else note

    fitted = conform(played(swelling(role, words), change, words=words), target_of(role))
    assert fitted.audio is None
    assert "bar 3 of the stretch has other notes" in fitted.faults
