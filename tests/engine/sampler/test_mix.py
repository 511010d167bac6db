"""The mix is the stems' sum; the limiter holds -1 dBTP and touches nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sampler import mix_stems

RATE = 48000
CEILING = 10 ** (-1 / 20)


def noise(seconds: float, level: float, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((2, int(seconds * RATE))) * level).astype(np.float32)


def true_peak(audio: np.ndarray, oversampling: int) -> float:
    """Highest level of the oversampled signal, by another interpolator than the limiter's."""
    return float(np.abs(scipy.signal.resample_poly(audio.astype(np.float64), oversampling, 1, axis=1)).max())


def test_quiet_stems_sum_bit_transparently() -> None:
    stems = [noise(1.0, 0.02, seed) for seed in range(6)]
    mix, report = mix_stems(stems, RATE)
    assert np.array_equal(mix, np.sum(stems, axis=0, dtype=np.float64).astype(np.float32))
    assert report.max_reduction_db == 0.0
    assert report.seconds_limited == 0.0
    assert report.true_peak_before == report.true_peak_after


@settings(max_examples=12, deadline=None)
@given(level=st.floats(0.05, 1.5), seed=st.integers(0, 999))
def test_true_peak_never_exceeds_the_ceiling(level: float, seed: int) -> None:
    mix, report = mix_stems([noise(0.4, level, seed)], RATE)
    # White noise is the worst case: at four times the rate a peak near half the rate is read up to 0.5 dB low.
    assert true_peak(mix, 4) <= CEILING * 10 ** (0.1 / 20)
    assert true_peak(mix, 16) <= CEILING * 10 ** (0.5 / 20)
    assert report.true_peak_after <= report.ceiling_dbfs + 1e-4
    assert report.ceiling_dbfs == -1.0


def test_only_the_neighbourhood_of_a_peak_is_turned_down() -> None:
    audio = noise(4.0, 0.05)
    peak = 2 * RATE
    audio[:, peak : peak + 40] += 1.4 * np.hanning(40).astype(np.float32)
    mix, report = mix_stems([audio], RATE)
    changed = np.flatnonzero(np.any(mix != audio, axis=0))
    assert peak - 0.01 * RATE < changed[0] < peak
    assert changed[-1] < peak + 0.2 * RATE
    assert report.seconds_limited == pytest.approx(len(changed) / RATE, rel=0.05)
    over = np.abs(audio).max()
    assert report.max_reduction_db == pytest.approx(20 * np.log10(over / CEILING), abs=0.4)


def test_gain_moves_smoothly_and_alike_on_both_sides() -> None:
    time = np.arange(RATE) / RATE
    tone = 0.6 * np.sin(2 * np.pi * 100 * time)
    tone[RATE // 2 : RATE // 2 + 4800] *= 3
    audio = np.stack([tone, 0.5 * tone]).astype(np.float32)
    mix, _ = mix_stems([audio], RATE)
    loud = np.abs(audio[0]) > 0.05
    gain = mix[0, loud] / audio[0, loud]
    assert np.allclose(mix[1, loud] / audio[1, loud], gain, rtol=1e-4)
    assert np.abs(np.diff(gain)).max() < 0.05
    assert gain.max() <= 1.0 + 1e-6


def test_a_peak_between_samples_is_found() -> None:
    time = np.arange(4800)
    audio = np.stack([0.95 * np.sin(np.pi / 2 * time + np.pi / 4)] * 2).astype(np.float32) * np.float32(1.25)
    assert np.abs(audio).max() < CEILING
    _, report = mix_stems([audio], RATE)
    assert report.true_peak_before > 0.5
    assert report.max_reduction_db > 1.0


def test_unequal_stems_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        mix_stems([noise(0.1, 0.1), noise(0.2, 0.1)], RATE)
    with pytest.raises(ValueError, match="equally long"):
        mix_stems([], RATE)
