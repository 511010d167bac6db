"""Every instrument and kit of the catalogue, played: over its range, at once, in tune, from silence into silence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.sampler import Bank
from engine.sampler import kit as kits
from engine.sampler.catalogue import table
from engine.sampler.cataloguing import MOST_MS, TUNED_PITCHES
from engine.sampler.choose import described2instrument
from engine.sampler.described import Described, shipped
from engine.sampler.drumfont import CHOKES
from engine.sampler.note_measures import STEADY_CENTS, sound2rise, tuning

RATE = 44100
MELODIC = [e.name for e in shipped().values() if e.kind in ("soundfont", "synth")]
DRUMS = [e.name for e in shipped().values() if e.family == "drums"]
SWELLS_MS = 10.0
"""From this attack on an instrument swells: it has no moment that could be early or late."""
CORE = (36, 38, 42, 46, 41, 45, 48, 49, 51)
SHORT = int(0.12 * RATE)


def pitches(entry: Described) -> list[int]:
    """Across the range: both ends and three between."""
    return sorted({round(p) for p in np.linspace(entry.low, entry.high, 5)})


@pytest.mark.parametrize("name", MELODIC)
def test_it_sounds_over_its_range_from_silence_into_silence(bank: Bank, name: str) -> None:
    entry = shipped()[name]
    instrument = described2instrument(bank, entry, entry.role)
    every = pitches(entry)
    play = bank.notes_of(instrument, RATE, [(p, 90) for p in every])
    notes = [play(p, 90, SHORT) for p in every]
    loudest = max(float(np.abs(n).max()) for n in notes)
    for pitch, note in zip(every, notes, strict=True):
        peak = float(np.abs(note).max())
        assert peak > loudest * 10 ** (-52 / 20), pitch
        assert np.isfinite(note).all()
        # Some recordings begin in the middle of a wave; none at its top.
        assert np.abs(note[:, 0]).max() < 0.45 * peak, pitch
        assert np.abs(note[:, -32:]).max() < 0.02 * peak, pitch


def test_every_instrument_speaks_on_its_sample(bank: Bank) -> None:
    """By the rise of energy, on other keys and touches than those that were measured, at another rate."""
    rate = 48000
    struck: dict[str, list[float]] = {}
    swelling: dict[str, list[float]] = {}
    for name in MELODIC:
        entry = shipped()[name]
        assert 0.0 <= entry.skip_ms <= MOST_MS
        instrument = described2instrument(bank, entry, entry.role)
        wanted = [(p + 1, v) for p in table().roles[entry.role].phrase[1:3] for v in (60, 105)]
        play = bank.notes_of(instrument, rate, wanted)
        late = [sound2rise(play(p, v, SHORT), rate)[0] / rate * 1000 for p, v in wanted]
        swells = entry.roles[entry.role].attack_ms >= SWELLS_MS
        (swelling if swells else struck)[name] = late
        assert swells or entry.late_ms <= 0.25, name
    assert len(struck) > 120
    every = np.concatenate(list(struck.values()))
    assert np.median(every) <= 0.02
    assert np.percentile(every, 90) <= 0.2
    assert np.percentile(every, 98) <= 0.5
    middle = {name: float(np.median(late)) for name, late in struck.items()}
    assert max(middle.values()) <= 0.7, max(middle, key=lambda name: middle[name])
    # What swells rises where it leaves silence: most of it at once, the slowest pads some milliseconds later.
    assert np.median(np.concatenate(list(swelling.values()))) <= 0.02
    assert max(float(np.median(late)) for late in swelling.values()) <= 12.0


@pytest.mark.parametrize("late", [1, 7, 240])
def test_what_speaks_late_is_found_to_the_sample(bank: Bank, late: int) -> None:
    entry = shipped()["grand piano"]
    note = bank.notes_of(described2instrument(bank, entry, "keys"), RATE, [(60, 90)])(60, 90, SHORT)
    first, rise_db = sound2rise(note, RATE)
    moved = np.concatenate([np.zeros((2, late), np.float32), note], axis=1)
    found, found_db = sound2rise(moved, RATE)
    assert found == first + late
    assert found_db == pytest.approx(rise_db, abs=0.1)
    assert sound2rise(np.zeros((2, RATE), np.float32), RATE) == (0, 0.0)


def test_breath_ahead_of_a_tone_is_not_its_rise() -> None:
    rng = np.random.default_rng(0)
    tone = np.sin(2 * np.pi * 440 * np.arange(RATE // 4) / RATE)
    breath = 0.003 * rng.standard_normal(int(0.02 * RATE))
    first, rise_db = sound2rise(np.tile(np.concatenate([breath, tone]).astype(np.float32), (2, 1)), RATE)
    assert abs(first - len(breath)) <= 2
    assert rise_db > 12


@pytest.mark.parametrize("name", DRUMS)
def test_a_kits_pieces_sound_at_once(bank: Bank, name: str) -> None:
    entry = shipped()[name]
    instrument = described2instrument(bank, entry, "drums")
    if entry.kind == "kit":
        hits = {p: kits.hit(kits.kit(entry.kit).pieces[p], 100, 0, RATE) for p in CORE}
    else:
        drums = bank.drums(instrument, RATE, [(p, 100) for p in CORE])
        hits = {p: drums.hit(p, 100) for p in CORE}
    for pitch, hit in hits.items():
        # An orchestra's kit has timpani where others have a hat.
        assert np.abs(hit).max() > 0.005, pitch
        assert np.argmax(np.abs(hit).max(axis=0) > 0.02 * np.abs(hit).max()) < 0.004 * RATE, pitch
        assert np.abs(hit[:, -16:]).max() < 0.02 * np.abs(hit).max(), pitch
    rises = [sound2rise(hits[p], RATE)[0] / RATE * 1000 for p in CORE]
    assert max(rises) <= 0.5
    assert np.median(rises) <= 0.2


@pytest.mark.parametrize("name", ["chiffer lead", "bright polysynth", "calliope lead", "bowed glass", "glow pad"])
def test_nothing_hums_at_no_frequency(bank: Bank, name: str) -> None:
    """Fonts whose samples do not swing around zero are brought back to it; and a planted offset is found."""
    entry = shipped()[name]
    keys = table().roles[entry.role].phrase
    play = bank.notes_of(described2instrument(bank, entry, entry.role), RATE, [(p, 90) for p in keys])

    def offset_db(note: np.ndarray) -> float:
        steady = note[:, int(0.2 * RATE) : RATE].astype(np.float64)
        window = np.hanning(steady.shape[1])
        mean = np.abs(steady @ window).max() / window.sum()
        return float(20 * np.log10(mean / np.sqrt(np.square(steady).mean())))

    notes = [play(p, 90, RATE) for p in keys]
    assert max(offset_db(note) for note in notes) < -28
    assert offset_db(notes[0] + np.float32(0.1 * np.abs(notes[0]).max())) > -20


def test_a_font_kits_hats_choke_each_other() -> None:
    assert CHOKES[42] == CHOKES[44] == CHOKES[46]
    assert 36 not in CHOKES
    assert 49 not in CHOKES


def test_every_sampled_instrument_is_tuned_and_what_is_left_is_stated() -> None:
    rows = [entry for entry in shipped().values() if entry.kind in ("soundfont", "synth")]
    assert max(abs(e.off_cents) for e in rows if e.kind == "soundfont") <= 0.5
    # Patches are in tune by arithmetic; what drive, drops and inharmonic partials make of that is stated.
    assert max(abs(e.off_cents) for e in rows) <= 4.0
    assert sum(e.waver_cents <= STEADY_CENTS for e in rows) > len(rows) / 2


@pytest.mark.parametrize("name", ["saw lead", "clarinet", "fm e-piano", "rock organ", "accordion", "square lead"])
def test_a_steady_sound_is_within_two_cents(bank: Bank, name: str) -> None:
    """On the same keys by the sampler itself; a planted mistuning is found."""
    entry = shipped()[name]
    assert entry.waver_cents <= STEADY_CENTS
    instrument = described2instrument(bank, entry, entry.role)
    keys = [p for p in TUNED_PITCHES if entry.low <= p <= entry.high]

    def heard(cents: int) -> float:
        tuned = replace(instrument, cents=instrument.cents + cents)
        play = bank.notes_of(tuned, RATE, [(p, 90) for p in keys])
        return tuning([(p, play(p, 90, int(1.2 * RATE))) for p in keys], RATE).cents

    assert heard(0) == pytest.approx(0.0, abs=2.0)
    assert heard(12) == pytest.approx(12.0, abs=2.0)
