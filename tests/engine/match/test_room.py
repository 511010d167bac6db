"""The room: how reverberant a clip is heard to be, and the sends that follow it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from engine.match import Grid, Levels, change_room, passage2levels
from engine.match.room import CHANGES, power2fall
from engine.match.texture import RATE
from tests.engine.match.sounds import Audio, beats

SEND = -14.0


def in_hall(dry: Audio, send_db: float, seconds: float = 1.1) -> Audio:
    """The sound with a decaying noise's answer of unit energy."""
    time = np.arange(round(seconds * RATE)) / RATE
    tail = np.random.default_rng(3).standard_normal((2, len(time))) * 10 ** (-3 * time / seconds)
    tail /= np.sqrt((tail**2).sum(axis=1, keepdims=True))
    wet = scipy.signal.oaconvolve(np.repeat(dry.mean(axis=0)[None], 2, axis=0), tail, axes=1)[:, : dry.shape[1]]
    return (dry + 10 ** (send_db / 20) * wet).astype(np.float32)


def hits(seed: int) -> Audio:
    return beats(6.0, rate=RATE, seed=seed, decay=0.06)


def fall(audio: Audio) -> float:
    return power2fall(passage2levels(audio).total, Grid(RATE))


def test_the_wetter_a_clip_the_slower_it_falls() -> None:
    falls = [fall(in_hall(hits(2), send)) for send in (-60.0, -20.0, -12.0, -4.0)]
    assert falls == sorted(falls, reverse=True)
    assert falls[0] > 1.5 * falls[-1]
    assert fall(np.zeros((2, RATE), np.float32)) == 0.0


@pytest.mark.parametrize("change", [change for change in CHANGES if change])
def test_sends_follow_the_reference(change: float) -> None:
    wanted = fall(in_hall(hits(7), SEND + change))
    found = change_room([passage2levels(hits(1))], [SEND], wanted, Grid(RATE))
    assert abs(found - change) <= 3.0
    assert found * change > 0


def test_what_is_dry_stays_dry_and_what_fits_stays() -> None:
    levels: list[Levels] = [passage2levels(hits(1))]
    assert change_room(levels, [None], fall(in_hall(hits(7), 0.0)), Grid(RATE)) == 0.0
    assert change_room(levels, [SEND], fall(in_hall(hits(1), SEND)), Grid(RATE)) == 0.0
    assert change_room(levels, [SEND], 0.0, Grid(RATE)) == 0.0
