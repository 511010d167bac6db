"""The resampler puts every sample where it belongs, both ways, and gives the length that was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.diffusion.resampling import fit_length, resample, to_stereo

RATES = (44_100, 48_000, 88_200, 96_000, 22_050)


def peak_at(audio: np.ndarray) -> float:
    """Place of an impulse between samples, by its neighbours' parabola."""
    i = int(np.abs(audio).argmax())
    a, b, c = np.abs(audio[i - 1 : i + 2]).astype(float)
    return i + 0.5 * (a - c) / (a - 2 * b + c)


@pytest.mark.parametrize("source", RATES)
@pytest.mark.parametrize("target", RATES)
@pytest.mark.parametrize("second", [0.1, 0.5, 0.93])
def test_an_impulse_stays_in_its_place(source: int, target: int, second: float) -> None:
    clip = np.zeros((1, source), np.float32)
    at = round(second * source)
    clip[0, at] = 1.0
    moved = resample(clip, source, target)
    assert abs(peak_at(moved[0]) - at * target / source) < 0.1


@pytest.mark.parametrize("source", RATES)
def test_there_and_back_is_the_same_sound_at_the_same_samples(source: int) -> None:
    time = np.arange(source) / source
    clip = np.stack([np.sin(2 * np.pi * f * time * (1 + time)) for f in (220.0, 1700.0)]).astype(np.float32)
    other = 48_000 if source != 48_000 else 44_100
    back = resample(resample(clip, source, other), other, source, source)
    middle = slice(500, -500)
    assert np.abs(back[:, middle] - clip[:, middle]).max() < 2e-3


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.sampled_from(RATES), st.sampled_from(RATES), st.integers(1, 8000))
def test_the_length_is_the_one_that_was_asked_for(samples: int, source: int, target: int, wanted: int) -> None:
    clip = np.ones((2, samples), np.float32)
    assert resample(clip, source, target, wanted).shape == (2, wanted)
    whole = resample(clip, source, target)
    assert whole.shape[1] - samples * target / source < 1.0
    assert np.isfinite(whole).all()


def test_nothing_is_done_at_the_same_rate_but_a_copy() -> None:
    clip = np.random.default_rng(1).standard_normal((2, 100)).astype(np.float32)
    same = resample(clip, 48_000, 48_000)
    assert np.array_equal(same, clip)
    same[:] = 0.0
    assert clip.any()


def test_mono_is_put_on_both_sides_and_lengths_are_filled_with_silence() -> None:
    mono = np.ones((1, 3), np.float32)
    assert np.array_equal(to_stereo(mono), np.ones((2, 3)))
    assert to_stereo(np.ones((6, 3), np.float32)).shape == (2, 3)
    assert fit_length(mono, 5).tolist() == [[1, 1, 1, 0, 0]]
