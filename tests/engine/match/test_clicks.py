"""Clicks: planted ones are found by every count, wherever they lie, and the bus stage makes none."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from engine.match import Curves, Grid, apply_curves
from engine.match.clicks import find_clicks, find_sharper, most_gain, sharpness
from tests.engine.match.sounds import RATE, Audio
from tests.engine.match.test_bus import made

COUNTS = ("played", "filtered", "sharper")
HUSHED = (2.5, 4.2)
"""Seconds in which the tones are almost inaudible."""
EACH, APART = 9, 0.2


@lru_cache(maxsize=1)
def tones() -> tuple[Audio, Curves, Audio]:
    """(four decaying tones a second, a stretch of them 46 dB softer; curves; what the bus stage makes of it)."""
    _, _, curves = made()
    time = np.arange(6 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * hertz * time) for hertz in (110, 331, 1240, 2210)) * 0.1 * (1.2 - time % 1.0)
    tone *= np.interp(time, (HUSHED[0], HUSHED[0] + 0.1, HUSHED[1] - 0.1, HUSHED[1]), (1.0, 0.005, 0.005, 1.0))
    before = np.repeat(tone[None], 2, axis=0).astype(np.float32)
    return before, curves, apply_curves(before, curves)


def places(where: str) -> NDArray[np.int64]:
    """Samples at which clicks are planted: in the quiet stretch, beside it, where frames meet, where gains turn."""
    _, curves, after = tones()
    hop = Grid(RATE).hop
    if where == "quiet":
        return np.linspace(2.75 * RATE, 3.95 * RATE, 6).astype(np.int64)
    if where == "loud":
        return (np.array([0.3, 0.75, 1.3, 1.75, 2.2, 4.6, 5.1, 5.5]) * RATE).astype(np.int64)
    if where == "frames":
        return np.arange(30, 500, 37, dtype=np.int64) * hop
    changes = np.abs(np.diff(curves.moving.astype(int), axis=0)).sum(axis=1)[: after.shape[1] // hop]
    order = (np.argsort(-changes, kind="stable") * hop + hop // 2).tolist()
    found: list[int] = []
    for at in order:
        if 0.2 * RATE < at < 5.7 * RATE and all(abs(at - other) > APART * RATE for other in found):
            found.append(at)
    return np.array(sorted(found[:EACH]))


def count(how: str, before: Audio, after: Audio, curves: Curves) -> NDArray[np.float64]:
    """Seconds of the clicks by one of the counts."""
    if how == "sharper":
        return find_sharper(before, after, most_gain(curves, before.shape[1]), RATE)
    if how == "filtered":
        before = apply_curves(before, without_moves(curves))
    return find_clicks(before, after, RATE)


def without_moves(curves: Curves) -> Curves:
    """Their fixed filters."""
    return replace(curves, moving=np.zeros((1, curves.moving.shape[1]), np.int8), level=np.zeros(1, np.int16))


@pytest.mark.parametrize("how", COUNTS)
def test_the_bus_stage_makes_none(how: str) -> None:
    stems, _, curves = made()
    for stem in (*stems, tones()[0]):
        assert not len(count(how, stem, apply_curves(stem, curves), curves))


@pytest.mark.parametrize("how", COUNTS)
@pytest.mark.parametrize("where", ["quiet", "loud", "frames", "changes"])
@pytest.mark.parametrize("kind", ["spike", "gap", "step"])
def test_planted_ones_are_found(kind: str, where: str, how: str) -> None:
    before, curves, made_ = tones()
    after, planted = made_.copy(), places(where)
    assert len(planted) >= 6
    for at in planted.tolist():
        top = 0.5 * float(np.abs(made_[:, at - 1200 : at + 1200]).max())
        dying = top * np.exp(-np.arange(4000) / 800) * np.linspace(1, 0, 4000)
        if kind == "spike":
            after[:, at] += top
        elif kind == "gap":
            after[:, at : at + 40] = 0.0
            after[:, at + 40 : at + 4040] += dying[: after.shape[1] - at - 40]
        else:
            after[:, at : at + 4000] += dying[: after.shape[1] - at]
    found = count(how, before, after, curves)
    seconds = planted / RATE
    missed = [round(at, 3) for at in seconds.tolist() if np.abs(found - at).min(initial=1.0) > 0.002]
    assert not missed
    assert not [second for second in found if np.abs(seconds - second).min() > 0.005]


def test_what_moves_is_fixed_filters_faded_into_each_other() -> None:
    """The proof that does not count: a click would be sharp, and what the bus stage makes is nowhere sharper, by more
    than -70 dB of its peak, than filters that do not move, each faded in and out over a frame by half a cosine."""
    stems, _, curves = made()
    assert np.ptp(curves.moving, axis=0).max() * 0.2 > 6.0
    for stem in (*stems, tones()[0]):
        samples, after = stem.shape[1], apply_curves(stem, curves)
        still = apply_curves(stem, without_moves(curves), 0, samples + 2 * Grid(RATE).size)
        faded = fade_filters(still, curves)[:, :samples] * curves.levels(0, samples)
        rest = sharpness((after - faded).astype(np.float32))
        assert float(rest.max()) < 10 ** (-70 / 20) * float(np.abs(after).max())
        assert float(np.abs(after - still[:, :samples]).max()) > 0.1 * float(np.abs(after).max())


def fade_filters(still: Audio, curves: Curves) -> NDArray[np.float64]:
    """Every second frame's gains as a filter without delay over all of the sound that it reaches (so nothing wraps
    round), faded in and out by a Hann window."""
    grid = Grid(curves.rate)
    size, half, samples = grid.size, grid.size // 2, still.shape[1]
    padded = np.pad(still.astype(np.float64), ((0, 0), (2 * size, 3 * size)))
    out = np.zeros((2, samples + 4 * size))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    for frame in range(0, samples // grid.hop + 3, 2):
        gains = 10 ** (grid.spread(curves.moves(np.array([frame])))[0].astype(np.float64) / 20)
        taps = np.fft.fftshift(scipy.fft.irfft(gains, size))
        first = frame * grid.hop - half
        piece = padded[:, first - half + 2 * size : first + size + half + 2 * size]
        filtered = scipy.signal.fftconvolve(piece, taps[None], "valid", axes=1)
        out[:, first + 2 * size : first + 3 * size] += window * filtered[:, 1:]
    return out[:, 2 * size : 2 * size + samples]
