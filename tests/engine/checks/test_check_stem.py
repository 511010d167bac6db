"""Good stems pass, and every check finds its own damage."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest

from engine.checks import check_mix, check_stem
from engine.checks.levels import audio2lufs, audio2true_peak
from engine.checks.onsets import measure_onsets
from engine.checks.pitch import in_key_rate
from engine.score import Chord, Key, Note, Part
from tests.engine.checks.struck_stems import RATE, Audio, clock_with_tempo_change, make_part, moved, play, stretched

CLOCK = clock_with_tempo_change()
START = CLOCK.beat2sample(8.0, RATE)
SAMPLES = CLOCK.beat2sample(60.0, RATE) - START
KEY = Key(9, "minor", given=True)
PARTS = {role: make_part(role) for role in ("drums", "bass", "keys", "pad")}
STEMS = {role: play(part, CLOCK, START, SAMPLES) for role, part in PARTS.items()}


def codes(role: str, audio: Audio, part: Part | None = None, key: Key = KEY) -> set[str]:
    verdict = check_stem(audio, part or PARTS[role], CLOCK, key, RATE, START, SAMPLES)
    return {problem.code for problem in verdict.problems}


@pytest.mark.parametrize("role", PARTS)
def test_a_good_stem_passes_and_is_measured(role: str) -> None:
    verdict = check_stem(STEMS[role], PARTS[role], CLOCK, KEY, RATE, START, SAMPLES)
    assert verdict.problems == ()
    checks = verdict.checks
    assert checks.onset_ms_median is not None
    assert checks.onset_ms_median <= 0.5
    assert checks.onset_ms_p99 is not None
    assert checks.onset_ms_p99 <= 2.0
    assert checks.in_key == (None if role == "drums" else 1.0)
    assert checks.lufs is not None
    assert -40 < checks.lufs < -10
    assert checks.true_peak_dbfs is not None
    assert checks.true_peak_dbfs >= 20 * np.log10(np.abs(STEMS[role]).max()) - 1e-6


@pytest.mark.parametrize("ms", [15.0, -15.0, 4.0, -4.0])
@pytest.mark.parametrize("role", ["drums", "keys", "pad"])
def test_a_shift_is_found_and_measured(role: str, ms: float) -> None:
    verdict = check_stem(moved(STEMS[role], ms), PARTS[role], CLOCK, KEY, RATE, START, SAMPLES)
    assert f"onset.{'late' if ms > 0 else 'early'}" in {p.code for p in verdict.problems}
    assert verdict.checks.onset_ms_median == pytest.approx(abs(ms), abs=1.0)


@pytest.mark.parametrize("role", ["drums", "bass", "keys"])
@pytest.mark.parametrize("factor", [1.001, 1.02, 0.97])
def test_drift_and_a_wrong_tempo_are_found(role: str, factor: float) -> None:
    assert {c for c in codes(role, stretched(STEMS[role], factor)) if c.startswith("onset.")}


def test_a_few_late_notes_are_found() -> None:
    """Four bars of 13 late by 14 ms: the median stays, the spread tells."""
    half = SAMPLES * 8 // 13
    audio = STEMS["keys"].copy()
    audio[:, half : half + SAMPLES * 4 // 13] = moved(STEMS["keys"], 14.0)[:, half : half + SAMPLES * 4 // 13]
    assert "onset.spread" in codes("keys", audio)


def test_micro_timing_of_the_part_is_respected() -> None:
    """The stem is right with its micro-timing and wrong against the same part without it."""
    straight = Part("keys", "keys", tuple(Note(n.start, n.length, n.pitch, n.velocity) for n in PARTS["keys"].notes))
    assert codes("keys", STEMS["keys"]) == set()
    assert codes("keys", STEMS["keys"], straight) & {"onset.spread", "onset.late", "onset.early"}


def test_a_known_latency_is_taken_off() -> None:
    audio = moved(STEMS["keys"], 6.0)
    onsets = measure_onsets(audio, PARTS["keys"], CLOCK, RATE, START, attack_ms=6.0)
    assert onsets.median_ms is not None
    assert onsets.median_ms < 0.6


def test_a_swelling_pad_is_not_judged_by_onsets() -> None:
    audio = play(PARTS["pad"], CLOCK, START, SAMPLES, swell=0.6)
    verdict = check_stem(audio, PARTS["pad"], CLOCK, KEY, RATE, START, SAMPLES)
    assert verdict.problems == ()


@pytest.mark.parametrize("role", ["bass", "keys", "pad"])
@pytest.mark.parametrize("cents", [50.0, 100.0, -300.0])
def test_wrong_pitch_is_found(role: str, cents: float) -> None:
    assert "pitch.off" in codes(role, play(PARTS[role], CLOCK, START, SAMPLES, cents=cents))


def test_wrong_pitch_of_a_few_bars_is_found() -> None:
    wrong = play(PARTS["keys"], CLOCK, START, SAMPLES, cents=200.0)
    audio = STEMS["keys"].copy()
    audio[:, : SAMPLES // 4] = wrong[:, : SAMPLES // 4]
    assert "pitch.off" in codes("keys", audio)


@pytest.mark.parametrize("role", PARTS)
def test_noise_is_no_stem(role: str) -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, (2, SAMPLES)).astype(np.float32)
    assert codes(role, noise) & {"onset.missing", "pitch.unclear"}


@pytest.mark.parametrize("role", PARTS)
def test_silence_is_no_stem(role: str) -> None:
    assert "silence.dead" in codes(role, np.zeros((2, SAMPLES), np.float32))


@pytest.mark.parametrize("role", PARTS)
def test_a_hole_is_found(role: str) -> None:
    audio = STEMS[role].copy()
    audio[:, SAMPLES // 2 : SAMPLES // 2 + 5 * RATE] = 0.0
    assert "silence.gap" in codes(role, audio)


def test_an_empty_part_may_be_silent() -> None:
    part = Part("brass", "brass", ())
    verdict = check_stem(np.zeros((2, SAMPLES), np.float32), part, CLOCK, KEY, RATE, START, SAMPLES)
    assert verdict.good
    assert verdict.checks.lufs is None
    assert verdict.checks.true_peak_dbfs == -200.0


def test_length_and_channels_are_exact() -> None:
    assert codes("keys", STEMS["keys"][:, :-1]) == {"length.wrong"}
    assert codes("keys", np.pad(STEMS["keys"], ((0, 0), (0, 1)))) == {"length.wrong"}
    assert codes("keys", STEMS["keys"][:1]) == {"length.channels"}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_found(bad: float) -> None:
    audio = STEMS["keys"].copy()
    audio[1, 777] = bad
    assert codes("keys", audio) == {"level.nan"}


def test_clipping_over_and_offset_are_found() -> None:
    audio = STEMS["keys"] / np.abs(STEMS["keys"]).max()
    assert "level.clipped" in codes("keys", np.clip(audio * 4, -1, 1))
    assert "level.clipped" in codes("keys", np.clip(audio * 4, -1, 1) * np.float32(0.5))
    assert "peak.over" in codes("keys", audio * np.float32(1.1))
    assert "level.offset" in codes("keys", STEMS["keys"] + np.float32(0.03))
    assert codes("keys", audio * np.float32(0.9)) == set()


def test_the_key_given_is_strict() -> None:
    notes = [Note(float(k), 1.0, 61 if k % 20 == 0 else 60, 80) for k in range(52)]
    part = Part("lead", "lead", tuple(notes))
    assert in_key_rate(part, KEY) == pytest.approx(1 - 3 / 52)
    assert in_key_rate(part, KEY, [Chord(0.0, 60.0, 1, "", given=True)]) == 1.0
    assert "key.outside" in codes("lead", np.zeros((2, SAMPLES), np.float32), part)
    assert "key.outside" not in codes("lead", np.zeros((2, SAMPLES), np.float32), part, Key(9, "minor"))


def test_true_peak_lies_between_samples() -> None:
    time = np.arange(RATE)
    tone = np.sin(2 * np.pi * RATE / 4 * time / RATE + np.pi / 4).astype(np.float32)
    assert audio2true_peak(np.stack([tone, tone])) == pytest.approx(0.0, abs=0.2)
    assert 20 * np.log10(np.abs(tone).max()) == pytest.approx(-3.0, abs=0.1)


def test_loudness_of_a_known_tone() -> None:
    """EBU Tech 3341: 1 kHz at -23 dBFS on both channels is -23 LUFS."""
    tone = 10 ** (-23 / 20) * np.sin(2 * np.pi * 1000 * np.arange(20 * RATE) / RATE)
    assert audio2lufs(np.stack([tone, tone]).astype(np.float32), RATE) == pytest.approx(-23.0, abs=0.1)
    assert audio2lufs(np.zeros((2, RATE), np.float32), RATE) is None
    assert audio2lufs(np.ones((2, 100), np.float32), RATE) is None


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_loudness_agrees_with_an_independent_meter(rate: int) -> None:
    rng = np.random.default_rng(5)
    swell = np.repeat(rng.uniform(0.0, 0.3, 40), rate // 4)
    audio = np.cumsum(rng.normal(0, 0.05, (2, len(swell))), axis=1)
    audio = ((audio - np.roll(audio, 20, axis=1)) * swell).astype(np.float32)
    assert audio2lufs(audio, rate) == pytest.approx(pyloudnorm.Meter(rate).integrated_loudness(audio.T), abs=0.15)


def test_stems_must_sum_to_the_mix() -> None:
    stems = list(STEMS.values())
    mix = np.sum(np.stack(stems), axis=0, dtype=np.float64).astype(np.float32)
    assert check_mix(stems, mix) is None
    wrong = mix.copy()
    wrong[0, 5] += 1e-4
    for bad in (wrong, mix * np.float32(0.999), mix[:, :-1]):
        assert check_mix(stems, bad) is not None
    assert check_mix(stems[:-1], mix) is not None


def test_each_key_of_a_song_counts_where_it_is_in_force() -> None:
    notes = tuple(Note(float(beat), 1.0, 60 if beat < 8 else 61, 80) for beat in range(16))
    part = Part("bass", "bass", notes)
    assert in_key_rate(part, Key(0, "major")) == pytest.approx(0.5)
    assert in_key_rate(part, Key(0, "major"), keys=((0.0, Key(0, "major")), (8.0, Key(1, "major")))) == 1.0
    assert in_key_rate(part, Key(0, "major"), keys=((12.0, Key(1, "major")),)) == pytest.approx(0.75)
