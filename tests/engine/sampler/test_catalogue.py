"""The catalogue: complete, measured from what is shipped, wide in every role, without twins, credited."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from bridge.arrangement import ROLES
from engine.sampler import Bank, candidates, choose_instrument, describe
from engine.sampler.bank import MEASURE_RATE, SOUNDS
from engine.sampler.catalogue import BAND, table
from engine.sampler.cataloguing import entry2described, inputs
from engine.sampler.choose import described2instrument
from engine.sampler.described import catalogue, shipped
from engine.sampler.soundfont import open_soundfont
from engine.sampler.sources import FONTS, credit, licence
from engine.sampler.twins import TWIN_DB, difference, image
from engine.sampler.vector import BANDS, distance, listen

ROOT = Path(__file__).parents[3]
REMEASURED = ("finger bass", "sub bass", "studio kit", "rhythm box kit", "glow pad")
MANY = [role for role in ROLES if role != "vocals"]


def test_every_instrument_of_the_table_is_described_and_nothing_else() -> None:
    assert list(shipped()) == list(table().entries)
    for entry in table().entries.values():
        row = shipped()[entry.name]
        assert set(row.roles) <= set(entry.roles)
        assert (row.program, row.kit, row.synth, row.words) == (entry.program, entry.kit, entry.synth, entry.words)
        assert (row.licence, row.credit) == (licence(entry), credit(entry))
        assert row.low <= row.high
        for heard in row.roles.values():
            assert len(heard.bands) == BANDS
            assert np.isfinite([*heard.bands, heard.lufs, heard.brightness_hz, heard.attack_ms]).all()
            assert -70 < heard.lufs < 0
            assert 30 < heard.brightness_hz < 16000


def test_the_catalogue_was_measured_from_what_is_in_the_tree() -> None:
    assert catalogue().inputs == inputs(), "run `python -m engine.sampler.cataloguing`"


@pytest.mark.parametrize("name", REMEASURED)
def test_measuring_again_says_the_same(name: str, bank: Bank) -> None:
    entry, known = table().entries[name], shipped()[name]
    again = entry2described(bank, entry, known.roles, licence=known.licence, credit=known.credit)
    assert again is not None
    assert (again.low, again.high, again.cents) == (known.low, known.high, known.cents)
    assert again.skip_ms == pytest.approx(known.skip_ms, abs=0.05)
    for role, heard in known.roles.items():
        assert again.roles[role].lufs == pytest.approx(heard.lufs, abs=0.02)
        assert distance(again.vector(role), known.vector(role)) < 0.05


@pytest.mark.parametrize("role", MANY)
def test_every_role_has_many_and_different_sounds(bank: Bank, role: str) -> None:
    found = candidates(bank, role)
    assert len(found) >= 10
    assert len({c.name for c in found}) == len(found)
    rows = [shipped()[c.name] for c in found]
    bright = [row.roles[role].brightness_hz for row in rows]
    assert max(bright) > 2.5 * min(bright)
    assert len({row.kind for row in rows}) >= 1
    # How far apart the nearest pairs lie, and the typical ones.
    vectors = [row.vector(role) for row in rows]
    gaps = [distance(a, b) for i, a in enumerate(vectors) for b in vectors[i + 1 :]]
    assert np.median(gaps) > 4.0


def test_listing_candidates_renders_nothing(bank: Bank) -> None:
    fresh = Bank.open()
    for role in ROLES:
        for instrument in candidates(fresh, role):
            row = table().roles[role]
            assert instrument.pan == row.pan
            assert instrument.room_db == row.room_db
            vector = describe(instrument)
            assert vector is not None
            assert vector.shape == (BANDS + 4,)
            assert vector.dtype == np.float32
    assert not fresh._players
    assert not fresh._fonts


def test_twins_are_no_candidates_but_play_by_name(bank: Bank) -> None:
    twins = [entry for entry in shipped().values() if entry.twin]
    assert twins
    for entry in twins:
        assert all(c.name != entry.name for role in entry.roles for c in candidates(bank, role))
        instrument = described2instrument(bank, entry, entry.role)
        other = described2instrument(bank, shipped()[entry.twin], entry.role)
        assert difference(image(bank, entry.role, instrument), image(bank, entry.role, other)) < TWIN_DB


def test_a_sound_is_its_own_twin_at_any_level_and_another_is_not(bank: Bank) -> None:
    piano, organ = (described2instrument(bank, shipped()[n], "keys") for n in ("grand piano", "rock organ"))
    one = image(bank, "keys", piano)
    assert difference(one, one) == 0.0
    assert difference(one, image(bank, "keys", organ)) > 2 * TWIN_DB


def test_measures_do_not_depend_on_level_or_rate() -> None:
    rng = np.random.default_rng(4)
    time_ = np.arange(MEASURE_RATE) / MEASURE_RATE
    left = np.sin(2 * np.pi * 300 * time_) * np.exp(-3 * time_)
    audio = np.stack([left, left * 0.8 + 0.01 * rng.standard_normal(len(left))]).astype(np.float32)
    one, louder = listen(audio, MEASURE_RATE), listen(audio * np.float32(0.25), MEASURE_RATE)
    assert np.abs(np.array(one.bands) - louder.bands).max() < 0.1
    assert one.fall == pytest.approx(26, rel=0.1)
    halved = np.stack([np.interp(np.arange(48000) / 48000, time_, c) for c in audio]).astype(np.float32)
    assert listen(halved, 48000).brightness_hz == pytest.approx(one.brightness_hz, rel=0.1)


def test_silence_has_measures_too() -> None:
    heard = listen(np.zeros((2, 44100), np.float32), 44100)
    assert heard.bands == (0.0,) * BANDS
    assert heard.brightness_hz == 0.0


def test_every_shipped_sound_is_credited_and_small_enough() -> None:
    notice, sources = (ROOT / "NOTICE").read_text(), (SOUNDS / "SOURCES.md").read_text()
    for path in SOUNDS.glob("*.sf3"):
        assert path.name in notice
        assert path.name in sources
        assert path.stem in FONTS
    for font, (_, who) in FONTS.items():
        for name in who.replace(" and others", "").split(", "):
            assert name in sources, (font, name)
    for text in ("CC-BY-3.0", "Emanuel Rumpf", "Alexander Holm", "Audiophob", "Frank Wen"):
        assert text in notice
        assert text in sources
    total = sum(p.stat().st_size for p in SOUNDS.rglob("*") if p.is_file())
    assert total < 75_000_000


@pytest.mark.parametrize("font", sorted(FONTS))
def test_fonts_hold_what_the_table_plays(font: str) -> None:
    presets = open_soundfont(SOUNDS / f"{font}.sf3").presets
    played = {(e.bank, e.program) for e in table().entries.values() if e.font == font and not (e.kit or e.synth)}
    assert played == set(presets)


def test_fonts_are_opened_when_they_are_played(bank: Bank) -> None:
    fresh = Bank.open()
    began = time.process_time()
    instrument = choose_instrument(fresh, "keys", "studio grand", "")
    assert time.process_time() - began < 2.0
    assert not fresh._fonts
    assert instrument.font == "fluid"
    fresh.notes_of(instrument, 44100, [(60, 90)])
    assert list(fresh._fonts) == ["fluid"]


@pytest.mark.parametrize(
    ("role", "words", "name"),
    [
        ("keys", "rhodes", "tine e-piano"),
        ("bass", "808 bass", "808 bass"),
        ("bass", "slap bass", "slap bass"),
        ("pad", "analog pad", "analog pad"),
        ("keys", "a warm Wurlitzer", "reed e-piano"),
        ("lead", "supersaw", "supersaw lead"),
        ("drums", "brushes", "brush kit"),
        ("drums", "analog 909", "analog 909 kit"),
        ("guitar", "mandolin", "mandolin"),
        ("strings", "solina", "string machine"),
    ],
)
def test_an_instrument_named_is_found(bank: Bank, role: str, words: str, name: str) -> None:
    instrument = choose_instrument(bank, role, words, "")
    assert instrument.name == name
    assert instrument.remark == ""
    assert instrument.licence


def test_defaults_still_come_from_the_band() -> None:
    for role in ROLES:
        entry = table().entries[table().roles[role].default]
        assert entry.kit or (entry.font == BAND and not entry.synth)
