"""What the fixed filters, the slow gains and the limiter add: third octaves, spread of levels, peaks."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.match import Goal, Grid, apply_curves, audio2levels, audio2profile, audio2tone, design_curves, fit_tone
from engine.match.apply import gains2filter
from engine.match.curves import BANDS, TONES, Curves
from engine.match.design import pace
from engine.match.frames import Floats, power2db
from engine.match.level import MAX_HOLD_DB, limit_curves
from engine.match.profile import paced, spread
from engine.sampler.mix import true_peaks
from tests.engine.match.sounds import RATE, Audio, beats, steady


@lru_cache(maxsize=1)
def designed() -> tuple[Audio, Audio, Curves]:
    """(bus, reference, curves before anything is fitted)."""
    bus = beats(6.0) + steady(6.0, seed=3) * 0.3
    reference = steady(5.0, seed=9, wide=0.8) + beats(5.0, seed=8, tilt_db=-3.0)
    profile = audio2profile(reference, RATE)
    assert profile is not None
    return bus, reference, design_curves(audio2levels(bus, Grid(RATE)), Goal(profile), RATE)


def away(audio: Audio, reference: Audio) -> tuple[float, float]:
    """(spectrum, width): mean dB over third octaves by which a sound misses the reference's, loudness left out."""
    ours, wanted = audio2tone(audio, RATE), audio2tone(reference, RATE)
    spectrum = power2db(ours.total) - power2db(wanted.total)
    width = power2db(ours.side / ours.mid) - power2db(wanted.side / wanted.mid)
    return float(np.abs(spectrum - np.median(spectrum)).mean()), float(np.abs(width).mean())


def test_what_is_fitted_comes_nearer_in_third_octaves() -> None:
    bus, reference, curves = designed()
    fitted = fit_tone(bus, curves, audio2tone(reference, RATE))
    before, after = (away(apply_curves(bus, c), reference) for c in (curves, fitted))
    assert after[0] < 0.6 * before[0]
    assert after[1] < 0.8 * before[1]


def test_without_width_both_channels_get_the_same_filter() -> None:
    bus, reference, curves = designed()
    fitted = fit_tone(bus, curves, audio2tone(reference, RATE), width=False)
    assert fitted.tone_mid.any()
    assert np.array_equal(fitted.tone_mid, fitted.tone_side)


def test_nothing_is_fitted_to_silence() -> None:
    bus, _, curves = designed()
    assert fit_tone(bus, curves, audio2tone(np.zeros((2, RATE), np.float32), RATE)) is curves
    assert fit_tone(np.zeros_like(bus), curves, audio2tone(bus, RATE)) is curves


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-24.0, 9.0), min_size=TONES, max_size=TONES))
def test_a_tone_filter_has_its_gains_and_begins_at_once(gains: list[float]) -> None:
    smooth = np.convolve(np.pad(gains, 2, mode="edge"), np.ones(5) / 5, "valid").astype(np.float32)
    taps = gains2filter(np.zeros(BANDS, np.float32), smooth, RATE)
    response = 20 * np.log10(np.abs(np.fft.rfft(taps, 1 << 16)) + 1e-9)
    centres = 31.5 * 2 ** (np.arange(TONES) / 3)
    heard = response[np.round(centres * (1 << 16) / RATE).astype(int)]
    assert np.abs(heard - smooth)[4:].max() < 1.5
    # Of minimum phase: no filter with this response has more of its energy so early.
    energy = np.cumsum(taps.astype(np.float64) ** 2)
    assert energy[RATE // 1000] > 0.5 * energy[-1]


@pytest.mark.parametrize("wanted", [1.5, 4.0])
def test_the_spread_of_levels_is_brought_to_the_wanted_one(wanted: float) -> None:
    grid = Grid(RATE)
    seconds = np.arange(12 * RATE // grid.hop) * grid.hop / RATE
    power: Floats = (10 ** (4.0 * np.sin(2 * np.pi * 0.5 * seconds) / 10)).astype(np.float32)
    gain = pace(power, wanted, grid)
    before, after = (spread(paced(p, grid)) for p in (power, (power * 10 ** (gain / 10)).astype(np.float32)))
    assert abs(after - wanted) < 0.5 * abs(before - wanted)
    assert np.abs(gain).max() <= 5.0


def test_peaks_are_held_to_the_references_own_but_not_crushed() -> None:
    bus, _, curves = designed()
    free = limit_curves(bus, curves, -23.0, true_peaks)
    held = limit_curves(bus, curves, -23.0, true_peaks, -60.0)
    crest = [np.abs(x).max() / np.sqrt((x**2).mean()) for x in (apply_curves(bus, c) for c in (free, held))]
    assert crest[1] < 0.8 * crest[0]
    assert held.level.min() >= -1000 * (MAX_HOLD_DB + 0.1)
