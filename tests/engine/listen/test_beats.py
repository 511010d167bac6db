"""Onsets, tempo, beats and bars of sounds and songs whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.listen.beats import NO_BEATS, Beats, sound2beats
from engine.listen.onsets import sound2strength, strength2times
from tests.engine.listen.played_songs import Played, drifting, play, steady
from tests.engine.listen.sounds import RATE, clicks, noise, speech


def distances(truth: NDArray[np.float64], heard: Beats) -> NDArray[np.float64]:
    """Seconds from each beat to the nearest one heard, the outermost left out."""
    return np.array([np.abs(np.array(heard.seconds) - t).min() for t in truth[1:-1]])


def right_bars(song: Played, heard: Beats) -> float:
    """Share of the song's bars at whose beginning a bar was heard to begin."""
    bars = np.array(heard.seconds)[list(heard.downbeats)]
    return float(np.mean([np.abs(bars - t).min() < 0.05 for t in song.downbeats[1:-1]]))


def test_onsets_are_read_between_frames() -> None:
    times = np.cumsum(np.random.default_rng(1).uniform(0.2, 0.6, 40))
    strength = sound2strength(clicks(times, float(times[-1]) + 1)).summed()
    heard, _ = strength2times(strength)
    away = np.array([heard[np.abs(heard - t).argmin()] - t for t in times])
    assert len(heard) == 40
    assert np.abs(np.median(away)) < 0.005
    assert np.abs(away - np.median(away)).max() < 0.003


@settings(max_examples=12, deadline=None)
@given(bpm=st.floats(55, 200), start=st.floats(0, 0.6))
def test_clicks_give_their_tempo_or_its_octave(bpm: float, start: float) -> None:
    times = np.arange(start, 20.0, 60.0 / bpm)
    heard = sound2beats(clicks(times, 20.5))
    assert heard.bpm is not None
    assert min(abs(heard.bpm / bpm / level - 1) for level in (0.5, 1.0, 2.0)) < 0.005
    grid = np.array(heard.seconds)
    inside = times[(times > 1) & (times < 19)]
    hits = np.array([np.abs(grid - t).min() for t in inside])
    assert np.median(hits) < 0.01 or np.sort(hits)[: len(hits) // 2].max() < 0.01


@pytest.mark.parametrize(("pattern", "bpm"), [("rock", 104.0), ("house", 126.0), ("sixteenths", 92.0)])
def test_beats_and_bars_of_songs(pattern: str, bpm: float) -> None:
    song = play(steady(bpm, 10), pattern=pattern)
    heard = sound2beats(song.mono)
    assert heard.bpm == pytest.approx(bpm, rel=0.001)
    assert heard.confidence > 0.4
    assert np.median(distances(song.beats, heard)) < 0.004
    assert distances(song.beats, heard).max() < 0.015
    assert heard.metre == 4
    assert right_bars(song, heard) == 1.0
    assert heard.bar_confidence > 0.3


def test_a_drum_loop_has_bars_too() -> None:
    song = play(steady(120.0, 10), roles=("drums",))
    assert right_bars(song, sound2beats(song.mono)) == 1.0


def test_a_waltz_has_three_beats() -> None:
    song = play(steady(110.0, 14, 3))
    heard = sound2beats(song.mono)
    assert heard.metre == 3
    assert right_bars(song, heard) == 1.0


@pytest.mark.parametrize(("first", "last"), [(92.0, 110.0), (126.0, 108.0)])
def test_a_drifting_tempo_is_followed(first: float, last: float) -> None:
    song = play(drifting(first, last), pattern="sixteenths")
    heard = sound2beats(song.mono)
    away = distances(song.beats, heard)
    assert np.median(away) < 0.005
    assert np.mean(away < 0.02) > 0.97
    assert len(heard.seconds) == pytest.approx(len(song.beats), abs=2)


def test_beats_go_on_through_silence() -> None:
    song = play(steady(120.0, 10))
    mono = song.mono.copy()
    mono[round(6.0 * RATE) : round(10.0 * RATE)] = 0.0
    heard = sound2beats(mono)
    assert heard.bpm == pytest.approx(120.0, rel=0.002)
    assert distances(song.beats, heard).max() < 0.02


def test_a_range_decides_between_octaves() -> None:
    song = play(steady(100.0, 10))
    low = sound2beats(song.mono, bpm=(50.0, 70.0))
    high = sound2beats(song.mono, bpm=(180.0, 215.0))
    assert low.bpm == pytest.approx(50.0, rel=0.005)
    assert high.bpm == pytest.approx(200.0, rel=0.005)
    with pytest.raises(ValueError, match="no tempo between"):
        sound2beats(song.mono, bpm=(300.0, 400.0))


def test_what_has_no_pulse_is_not_sure_of_one() -> None:
    assert sound2beats(np.zeros(10 * RATE, np.float32)) == NO_BEATS
    assert sound2beats(np.zeros(100, np.float32)) == NO_BEATS
    assert sound2beats(noise(0.3)) == NO_BEATS
    assert sound2beats(noise(20.0)).confidence < 0.1
    for seed in range(4):
        assert sound2beats(speech(20.0, seed=seed)).confidence < 0.25
    irregular = np.cumsum(np.random.default_rng(3).uniform(0.1, 0.9, 40))
    assert sound2beats(clicks(irregular, 20.0)).confidence < 0.25


def test_the_same_clip_is_heard_the_same() -> None:
    song = play(steady(96.0, 6), pattern="sixteenths")
    assert sound2beats(song.mono) == sound2beats(song.mono)


def test_how_loud_it_is_changes_nothing() -> None:
    song = play(steady(108.0, 8))
    once = sound2beats(song.mono)
    quiet = sound2beats((0.1 * song.mono).astype(np.float32))
    assert quiet.bpm == pytest.approx(once.bpm, rel=1e-3)
    assert np.abs(np.array(quiet.seconds) - np.array(once.seconds)).max() < 0.003
