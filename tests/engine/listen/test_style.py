"""The style profile: swing, groove, key and chords of played songs; spectrum, width, loudness, room of known sounds."""

from __future__ import annotations

import msgspec
import numpy as np
import pyloudnorm
import pytest

from engine.listen.beats import Beats, sound2beats
from engine.listen.dynamics import sound2dynamics
from engine.listen.groove import bars_of_four, strength2swing
from engine.listen.onsets import sound2strength
from engine.listen.room import sound2room
from engine.listen.spectrum import MONO_DB, sound2spectrum
from engine.listen.style import Style, sound2style
from engine.score import PITCH_NAMES, Feel
from tests.engine.listen.played_songs import HAT, KICK, RATE, Played, play, steady
from tests.engine.listen.sounds import clicks, in_room, noise


def style(song: Played) -> Style:
    return sound2style(song.audio.T, RATE)


@pytest.mark.parametrize("swing", [0.5, 0.54, 0.58, 0.62, 0.67])
def test_swung_sixteenths(swing: float) -> None:
    song = play(steady(92.0, 10), pattern="sixteenths", feel=Feel(swing=swing, swing_unit=16, loose_ms=3.0))
    mono = song.mono
    heard = strength2swing(sound2strength(mono), sound2beats(mono))
    assert heard.ratio == pytest.approx(swing, abs=0.015)
    assert heard.unit == 16
    assert heard.confidence > 0.3


@pytest.mark.parametrize("swing", [0.5, 0.58, 0.66])
def test_swung_eighths(swing: float) -> None:
    song = play(steady(120.0, 10), pattern="rock", feel=Feel(swing=swing, swing_unit=8, loose_ms=3.0))
    mono = song.mono
    heard = strength2swing(sound2strength(mono), sound2beats(mono))
    assert heard.ratio == pytest.approx(swing, abs=0.015)
    assert heard.unit == 8 or swing == 0.5
    assert heard.confidence > 0.3


def test_the_groove_shows_what_is_played() -> None:
    song = play(steady(100.0, 12), pattern="sixteenths")
    groove = style(song).groove
    low, _, high = groove.bands
    kicks, hats = song.hits[KICK], song.hits[HAT]
    assert groove.bars >= 10
    assert groove.confidence > 0.35
    assert all(low.strength[k] > 0.5 for k in np.flatnonzero(kicks))
    assert np.mean([low.strength[k] for k in range(16) if not kicks[k]]) < 0.3
    loud = [high.strength[k] for k in range(16) if hats[k] >= 90]
    soft = [high.strength[k] for k in range(16) if 0 < hats[k] < 60]
    assert np.mean(loud) > 1.5 * np.mean(soft)


@pytest.mark.parametrize("late_ms", [0.0, 8.0, 15.0])
def test_what_lies_back_is_heard_late(late_ms: float) -> None:
    """The snare behind the kick, in shares of a sixteenth of 136 ms; the beat is heard between them."""
    song = play(steady(110.0, 12), feel=Feel(loose_ms=0.0, push_ms=(("snare", late_ms),)))
    low, mid, _ = style(song).groove.bands
    for kick, snare in ((0, 4), (8, 12)):
        assert mid.timing[snare] - low.timing[kick] == pytest.approx(late_ms / 136, abs=0.02)


@pytest.mark.parametrize(("tonic", "mode"), [(0, "major"), (9, "minor"), (6, "major"), (2, "minor")])
def test_key_and_chords(tonic: int, mode: str) -> None:
    heard = style(play(steady(100.0, 12), tonic=tonic, mode=mode))
    assert (heard.key.tonic, heard.key.mode) == (PITCH_NAMES[tonic], mode)
    assert heard.key.confidence > 0.5
    assert heard.chords.per_bar == pytest.approx(1.0, abs=0.25)
    assert int(np.argmax(heard.key.chroma)) in {(tonic + d) % 12 for d in (0, 3, 4, 5, 7, 8)}


def test_a_profile_is_kept_as_json() -> None:
    heard = style(play(steady(120.0, 4)))
    assert msgspec.json.decode(msgspec.json.encode(heard), type=Style) == heard


