"""Clicks: planted ones are found, and the bus stage makes none."""

from __future__ import annotations

import numpy as np
import pytest

from engine.match import apply_curves
from engine.match.clicks import find_clicks
from tests.engine.match.sounds import RATE
from tests.engine.match.test_bus import made

PLACES = np.linspace(0.65, 5.45, 9)


def test_the_bus_stage_makes_none() -> None:
    stems, _, curves = made()
    for stem in stems:
        assert not len(find_clicks(stem, apply_curves(stem, curves), RATE))


@pytest.mark.parametrize("kind", ["spike", "gap", "step"])
def test_planted_ones_are_found(kind: str) -> None:
    _, _, curves = made()
    time = np.arange(6 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * hertz * time) for hertz in (110, 331, 1240, 2210)) * 0.1 * (1.2 - time % 1.0)
    before = np.repeat(tone[None], 2, axis=0).astype(np.float32)
    after = apply_curves(before, curves)
    top = float(np.abs(after).max())
    for place in PLACES:
        at = round(place * RATE)
        if kind == "spike":
            after[:, at] += 0.5 * top
        elif kind == "gap":
            after[:, at : at + 40] = 0.0
            after[:, at + 40 :] += 0.3 * top * np.exp(-np.arange(after.shape[1] - at - 40) / 2000)
        else:
            after[:, at:] += 0.5 * top * np.exp(-np.arange(after.shape[1] - at) / 2000)
    found = find_clicks(before, after, RATE)
    assert all(np.abs(found - place).min(initial=1.0) < 0.002 for place in PLACES)
    assert not [second for second in found if np.abs(PLACES - second).min() > 0.005]
