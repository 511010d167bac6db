"""Joining audio: exact lengths, untouched samples stay bit-identical, no clicks at the joins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.splice import finish_tail, join_spans, splice

RATE = 48000


def tone(samples: int, hertz: float, phase: float = 0.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE + phase)).astype(np.float32)[None].repeat(2, 0)


@given(st.integers(0, 40_000), st.integers(1, 8_000), st.sampled_from(["cut", "file", "wrap"]))
def test_a_stem_has_exactly_its_length(ringing: int, samples: int, mode: str) -> None:
    body, _ = finish_tail(tone(samples + ringing, 440.0), samples, mode, RATE)
    assert body.shape == (2, samples)


def test_cut_ends_in_silence_and_touches_only_the_last_3_ms() -> None:
    audio = tone(48_000, 440.0)
    body, tail = finish_tail(audio, 24_000, "cut", RATE)
    assert tail is None
    assert abs(body[0, -1]) < 1e-6
    assert np.array_equal(body[:, : 24_000 - 144], audio[:, : 24_000 - 144])
    assert not np.array_equal(body[:, -144:], audio[:, 24_000 - 144 : 24_000])


def test_file_keeps_every_audible_sample() -> None:
    audio = tone(48_000, 440.0)
    audio[:, 40_000:] = 0.0
    body, tail = finish_tail(audio, 24_000, "file", RATE)
    assert tail is not None
    joined = np.concatenate([body, tail], axis=1)
    assert np.array_equal(joined, audio[:, : joined.shape[1]])
    assert 39_900 < joined.shape[1] <= 40_000


def test_wrap_adds_the_ringing_to_the_start_however_long_it_is() -> None:
    audio = np.ones((2, 2_500), np.float32)
    body, _ = finish_tail(audio, 1_000, "wrap", RATE)
    assert np.array_equal(body[0], np.r_[np.full(500, 3.0), np.full(500, 2.0)].astype(np.float32))


@given(st.integers(0, 9_000), st.integers(1, 3_000))
def test_outside_the_spans_nothing_changes(start: int, length: int) -> None:
    old, new = tone(12_000, 440.0), tone(12_000, 330.0, 1.0)
    out = splice(old, new, [(start, start + length)], RATE)
    assert np.array_equal(out[:, :start], old[:, :start])
    assert np.array_equal(out[:, start + length :], old[:, start + length :])


def test_inside_the_span_the_new_sound_is_heard_and_the_joins_do_not_click() -> None:
    old, new = tone(48_000, 440.0), tone(48_000, 330.0, 1.0)
    out = splice(old, new, [(10_000, 30_000)], RATE)
    assert np.array_equal(out[:, 10_100:29_000], new[:, 10_100:29_000])
    step = np.abs(np.diff(out[0])).max()
    assert step < 3 * np.abs(np.diff(old[0])).max()


def test_a_new_onset_on_the_join_keeps_its_attack_when_the_past_is_the_same() -> None:
    old = tone(20_000, 440.0)
    new = old.copy()
    new[:, 5_000:] += 0.4
    assert np.array_equal(splice(old, new, [(5_000, 20_000)], RATE), new)


def test_sections_that_touch_are_one_stretch() -> None:
    """Re-rolling two neighbouring sections must not let the old sound through between them."""
    old, new = tone(48_000, 440.0), tone(48_000, 330.0, 1.0)
    assert join_spans([(20_000, 30_000), (10_000, 20_000), (40_000, 41_000)]) == [(10_000, 30_000), (40_000, 41_000)]
    touching = splice(old, new, [(10_000, 20_000), (20_000, 30_000)], RATE)
    assert np.array_equal(touching, splice(old, new, [(10_000, 30_000)], RATE))
    assert np.array_equal(touching[:, 19_000:21_000], new[:, 19_000:21_000])


def test_two_renderings_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError):
        splice(tone(10, 440.0), tone(11, 440.0), [], RATE)
