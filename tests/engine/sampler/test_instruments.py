"""The table of instruments: words and styles choose, every instrument sounds in tune and at its role's loudness."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bridge.arrangement import ROLES
from bridge.timeline import Clock
from engine.sampler import Bank, choose_instrument, mix_stems, render_part
from engine.sampler.catalogue import BAND, longest_match, plain, table
from engine.sampler.choose import described2instrument
from engine.sampler.described import shipped
from engine.sampler.kit import kit_names
from engine.sampler.measure import loudness
from engine.sampler.synth import patch
from engine.score import Note, Part
from tests.engine.sampler.fonts import RATE, click, soundfont

MELODIC = [e.name for e in table().entries.values() if not e.drums]
QUICK = (
    "finger bass", "picked bass", "synth bass", "deep synth bass", "upright bass", "grand piano", "bright piano",
    "tine e-piano", "fm e-piano", "clavinet", "clean electric guitar", "muted guitar", "steel guitar", "nylon guitar",
    "saw lead", "square lead", "polysynth", "harp", "vibraphone", "marimba", "crystal",
)  # fmt: skip


def cents_off(audio: np.ndarray, pitch: int, rate: int) -> float:
    """Cents between the sound and `pitch`: where, within 80 cents, the power at eight harmonics is greatest."""
    size = 1 << 18
    steady = audio.mean(axis=0)[int(0.08 * rate) : int(1.1 * rate)]
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady)), size)) ** 2
    cents = np.arange(-80, 81)
    fundamental = 440 * 2 ** ((pitch - 69 + cents / 100) / 12)
    power = np.zeros(len(cents))
    for harmonic in range(1, 9):
        bins = np.round(fundamental * harmonic * size / rate).astype(int)
        if bins[-1] < len(spectrum):
            power += spectrum[bins] * harmonic
    return float(cents[power.argmax()])


def test_the_pitch_measure_finds_a_wrong_pitch() -> None:
    time = np.arange(RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 440 * 2 ** (15 / 1200) * h * time) / h for h in (1, 2, 3))
    assert cents_off(np.stack([tone, tone]), 69, RATE) == pytest.approx(15, abs=2)


@pytest.mark.parametrize("name", MELODIC)
def test_every_instrument_sounds_in_tune(bank: Bank, name: str) -> None:
    entry = table().entries[name]
    pitches = (33, 36, 38, 41, 43) if "bass" in name else (57, 60, 62, 64, 67, 69, 72)
    instrument = described2instrument(bank, shipped()[name], entry.roles[0])
    play = bank.notes_of(instrument, 44100, [(p, 90) for p in pitches])
    notes = [play(p, 90, 44100) for p in pitches]
    assert min(np.abs(n).max() for n in notes) > 0.003
    # Of two detuned voices the measure finds one or the other.
    beside = max((layer.detune / 2 for layer in patch(entry.synth).layers), default=0.0) if entry.synth else 0.0
    off = np.median([cents_off(n, p, 44100) for n, p in zip(notes, pitches, strict=True)])
    # Chorused presets of the fonts have no one pitch: their median lies up to 8 cents off on one key or another.
    assert abs(off) <= (5 if entry.synth else 10 if entry.font == BAND else 8) + beside


@pytest.mark.parametrize("name", QUICK)
def test_rhythm_instruments_speak_at_once(bank: Bank, name: str) -> None:
    role = "bass" if "bass" in name else "keys"
    instrument = choose_instrument(bank, role, name, "")
    assert instrument.name == name
    assert instrument.attack_ms <= 8.0


@pytest.mark.parametrize("role", ROLES)
def test_every_role_and_style_has_an_instrument_at_the_roles_level(bank: Bank, role: str) -> None:
    row = table().roles[role]
    for style in ("", *list(row.styles)[:4]):
        instrument = choose_instrument(bank, role, "", style)
        assert instrument.remark == ""
        heard = bank.measured(row, replace(instrument, gain_db=0.0, pan=0.0, room_db=None))
        level, headroom = row.lufs - heard.lufs, -3.0 - 20 * np.log10(heard.peak or 1e-9)
        assert instrument.gain_db == pytest.approx(min(level, headroom), abs=0.01)
        assert -24 < instrument.gain_db < 24


@pytest.mark.parametrize("kit", ["acoustic", "electronic", "808"])
def test_the_hardest_hit_of_a_kit_stays_below_full_scale(bank: Bank, kit: str) -> None:
    instrument = choose_instrument(bank, "drums", f"{kit} kit", "")
    clock = Clock.steady(120, 4)
    for pitch in range(35, 82):
        hit = Part("drums", "drums", (Note(0.0, 1.0, pitch, 127),))
        audio = render_part(bank, hit, instrument, clock, 44100, 0, 88200, 0, lambda _: None)
        assert np.abs(audio).max() < 0.8, pitch


@pytest.mark.parametrize(
    ("role", "words", "style", "expected"),
    [
        ("guitar", "electric guitar", "", "clean electric guitar"),
        ("keys", "Rhodes", "rock", "tine e-piano"),
        ("keys", "warm electric piano", "", "tine e-piano"),
        ("bass", "upright bass", "house", "upright bass"),
        ("drums", "808", "jazz", "808 kit"),
        ("bass", "808", "", "808 bass"),
        ("bass", "synth", "jazz", "synth bass"),
        ("pad", "synth", "", "warm pad"),
        ("lead", "trumpet", "", "trumpet"),
        ("guitar", "acoustic", "", "steel guitar"),
        ("bass", "", "hard rock", "picked bass"),
        ("keys", "", "neo-soul, warm", "tine e-piano"),
        ("bass", "", "Neo-Soul", "finger bass"),
        ("guitar", "", "indie rock", "clean electric guitar"),
        ("lead", "", "electronic", "saw lead"),
        ("drums", "", "deep house", "electronic kit"),
        ("drums", "", "", "acoustic kit"),
    ],
)
def test_words_then_style_then_role(bank: Bank, role: str, words: str, style: str, expected: str) -> None:
    instrument = choose_instrument(bank, role, words, style)
    assert instrument.name == expected
    assert instrument.remark == ""


def test_unknown_words_are_told(bank: Bank) -> None:
    instrument = choose_instrument(bank, "keys", "zither", "jazz")
    assert instrument.name == "grand piano"
    assert "zither" in instrument.remark
    assert "grand piano" in instrument.remark


def test_matching_is_by_whole_words_and_the_longest_wins() -> None:
    assert plain("Neo-Soul,  WARM r&b") == "neo soul warm r&b"
    assert longest_match("deep house", [("house", 1), ("deep house", 2), ("deep", 3)]) == 2
    assert longest_match("jazzy", [("jazz", 1)]) is None
    assert longest_match("rock with jazz", [("jazz", 1), ("rock", 2)]) == 2


def test_every_word_of_the_table_chooses_its_instrument(bank: Bank) -> None:
    owners: dict[str, str] = {}
    for entry in table().entries.values():
        for word in {plain(w) for w in (entry.name, *entry.words)}:
            kind = "kit " if entry.drums else ""
            assert owners.setdefault(kind + word, entry.name) == entry.name, f'"{word}" names two instruments'


def test_the_users_font_plays_melody_and_our_kits_the_drums(tmp_path: Path) -> None:
    path = tmp_path / "mine.sf2"
    path.write_bytes(soundfont(click(), RATE))
    bank = Bank.open(path)
    keys = choose_instrument(bank, "keys", "", "")
    assert (keys.name, keys.source, keys.licence, keys.remark) == ("Test", "mine.sf2", "the user's own", "")
    bass = choose_instrument(bank, "bass", "", "")
    assert bass.name == "Test"
    assert "mine.sf2 has no finger bass (program 33); Test plays." in bass.remark
    assert choose_instrument(bank, "bass", "test", "").remark == ""
    assert choose_instrument(bank, "drums", "", "").kit in kit_names()


def test_a_typical_band_is_at_minus_sixteen_lufs_without_the_limiter(bank: Bank) -> None:
    clock = Clock.steady(110, 64)
    rng = np.random.default_rng(2)

    def part(role: str) -> Part:
        notes = []
        for bar in range(8):
            start, chord = 4.0 * bar, ((57, 60, 64), (53, 57, 60), (48, 55, 64), (55, 59, 62))[bar % 4]
            hits = {
                "drums": [(k / 2, 0.2, 42) for k in range(8)]
                + [(0, 0.2, 36), (2, 0.2, 36), (1, 0.2, 38), (3, 0.2, 38)],
                "bass": [(k / 2, 0.45, chord[0] - 24 if chord[0] > 50 else chord[0] - 12) for k in range(8)],
                "keys": [(k, 0.5, p) for k in (0, 1.5, 2, 3.5) for p in chord],
                "pad": [(0, 4, p) for p in chord],
                "lead": [(k, 0.8, chord[k % 3] + 12) for k in range(4)],
                "guitar": [(k / 2, 0.4, chord[k % 3]) for k in range(8)],
            }[role]
            notes += [Note(start + at, length, p, int(90 + rng.normal(0, 6))) for at, length, p in hits]
        return Part(role, role, tuple(sorted(notes, key=lambda n: n.start)))

    for style in ("", "rock", "neo-soul", "house"):
        samples = clock.beat2sample(32, RATE)
        stems = [
            render_part(
                bank, part(role), choose_instrument(bank, role, "", style), clock, RATE, 0, samples, 0, lambda f: None
            )
            for role in ("drums", "bass", "keys", "pad", "lead", "guitar")
        ]
        mix, report = mix_stems(stems, RATE)
        assert loudness(mix, RATE) == pytest.approx(-16.0, abs=2.0), style
        assert report.true_peak_before < -0.5, style
