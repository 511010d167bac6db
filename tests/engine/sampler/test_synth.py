"""The synthesiser: nothing aliases, every patch is in tune and free of clicks, notes do not depend on their company."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sampler.note_measures import cents_off
from engine.sampler.synth import SynthPlayer, patch, patch_names
from engine.sampler.synth.drums import Drum, strike
from engine.sampler.synth.patch import Layer, Patch
from engine.sampler.synth.voice import layer_body

RATE = 48000
STEADY = dict.fromkeys(("detune", "ensemble", "vibrato", "tremolo", "noise", "drop", "half", "damp"), 0.0)
"""A layer without anything that moves its spectrum's lines."""


def stray_db(audio: np.ndarray, hertz: float) -> float:
    """Power outside the harmonics of `hertz`, in dB of the whole, of a steady tone."""
    power = np.abs(np.fft.rfft(audio * np.kaiser(len(audio), 22.0))) ** 2
    step = RATE / len(audio)
    bins = np.arange(len(power))
    near = np.abs(bins * step / hertz - np.round(bins * step / hertz)) * hertz / step
    return float(10 * np.log10(power[near > 10].sum() / power.sum()))


def steady(layer: Layer, pitch: int) -> np.ndarray:
    plain = replace(layer, sweep=0.0, index_floor=1.0, attack=0.001, unison=1, **STEADY)
    return layer_body(plain, pitch, 100, RATE + 4096, RATE, 1)[0, 4096:]


def test_the_aliasing_measure_finds_a_naive_saw() -> None:
    hertz = 440.0 * 2 ** ((89 - 69) / 12)
    naive = 2 * ((np.arange(RATE) * hertz / RATE) % 1.0) - 1
    assert stray_db(naive, hertz) > -35


@pytest.mark.parametrize("name", patch_names())
def test_no_patch_aliases(name: str) -> None:
    for layer in patch(name).layers:
        if layer.ratio != 1.0:
            continue
        for pitch in (31, 45, 62, 79, 97):
            hertz = 440.0 * 2 ** ((pitch + layer.semitones - 69) / 12)
            if hertz < 30:
                continue
            audio = steady(layer, pitch)
            assert stray_db(audio, hertz) < -85, (layer.wave, pitch)


@pytest.mark.parametrize("name", patch_names())
def test_every_patch_is_in_tune_and_fades_in_and_out(name: str) -> None:
    player = SynthPlayer(patch(name), RATE)
    spread = max(layer.detune / 2 + layer.ensemble for layer in patch(name).layers)
    for pitch in (40, 52) if "bass" in name else (57, 69, 81):
        note = player.note(pitch, 100, RATE // 2)
        peak = float(np.abs(note).max())
        assert peak > 0.01
        assert np.isfinite(note).all()
        assert np.abs(note[:, 0]).max() == 0.0
        assert np.abs(note[:, -1]).max() < 1e-4 * peak
        assert abs(cents_off(note, pitch, RATE)) <= 5 + spread


@pytest.mark.parametrize("name", patch_names())
def test_letting_a_key_go_is_no_click(name: str) -> None:
    player = SynthPlayer(patch(name), RATE)
    hold = 17321
    note = player.note(52, 100, hold)
    jumps = np.abs(np.diff(note, 2, axis=1)).max(axis=0)
    before = jumps[hold - 6000 : hold - 200].max(initial=0.0)
    # The release's slope bends the level by up to 0.2 % of itself a sample; a step would be hundreds of times more.
    assert jumps[hold - 50 : hold + 50].max(initial=0.0) <= 1.3 * before + 0.003 * np.abs(note).max()


def test_a_planted_click_is_found() -> None:
    note = SynthPlayer(patch("analog pad"), RATE).note(52, 100, 17321)
    note[:, 17321:] *= 0.5
    jumps = np.abs(np.diff(note, 2, axis=1)).max(axis=0)
    assert jumps[17271:17371].max() > 1.3 * jumps[11321:17121].max() + 0.003 * np.abs(note).max()


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(patch_names()), st.integers(28, 96), st.integers(1, 127), st.integers(1000, 60000))
def test_a_note_is_the_same_alone_and_in_company(name: str, pitch: int, velocity: int, hold: int) -> None:
    alone = SynthPlayer(patch(name), RATE).note(pitch, velocity, hold)
    company = SynthPlayer(patch(name), RATE)
    company.note(pitch, velocity, 2 * hold + 30000)
    company.note(pitch + 1, 60, 500)
    assert company.note(pitch, velocity, hold).tobytes() == alone.tobytes()
    assert np.isfinite(alone).all()


def test_louder_is_louder_and_brighter() -> None:
    for name in ("analog bass", "reed e-piano", "poly brass"):
        player = SynthPlayer(patch(name), RATE)
        soft, loud = player.note(48, 40, RATE // 2)[0], player.note(48, 120, RATE // 2)[0]
        assert np.abs(loud).max() > 2 * np.abs(soft).max()

        def bright(x: np.ndarray) -> float:
            power = np.abs(np.fft.rfft(x)) ** 2
            return float(power[1000:].sum() / power.sum())

        assert bright(loud) > bright(soft), name


def test_a_tone_above_hearing_is_silence_not_an_alias() -> None:
    shrill = Patch("shrill", (Layer(wave="sine", ratio=40.0),), 20.0)
    assert not SynthPlayer(shrill, RATE).note(100, 100, 4800).any()


def test_machine_drums_begin_at_once_end_in_silence_and_follow_their_tuning() -> None:
    kick = Drum(hertz=50, tone=0.0, half=0.1, sweep=24, sweep_half=0.01)
    clap = Drum(noise=0.0, noise_half=0.05, bursts=3, gap=0.01)
    hat = Drum(metal=0.0, metal_half=0.02)
    for drum in (kick, clap, hat):
        sound = strike(drum, 0.0, RATE)
        assert np.abs(sound).max() == pytest.approx(10 ** (-1 / 20), abs=1e-3)
        assert np.argmax(np.abs(sound[0]) > 0.02) < 0.001 * RATE
        assert np.abs(sound[:, -5:]).max() < 1e-3
        assert strike(drum, 0.0, RATE).tobytes() == sound.tobytes()
    tail = strike(kick, 0.0, RATE)[0, RATE // 10 : RATE // 2]
    higher = strike(kick, 1200.0, RATE)[0, RATE // 10 : RATE // 2]
    crossings = [int((np.diff(np.sign(x)) != 0).sum()) for x in (tail, higher)]
    assert crossings[1] == pytest.approx(2 * crossings[0], rel=0.1)


def test_metal_has_no_harmonics_folded_back() -> None:
    hat = Drum(metal=0.0, metal_half=5.0, metal_hertz=400.0, metal_low=300.0)
    sound = strike(hat, 0.0, RATE)[0, 4800 : 4800 + RATE].astype(float)
    power = np.abs(np.fft.rfft(sound * np.blackman(len(sound)))) ** 2
    wanted = np.zeros(len(power), bool)
    for ratio in (1.0, 1.342, 1.2312, 1.6532, 1.9523, 2.1523):
        for harmonic in range(1, 80, 2):
            at = round(400 * ratio * harmonic)
            if at < len(power):
                wanted[max(at - 4, 0) : at + 5] = True
    assert 10 * np.log10(power[~wanted].sum() / power.sum()) < -60
