"""Drum kits: every piece sounds at once, hats choke, velocity changes level and colour, nothing is mapped silently."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.timeline import Clock
from engine.sampler import Bank, choose_instrument, render_part
from engine.sampler import kit as kits
from engine.sampler.oneshots import needed, trim
from engine.score import Note, Part

RATE = 48000
CLOCK = Clock.steady(120, 32)
OPEN, CLOSED, PEDAL, KICK, SNARE, CRASH = 46, 42, 44, 36, 38, 49


def play(bank: Bank, kit: str, notes: list[Note], samples: int = 2 * RATE) -> np.ndarray:
    instrument = replace(choose_instrument(bank, "drums", f"{kit} kit", ""), room_db=None, gain_db=0.0)
    part = Part("drums", "drums", tuple(notes))
    return render_part(bank, part, instrument, CLOCK, RATE, 0, samples, 0, lambda fraction: None)


def energy(audio: np.ndarray) -> float:
    return float((audio.astype(np.float64) ** 2).sum())


@pytest.mark.parametrize("name", kits.kit_names())
def test_every_general_midi_pitch_sounds_within_half_a_millisecond(name: str) -> None:
    kit = kits.kit(name)
    assert sorted(kit.pieces) == list(kits.GM_DRUMS)
    for pitch, piece in kit.pieces.items():
        sound = np.abs(kits.hit(piece, 110, 0, RATE)).max(axis=0)
        early = sound[: int(0.1 * RATE)]
        onset = int(np.argmax(early >= 0.02 * early.max()))
        assert onset <= 0.0005 * RATE, f"{name} {pitch} {piece.name} begins {onset / RATE * 1000:.2f} ms late"
        assert early.max() > 0.02


@pytest.mark.parametrize("name", kits.kit_names())
def test_what_has_no_sample_of_its_own_is_declared(name: str) -> None:
    kit = kits.kit(name)
    for pitch, piece in kit.pieces.items():
        assert (pitch in piece.pitches) != (pitch in kit.near)
    assert not {KICK, SNARE, CLOSED, PEDAL, OPEN, CRASH, 51, 41, 45, 48} & set(kit.near)


def test_a_kit_with_a_gap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (kits.KITS / "808.toml").read_text().replace('79 = "conga_low"', "")
    (tmp_path / "gap.toml").write_text(text)
    monkeypatch.setattr(kits, "KITS", tmp_path)
    with pytest.raises(ValueError, match=r"gap: no piece for the pitches \[79\]"):
        kits.kit("gap")


@pytest.mark.parametrize("name", kits.kit_names())
@pytest.mark.parametrize("closer", [CLOSED, PEDAL])
def test_a_closing_hat_chokes_the_open_one(bank: Bank, name: str, closer: int) -> None:
    opened = play(bank, name, [Note(0.0, 0.5, OPEN, 100)])
    closed = play(bank, name, [Note(0.0, 0.5, OPEN, 100), Note(0.1, 0.5, closer, 100)])
    alone = play(bank, name, [Note(0.1, 0.5, closer, 100)])
    at = CLOCK.beat2sample(0.1, RATE)
    fade = int(0.007 * RATE)
    assert np.array_equal(closed[:, :at], opened[:, :at])
    assert energy(opened[:, at + fade :]) > 0
    assert np.array_equal(closed[:, at + fade :], alone[:, at + fade :])


def test_a_crash_rings_through_hats_and_kicks(bank: Bank) -> None:
    crash = play(bank, "acoustic", [Note(0.0, 0.5, CRASH, 100)])
    both = play(bank, "acoustic", [Note(0.0, 0.5, CRASH, 100), Note(1.0, 0.5, CLOSED, 100), Note(1.5, 0.5, KICK, 100)])
    others = play(bank, "acoustic", [Note(1.0, 0.5, CLOSED, 100), Note(1.5, 0.5, KICK, 100)])
    assert np.allclose(both, crash + others, atol=1e-6)


@pytest.mark.parametrize("name", kits.kit_names())
@pytest.mark.parametrize("pitch", [KICK, SNARE, CLOSED, CRASH])
def test_louder_velocities_are_louder(name: str, pitch: int) -> None:
    piece = kits.kit(name).pieces[pitch]
    levels = [float(np.sqrt(energy(kits.hit(piece, v, 0, RATE)[:, :4800]))) for v in (20, 50, 80, 110, 127)]
    assert all(b > 1.15 * a for a, b in itertools.pairwise(levels))


def test_layers_change_the_sample_and_soft_hits_are_duller() -> None:
    snare = kits.kit("acoustic").pieces[SNARE]
    soft, loud = (kits.hit(snare, v, 0, RATE) for v in (64, 65))
    assert soft.shape != loud.shape
    hat = kits.kit("acoustic").pieces[CLOSED]
    assert brightness(kits.hit(hat, 30, 0, RATE)) < 0.8 * brightness(kits.hit(hat, 120, 0, RATE))


def brightness(audio: np.ndarray) -> float:
    """Spectral centroid in Hz."""
    power = np.abs(np.fft.rfft(audio.mean(axis=0))) ** 2
    frequency = np.fft.rfftfreq(audio.shape[1], 1 / RATE)
    return float((power * frequency).sum() / power.sum())


def test_repeated_hits_differ_by_their_place_alone() -> None:
    hat = kits.kit("acoustic").pieces[CLOSED]
    variants = [kits.variant_of(CLOSED, 0.25 * k) for k in range(64)]
    assert set(variants) == {0, 1, 2, 3}
    assert variants == [kits.variant_of(CLOSED, 0.25 * k) for k in range(64)]
    sounds = {kits.hit(hat, 90, v, RATE).tobytes() for v in range(4)}
    assert len(sounds) == 4


def test_pan_spreads_the_kit(bank: Bank) -> None:
    left, right = np.sqrt((kits.hit(kits.kit("acoustic").pieces[41], 110, 0, RATE) ** 2).sum(axis=1))
    assert left > 1.3 * right
    left, right = np.sqrt((kits.hit(kits.kit("acoustic").pieces[CLOSED], 110, 0, RATE) ** 2).sum(axis=1))
    assert right > 1.3 * left


def test_the_tree_holds_exactly_the_one_shots_that_the_kits_need() -> None:
    assert sorted(p.stem for p in kits.ONESHOTS.glob("*.flac")) == needed()
    for path in kits.ONESHOTS.glob("*.flac"):
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        assert rate == 44100
        assert np.abs(audio).max() == pytest.approx(10 ** (-1 / 20), abs=2e-3)


def test_trim_removes_what_lies_before_the_onset() -> None:
    late = np.concatenate([np.full((4410, 1), 1e-4), 0.5 * np.exp(-np.arange(44100) / 2000)[:, None]]).astype(
        np.float32
    )
    cut = trim(late, 44100)
    assert int(np.argmax(np.abs(cut) > 0.1)) <= 0.0004 * 44100
    assert len(cut) < 0.6 * len(late)
    assert np.abs(cut).max() == pytest.approx(10 ** (-1 / 20), rel=1e-3)
