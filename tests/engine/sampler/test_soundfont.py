"""SoundFont files: what is damaged is refused by name, what is cut sounds as before, velocity acts as written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import RequestError
from engine.sampler import Bank, choose_instrument
from engine.sampler.bank import SHIPPED
from engine.sampler.catalogue import shipped_presets
from engine.sampler.player import Player
from engine.sampler.soundfont import cut, open_soundfont
from engine.sampler.zones import ATTENUATION, bake, preset_zones
from tests.engine.sampler.fonts import RATE, click, soundfont

FULL = "STEMBRIDGE_FULL_SOUNDFONT"
"""Environment variable: path of MuseScore_General_Lite.sf3, for the comparison of the subset with the whole."""


def note(path: Path, velocity: int, pitch: int = 60, hold: int = 4000) -> np.ndarray:
    return Bank.open(path).player((0, 0), RATE, [(pitch, velocity)]).note(pitch, velocity, hold)


def peak_db(audio: np.ndarray) -> float:
    return float(20 * np.log10(np.abs(audio).max()))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "text": lambda data: b"this is no sound font at all",
    "cut in the middle": lambda data: data[: len(data) // 2],
    "cut at the end": lambda data: data[:-20],
    "wave file": lambda data: data.replace(b"sfbk", b"WAVE"),
    "no samples": lambda data: data.replace(b"smpl", b"xmpl"),
    "no instruments": lambda data: data.replace(b"inst", b"xnst"),
    "sample outside": lambda data: data.replace(
        b"Test" + bytes(16) + bytes(4), b"Test" + bytes(16) + b"\xff\xff\xff\x7f"
    ),
    "instrument outside": lambda data: data.replace(b"\x29\0\0\0", b"\x29\0\x09\0"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    whole = soundfont(click(), RATE)
    damaged = DAMAGES[name](whole)
    assert damaged != whole
    path = tmp_path / "my font.sf2"
    path.write_bytes(damaged)
    with pytest.raises(RequestError) as error:
        Bank.open(path)
    assert error.value.code == "soundfont.damaged"
    assert error.value.field == "soundfont"
    assert "my font.sf2" in error.value.message


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.sf2", tmp_path):
        with pytest.raises(RequestError, match=path.name):
            Bank.open(path)


@pytest.mark.parametrize(("oper", "amount"), [(0, 30000), (1, 5000), (2, -9000), (3, 9000), (4, 1), (12, -1)])
def test_zone_outside_its_sample_is_refused(write_font: Callable[..., Path], oper: int, amount: int) -> None:
    path = write_font(f"zone{oper}", click(), gens={oper: amount, 54: 1})
    with pytest.raises(RequestError, match=f"zone{oper}"):
        note(path, 100)


def test_damaged_vorbis_stream_is_refused(tmp_path: Path) -> None:
    font = open_soundfont(SHIPPED)
    data = bytearray(cut(font, [(0, 5)]))
    at = data.index(b"OggS") + 3000
    data[at : at + 2000] = bytes(2000)
    path = tmp_path / "scratched.sf3"
    path.write_bytes(data)
    bank = Bank.open(path)
    with pytest.raises(RequestError, match=r"scratched\.sf3 has a damaged sample"):
        choose_instrument(bank, "keys", "fm piano", "")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_500), st.integers(0, 255)), min_size=1, max_size=6))
def test_any_damage_is_refused_or_plays(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(soundfont(click(), RATE))
    for at, value in changes:
        # From the end: the tables lie there.
        data[-1 - at % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "any.sf2"
    path.write_bytes(data)
    try:
        bank = Bank.open(path)
        instrument = choose_instrument(bank, "bass", "", "")
        audio = bank.player((instrument.bank, instrument.preset), RATE, [(40, 90)]).note(40, 90, 2000)
    except RequestError:
        return
    assert np.isfinite(audio).all()


def test_level_follows_velocity_as_the_specification_says(write_font: Callable[..., Path]) -> None:
    path = write_font("velocity", click())
    levels = {v: peak_db(note(path, v)) for v in (127, 100, 64, 32)}
    for velocity, level in levels.items():
        assert level - levels[127] == pytest.approx(40 * np.log10(velocity / 127), abs=0.15)


def test_velocity_modulator_of_the_font_replaces_the_default(write_font: Callable[..., Path]) -> None:
    level_of = write_font("flat", click(), mods=[(0x0502, ATTENUATION, 0, 0, 0)])
    assert peak_db(note(level_of, 40)) == pytest.approx(peak_db(note(level_of, 127)), abs=0.05)


def test_velocity_opens_a_filter(write_font: Callable[..., Path]) -> None:
    noise = 0.3 * np.random.default_rng(0).standard_normal(24000).clip(-3, 3)
    path = write_font("filter", noise, gens={8: 6000}, mods=[(0x0002, 8, 7000, 0, 0)])

    def bright(velocity: int) -> float:
        power = np.abs(np.fft.rfft(note(path, velocity, hold=20000)[0, :16384])) ** 2
        return float(power[4000:].sum() / power.sum())

    assert bright(120) > 5 * bright(40)


def test_attenuation_generator_counts_as_the_emu_chips_do(write_font: Callable[..., Path]) -> None:
    loud, soft = (note(write_font(f"att{a}", click(), gens={ATTENUATION: a}), 127) for a in (0, 200))
    assert peak_db(loud) - peak_db(soft) == pytest.approx(8.0, abs=0.15)


def test_pitch_moves_with_the_key(write_font: Callable[..., Path]) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)
    path = write_font("tone", tone)
    for pitch, expected in ((60, 500.0), (72, 1000.0), (55, 500 * 2 ** (-5 / 12))):
        audio = note(path, 100, pitch, 20000)[0, 1000:18000]
        spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 18))
        assert np.argmax(spectrum) * RATE / (1 << 18) == pytest.approx(expected, rel=1e-3)


def test_shipped_font_holds_exactly_the_table_and_its_licence() -> None:
    font = open_soundfont(SHIPPED)
    assert sorted(font.presets) == list(shipped_presets())
    assert b"MIT" in font.info["ICMT"]
    text = (SHIPPED.parent / "SOURCES.md").read_text()
    assert "Permission is hereby granted" in text
    assert "Frank Wen" in text
    assert "CC0" in text
    size = sum(path.stat().st_size for path in SHIPPED.parent.rglob("*") if path.is_file())
    assert size < 75_000_000


def test_cut_of_a_cut_is_the_same_file() -> None:
    font = open_soundfont(SHIPPED)
    data = cut(font, font.presets)
    again = cut_file(data, sorted(font.presets))
    assert data == again


def cut_file(data: bytes, presets: list[tuple[int, int]]) -> bytes:
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".sf3") as file:
        file.write(data)
        file.flush()
        return cut(open_soundfont(Path(file.name)), presets)


@pytest.mark.skipif(not os.environ.get(FULL), reason=f"{FULL} does not name the whole MuseScore_General_Lite.sf3")
@pytest.mark.parametrize("preset", shipped_presets())
def test_subset_sounds_exactly_as_the_whole_font(preset: tuple[int, int]) -> None:
    whole, ours = open_soundfont(Path(os.environ[FULL])), open_soundfont(SHIPPED)
    assert whole.presets[preset] == ours.presets[preset]
    notes = [(pitch, velocity) for pitch in (30, 41, 53, 60, 69, 83) for velocity in (30, 75, 110, 125)]
    players = [Player(bake(font, preset_zones(font, preset), notes), 48000) for font in (whole, ours)]
    heard = 0
    for pitch, velocity in notes:
        one, two = (player.note(pitch, velocity, 24000) for player in players)
        assert one.tobytes() == two.tobytes()
        heard += bool(one.any())
    assert heard >= 4
