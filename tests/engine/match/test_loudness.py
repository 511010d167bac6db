"""Loudness by the millisecond: as another meter reads it, in pieces as in one, and behind the limiter as asked."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest

from engine.match import Goal, Grid, apply_curves, audio2levels, audio2profile, design_curves, limit_curves
from engine.match.frames import K_FILTERS
from engine.match.loudness import Meter, audio2power, k_filters, power2lufs
from engine.sampler.mix import true_peaks
from tests.engine.match.sounds import RATE, Audio, beats, steady

STEP = RATE // 1000


def meter(audio: Audio, rate: int) -> float:
    return float(pyloudnorm.Meter(rate).integrated_loudness(audio.T.astype(np.float64)))


def test_at_48_khz_the_filters_are_the_recommendations_own() -> None:
    for row, (b, a) in zip(k_filters(48000), K_FILTERS, strict=True):
        assert np.allclose(row, [*b, *a], atol=1e-9)


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
def test_it_reads_what_another_meter_reads(rate: int) -> None:
    sound = np.concatenate([beats(5.0, rate=rate), steady(4.0, rate=rate) * 0.02], axis=1)
    step = rate // 1000
    assert abs(power2lufs(audio2power(sound, rate, step), step / rate) - meter(sound, rate)) < 0.1


def test_pieces_read_as_the_whole_does() -> None:
    sound, one = beats(3.0), Meter(RATE, STEP)
    pieces = [one.read(sound[:, at : at + 700 * STEP]) for at in range(0, sound.shape[1], 700 * STEP)]
    assert np.allclose(np.concatenate(pieces), audio2power(sound, RATE, STEP), rtol=1e-9)


@pytest.mark.parametrize("wanted", [-30.0, -20.0, -15.0])
def test_loudness_behind_the_limiter_is_the_one_asked_for(wanted: float) -> None:
    bus, reference = beats(6.0), audio2profile(steady(5.0, level=0.2) + beats(5.0, seed=8), RATE)
    assert reference is not None
    curves = design_curves(audio2levels(bus, Grid(RATE)), Goal(reference, alone=False, lufs=wanted), RATE)
    after = apply_curves(bus, limit_curves(bus, curves, wanted, true_peaks))
    assert abs(meter(after, RATE) - wanted) < 0.1