def test_bars_that_are_cut_are_no_bars_of_four() -> None:
    beats = Beats(120.0, 1.0, seconds=tuple(np.arange(15) * 0.5), downbeats=(0, 4, 7, 11), metre=4)
    assert bars_of_four(beats) == [0, 7]
    assert bars_of_four(Beats(120.0, 1.0, seconds=beats.seconds, downbeats=(0, 3, 6, 9), metre=3)) == []


def test_a_tone_stands_in_its_third_octave() -> None:
    time = np.arange(5 * RATE) / RATE
    left = 0.5 * np.sin(2 * np.pi * 1000 * time)
    mono = sound2spectrum(np.stack([left, left], axis=1).astype(np.float32), RATE)
    at = mono.centres.index(1000.0)
    assert mono.levels[at] == pytest.approx(0.0, abs=0.1)
    assert max(v for k, v in enumerate(mono.levels) if abs(k - at) > 1) < -40
    assert mono.side[at] == mono.width == MONO_DB
    one_side = sound2spectrum(np.stack([left, 0 * left], axis=1).astype(np.float32), RATE)
    assert one_side.width == pytest.approx(0.0, abs=0.01)


def test_white_noise_rises_three_decibels_an_octave() -> None:
    heard = sound2spectrum(noise(20.0, rate=RATE)[:, None], RATE)
    middle = [k for k, c in enumerate(heard.centres) if 100 < c < 10000]
    slope = np.polyfit([k / 3 for k in middle], [heard.levels[k] for k in middle], 1)[0]
    assert slope == pytest.approx(3.01, abs=0.1)


def test_width_is_that_of_each_band() -> None:
    """Lows the same on both sides, highs of two players."""
    rng = np.random.default_rng(0)
    time = np.arange(10 * RATE) / RATE
    low = 0.3 * np.sin(2 * np.pi * 100 * time)
    left, right = (0.05 * np.diff(rng.normal(size=len(time) + 1)) for _ in range(2))
    heard = sound2spectrum(np.stack([low + left, low + right], axis=1).astype(np.float32), RATE)
    assert heard.side[heard.centres.index(99.2)] < -25
    assert heard.side[heard.centres.index(8000.0)] == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize("rate", [44100, 48000])
def test_loudness_is_that_of_the_standard(rate: int) -> None:
    song = play(steady(100.0, 6)).audio.T
    heard = sound2dynamics(song, rate)
    assert heard.lufs == pytest.approx(pyloudnorm.Meter(rate).integrated_loudness(song), abs=0.1)
    assert heard.peak_dbfs == pytest.approx(20 * np.log10(np.abs(song).max()), abs=0.01)
    tone = np.sin(2 * np.pi * 997 * np.arange(5 * rate) / rate)[:, None].astype(np.float32)
    assert sound2dynamics(tone, rate).lufs == pytest.approx(-3.01, abs=0.05)


def test_dynamics_of_known_sounds() -> None:
    """A sine has a crest of 3 dB and no range; one that grows by 15 dB that range; peaks lie between samples."""
    time = np.arange(30 * RATE) / RATE
    sine = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)[:, None]
    heard = sound2dynamics(sine, RATE)
    assert heard.crest_db == pytest.approx(3.01, abs=0.02)
    assert heard.range_lu == pytest.approx(0.0, abs=0.05)
    steps = sine * np.where(time < 15, 10 ** (-15 / 20), 1.0)[:, None].astype(np.float32)
    assert sound2dynamics(steps, RATE).range_lu == pytest.approx(15.0, abs=0.3)
    between = np.sin(np.pi / 2 * np.arange(RATE) + np.pi / 4).astype(np.float32)[:, None]
    true = sound2dynamics(between, RATE)
    assert true.peak_dbfs == pytest.approx(-3.01, abs=0.01)
    assert true.true_peak_dbfs == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize("rt60", [0.3, 0.7, 1.2])
def test_a_room_is_heard_in_what_dies_away(rt60: float) -> None:
    heard = sound2room(in_room(clicks(np.arange(0.2, 19, 0.7), 20.0), rt60))
    assert heard.rt60 == pytest.approx(rt60, rel=0.25)
    assert heard.confidence > 0.3
    assert sound2room(noise(10.0)).confidence < 0.05


def test_onset_rates() -> None:
    heard = sound2style(clicks(np.arange(0.1, 19.9, 0.25), 20.0, rate=RATE)[:, None], RATE)
    assert heard.onsets.per_second == pytest.approx(4.0, abs=0.15)
