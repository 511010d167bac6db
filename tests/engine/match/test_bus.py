"""The bus stage: what it reaches, and what it leaves as it was."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.checks.levels import audio2lufs, audio2true_peak
from engine.match import (
    Curves,
    Goal,
    Grid,
    apply_curves,
    audio2levels,
    audio2profile,
    audio2tone,
    bytes2curves,
    curves2bytes,
    design_curves,
    fit_tone,
    flat_curves,
    limit_curves,
    profiles2distances,
    reach,
)
from engine.match.curves import BANDS
from engine.sampler.mix import true_peaks
from tests.engine.match.sounds import RATE, Audio, beats, steady


@lru_cache(maxsize=8)
def made(tilt_db: float = 2.0, rate: int = RATE) -> tuple[tuple[Audio, ...], Audio, Curves]:
    """(stems, reference, curves that bring their sum to it)."""
    stems = (beats(6.0, rate=rate), beats(6.0, rate=rate, seed=4, decay=0.5, tilt_db=-4), steady(6.0, rate=rate) * 0.2)
    reference = steady(5.0, rate=rate, seed=9, wide=0.8) + beats(5.0, rate=rate, seed=8, tilt_db=tilt_db)
    profile = audio2profile(reference, rate)
    assert profile is not None
    bus = np.sum(stems, axis=0, dtype=np.float32)
    curves = design_curves(audio2levels(bus, Grid(rate)), Goal(profile), rate)
    curves = fit_tone(bus, curves, audio2tone(reference, rate))
    return stems, reference, limit_curves(bus, curves, profile.lufs, true_peaks, profile.peak_db)


def test_the_mix_comes_near_the_reference_in_all_that_is_matched() -> None:
    stems, reference, curves = made()
    bus = np.sum(stems, axis=0, dtype=np.float32)
    wanted, before, after = (audio2profile(x, RATE) for x in (reference, bus, apply_curves(bus, curves)))
    assert wanted is not None
    assert before is not None
    assert after is not None
    old, new = profiles2distances(before, wanted), profiles2distances(after, wanted)
    assert new.spectrum_db < 0.5 * old.spectrum_db
    assert new.levels_db < 0.6 * old.levels_db
    assert old.width_db is not None
    assert new.width_db is not None
    assert new.width_db < 0.5 * old.width_db
    assert new.loudness_lu < 0.3
    assert audio2true_peak(apply_curves(bus, curves)) <= -1.0


@pytest.mark.parametrize("rate", [8000, RATE, 96000])
def test_matched_stems_add_up_to_the_matched_mix(rate: int) -> None:
    stems, _, curves = made(rate=rate)
    whole = apply_curves(np.sum(stems, axis=0, dtype=np.float32), curves)
    parts = np.sum([apply_curves(stem, curves).astype(np.float64) for stem in stems], axis=0)
    assert 20 * np.log10(np.abs(parts - whole).max()) < -115


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 6 * RATE - 1), st.integers(1, 2 * RATE))
def test_any_range_is_the_same_range_of_the_whole(start: int, length: int) -> None:
    stems, _, curves = made()
    whole = _whole()
    stop = min(start + length, whole.shape[1])
    assert np.array_equal(apply_curves(stems[1], curves, start, stop), whole[:, start:stop])
    around = reach(RATE)
    low = max(0, start - around)
    piece = stems[1][:, low : stop + around]
    assert np.array_equal(apply_curves(piece, curves, start, stop, low), whole[:, start:stop])


@lru_cache(maxsize=1)
def _whole() -> Audio:
    stems, _, curves = made()
    return apply_curves(stems[1], curves)


def test_curves_survive_their_file_and_damage_is_refused() -> None:
    _, _, curves = made()
    raw = curves2bytes(curves)
    again = bytes2curves(raw)
    for name in ("fixed", "moving", "side", "spread", "level", "tone_mid", "tone_side"):
        assert np.array_equal(getattr(curves, name), getattr(again, name))
    assert again.rate == curves.rate
    for broken in (b"", raw[:9], raw[: len(raw) // 2], b"x" + raw, raw[:40] + b"\0\0\0\0" + raw[44:]):
        with pytest.raises(ValueError, match="curves"):
            bytes2curves(broken)


def test_an_attack_stays_on_its_sample_and_nothing_sounds_where_nothing_was() -> None:
    _, _, curves = made()
    click = np.zeros((2, 2 * RATE), np.float32)
    click[:, RATE] = 0.5
    after = apply_curves(click, curves)
    assert int(np.abs(after[0] + after[1]).argmax()) == RATE
    heard = np.flatnonzero(np.abs(after).max(axis=0))
    assert heard.min() > RATE - reach(RATE)
    assert heard.max() < RATE + reach(RATE)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-24.0, 24.0), min_size=BANDS, max_size=BANDS))
def test_great_fixed_gains_sound_nothing_before_an_attack(gains: list[float]) -> None:
    """Filters that were the same to both sides of a moment moved the onsets of a bass by 2.5 ms."""
    flat = flat_curves(made()[2], 0.0)
    fixed = np.convolve(np.pad(gains, 2, mode="edge"), np.ones(5) / 5, "valid").astype(np.float32)
    curves = replace(flat, fixed=fixed, level=np.zeros(1, np.int16))
    time = np.arange(RATE) / RATE
    tone = np.zeros((2, 2 * RATE), np.float32)
    tone[:, RATE:] = 0.3 * np.sin(2 * np.pi * 82.4 * time) * np.exp(-3 * time)
    after = apply_curves(tone, curves)
    assert np.abs(after[:, : RATE - 8]).max() < 2e-3 * np.abs(after).max()
    assert np.abs(after[:, RATE : RATE + RATE // 50]).max() > 0.02 * np.abs(after).max()


@pytest.mark.parametrize("hertz", [55.0, 440.0, 3520.0])
def test_pitch_stays_within_a_tenth_of_a_cent(hertz: float) -> None:
    _, _, curves = made()
    time = np.arange(4 * RATE) / RATE
    tone = np.repeat(0.1 * np.sin(2 * np.pi * hertz * time)[None], 2, axis=0).astype(np.float32)
    after = apply_curves(tone, curves)[0, RATE : 3 * RATE].astype(np.float64)
    # Phase against the tone's own, at both ends of two seconds: what a detuned tone gains or loses.
    turn = after * np.exp(-2j * np.pi * hertz * time[RATE : 3 * RATE])
    half = RATE // 2
    first, last = (np.angle((part * np.hanning(half)).sum()) for part in (turn[:half], turn[-half:]))
    cycles = np.angle(np.exp(1j * (last - first))) / (2 * np.pi)
    assert abs(1200 * np.log2(1 + cycles / 1.5 / hertz)) < 0.1 if hertz > 100 else abs(cycles) < 0.02


def test_what_is_next_to_silent_is_not_lifted() -> None:
    loud, quiet = beats(3.0), beats(3.0, seed=2) * 10 ** (-70 / 20)
    bus = np.concatenate([loud, quiet], axis=1)
    profile = audio2profile(steady(5.0, level=0.2), RATE)
    assert profile is not None
    curves = design_curves(audio2levels(bus, Grid(RATE)), Goal(profile), RATE)
    after = apply_curves(bus, curves)
    before, now = (20 * np.log10(np.sqrt((x[:, 4 * RATE :] ** 2).mean())) for x in (bus, after))
    assert before < -72
    assert now < before + 4
    assert audio2lufs(after[:, : 3 * RATE], RATE) > audio2lufs(loud, RATE) + 3


def test_a_reference_of_one_channel_says_nothing_of_width() -> None:
    mono = audio2profile(steady(4.0)[:1], RATE)
    assert mono is not None
    curves = design_curves(audio2levels(beats(4.0), Grid(RATE)), Goal(mono), RATE)
    assert np.array_equal(curves.side, np.ones(BANDS, np.float32))
    assert not curves.spread.any()


def test_a_group_beside_others_keeps_its_loudness() -> None:
    bus = beats(5.0) * 0.2
    profile = audio2profile(steady(5.0, level=0.2), RATE)
    assert profile is not None
    curves = design_curves(audio2levels(bus, Grid(RATE)), Goal(profile, alone=False), RATE)
    own = audio2lufs(bus, RATE)
    assert own is not None
    after = audio2lufs(apply_curves(bus, limit_curves(bus, curves, own, true_peaks)), RATE)
    assert after is not None
    assert abs(after - own) < 0.3


@pytest.mark.parametrize("clip", [np.zeros((2, RATE)), beats(0.3), np.full((2, RATE), np.nan)])
def test_what_cannot_be_matched_has_no_profile(clip: Audio) -> None:
    assert audio2profile(clip.astype(np.float32), RATE) is None
