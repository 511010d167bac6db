"""Rests: what a guide leaves silent stays silent, what sounds is not touched, and nothing clicks."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.timeline import Clock
from engine.match import audio2blocks, hold_silence, loud_rests
from engine.match.clicks import find_clicks
from engine.rests import part2rests
from engine.score import Note, Part
from tests.engine.match.sounds import RATE, Audio, beats

STEP = RATE // 20


def two_notes(ring: float) -> Audio:
    """A tone from 0 s and from 3 s on, each a second long and fading by 60 dB in `ring` seconds."""
    time = np.arange(6 * RATE) / RATE
    since = time % 3.0
    level = np.where(since < 1.0, 1.0, 10 ** (-3 * (since - 1.0) / ring))
    level *= np.minimum(1.0, since / 0.002)
    level[level < 1e-6] = 0.0
    return np.repeat((0.3 * level * np.sin(2 * np.pi * 220 * time))[None], 2, axis=0).astype(np.float32)


def blocks(audio: Audio) -> np.ndarray:
    """dBFS of blocks of 50 ms."""
    power = np.square(audio[:, : audio.shape[1] // STEP * STEP].reshape(2, -1, STEP)).mean(axis=(0, 2))
    return np.asarray(10 * np.log10(power + 1e-14))


@pytest.mark.parametrize("ring", [0.8, 4.0])
def test_what_rings_on_into_a_silent_rest_is_held(ring: float) -> None:
    guide, long = two_notes(0.15), two_notes(ring)
    held = hold_silence(long, RATE, 0, [(guide, 0)])
    silent = blocks(guide) < -90
    run = np.convolve(silent, np.ones(8))[: len(silent)] >= 8
    assert blocks(long)[run].max() > -72
    assert blocks(held)[run].max() < -72
    # While the guide sounds, and in the first moments of its silence, nothing is touched.
    first = int(np.flatnonzero(run)[0]) * STEP
    assert np.array_equal(held[:, : first - RATE // 40], long[:, : first - RATE // 40])
    again = slice(round(3.01 * RATE), round(4.2 * RATE))
    assert np.array_equal(held[:, again], long[:, again])
    assert not len(find_clicks(long, held, RATE))


def test_a_range_is_held_as_the_whole_is() -> None:
    guide, long = two_notes(0.15), two_notes(4.0)
    whole = hold_silence(long, RATE, 0, [(guide, 0)])
    for start, stop in ((5, 6 * RATE - 77), (RATE - 3, 5 * RATE + 11)):
        low = max(0, start - RATE)
        part = hold_silence(long[:, start:stop].copy(), RATE, start, [(guide[:, low:stop], low)])
        inside = slice(STEP, -STEP)
        assert np.allclose(part[:, inside], whole[:, start:stop][:, inside], atol=1e-7)


def test_what_was_silent_enough_comes_back_as_it_is() -> None:
    sound = beats(4.0)
    assert hold_silence(sound, RATE, 0, [(sound, 0)]) is sound
    assert hold_silence(sound, RATE, 0, []) is sound
    assert hold_silence(sound[:, :100], RATE, 3, [(sound[:, :50], 0)]).shape == (2, 100)


def test_rests_are_where_no_note_is_held() -> None:
    notes = tuple(Note(start, length, 60, 90) for start, length in ((1.0, 1.0), (1.5, 2.0), (3.75, 0.25), (6.0, 1.0)))
    clock = Clock.steady(120.0, 16.0)
    rests = part2rests(Part("keys", "keys", notes), clock, 1000, 0, 5000)
    assert rests == [(0, 500), (2000, 3000), (3500, 5000)]
    assert part2rests(Part("keys", "keys", ()), clock, 1000, 0, 400) == []
    tone = np.full((2, 5000), 0.1, np.float32)
    tone[:, :500] = tone[:, 2200:3000] = 0.0
    assert loud_rests(audio2blocks(tone, 1000, 0), 1000, rests) == [(3500, 5000)]
    assert loud_rests(audio2blocks(tone[:, 2000:4600], 1000, 2000), 1000, rests) == [(3500, 5000)]
