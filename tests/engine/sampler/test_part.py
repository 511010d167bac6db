"""A part's notes sound at their samples, whatever the range, the rate, the clock or the other notes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.timeline import Clock, second2sample
from engine.report import JobCancelled
from engine.sampler import Bank, Instrument, choose_instrument, render_part
from engine.sampler.room import BLOCK, reach
from engine.score import Note, Part

RATE = 48000
RAMP = Clock.from_pairs([(0.0, 0.0), (4.0, 2.0), (8.0, 3.37), (40.0, 20.0)])


def silent_tick(fraction: float) -> None:
    assert 0.0 <= fraction <= 1.0


def play(
    bank: Bank,
    notes: list[Note],
    instrument: Instrument,
    start: int,
    samples: int,
    *,
    clock: Clock = RAMP,
    rate: int = RATE,
) -> np.ndarray:
    return render_part(
        bank, Part("test", "keys", tuple(notes)), instrument, clock, rate, start, samples, 0, silent_tick
    )


@settings(max_examples=40, deadline=None)
@given(
    beat=st.floats(0.0, 30.0),
    late=st.floats(-30.0, 30.0),
    rate=st.sampled_from([44100, 48000, 88200, 96000]),
    start=st.integers(-5000, 5000),
)
def test_note_sounds_at_its_sample(
    click_font: Bank, plain: Instrument, beat: float, late: float, rate: int, start: int
) -> None:
    on = second2sample(RAMP.beat2second(beat) + late / 1000, rate)
    first = on - 1000 + start % 900
    audio = play(click_font, [Note(beat, 0.2, 60, 127, late)], plain, first, 4000, rate=rate)
    loud = np.abs(audio).max(axis=0)
    at = on - first
    assert np.all(loud[:at] == 0.0)
    assert loud[at] > 0.1 * loud.max()
    assert loud[at : at + 3].max() > 0.5 * loud.max()


def test_many_notes_keep_their_places(click_font: Bank, plain: Instrument) -> None:
    beats = np.cumsum(np.random.default_rng(5).uniform(0.21, 0.7, 40))
    notes = [Note(float(b), 0.1, 60, 127) for b in beats]
    audio = play(click_font, notes, plain, 0, 10 * RATE)
    for note in notes:
        at = RAMP.beat2sample(note.start, RATE)
        if at + 10 < audio.shape[1]:
            assert np.abs(audio[:, at]).max() > 10 * np.abs(audio[:, at - 20 : at]).max()


SHIPPED = [("keys", "rhodes"), ("pad", "warm pad"), ("drums", "acoustic kit"), ("guitar", "steel guitar")]


@pytest.mark.parametrize(("role", "words"), SHIPPED, ids=[w for _, w in SHIPPED])
def test_range_is_bit_identical_to_the_whole(bank: Bank, role: str, words: str) -> None:
    rng = np.random.default_rng(11)
    instrument = choose_instrument(bank, role, words, "")
    pitches = (36, 38, 42, 46, 49) if role == "drums" else (55, 60, 62, 67)
    notes = [
        Note(0.25 * k, 0.4, int(rng.choice(pitches)), int(rng.integers(40, 120)), float(rng.normal(0, 4)))
        for k in range(40)
    ]
    whole = play(bank, notes, instrument, 0, 6 * RATE)
    assert np.abs(whole).max() > 0.01
    for start, samples in ((0, 30000), (12345, 70001), (BLOCK, BLOCK), (4 * RATE + 7, RATE)):
        part = play(bank, notes, instrument, start, samples)
        assert np.array_equal(part, whole[:, start : start + samples])


@pytest.mark.parametrize(("role", "words"), SHIPPED[:3], ids=[w for _, w in SHIPPED[:3]])
def test_same_bytes_from_a_fresh_bank(bank: Bank, role: str, words: str) -> None:
    pitches = (36, 42, 38, 46) if role == "drums" else (60, 64, 67, 72)
    notes = [Note(0.5 * k, 0.5, pitch, 90) for k, pitch in enumerate(pitches)]
    one = play(bank, notes, choose_instrument(bank, role, words, ""), 0, RATE)
    fresh = Bank.open()
    two = play(fresh, notes, choose_instrument(fresh, role, words, ""), 0, RATE)
    assert one.tobytes() == two.tobytes()


def test_an_edit_leaves_earlier_sound_untouched(bank: Bank) -> None:
    instrument = replace(choose_instrument(bank, "drums", "", "rock"), room_db=None)
    before = [Note(0.5 * k, 0.25, (36, 42, 38, 42)[k % 4], 80 + k) for k in range(8)]
    one = play(bank, [*before, Note(5.0, 0.25, 49, 100), Note(5.5, 0.25, 42, 90)], instrument, 0, 3 * RATE)
    two = play(bank, [*before, Note(5.0, 0.25, 51, 60)], instrument, 0, 3 * RATE)
    edit = RAMP.beat2sample(5.0, RATE)
    assert np.array_equal(one[:, :edit], two[:, :edit])
    assert not np.array_equal(one, two)


def test_no_voice_is_stolen(bank: Bank) -> None:
    instrument = replace(choose_instrument(bank, "keys", "rhodes", ""), room_db=None)
    notes = [Note(0.01 * k, 8.0, 30 + k % 60, 100) for k in range(120)]
    together = play(bank, notes, instrument, 0, 2 * RATE)
    alone = sum(play(bank, [note], instrument, 0, 2 * RATE).astype(np.float64) for note in notes)
    assert np.abs(together - alone).max() < 1e-5 * np.abs(alone).max()


def test_release_rings_into_the_tail(bank: Bank) -> None:
    instrument = choose_instrument(bank, "keys", "piano", "")
    part = Part("keys", "keys", (Note(3.5, 0.5, 60, 100),))
    samples, tail = RAMP.beat2sample(4.0, RATE), RATE
    audio = render_part(bank, part, instrument, RAMP, RATE, 0, samples, tail, silent_tick)
    assert audio.shape == (2, samples + tail)
    assert audio.dtype == np.float32
    assert np.abs(audio[:, samples : samples + 2000]).max() > 1e-4
    assert np.abs(audio[:, -100:]).max() < np.abs(audio[:, samples : samples + 2000]).max()


def test_room_adds_nothing_before_its_delay_and_rings_on(click_font: Bank, plain: Instrument) -> None:
    on = RAMP.beat2sample(1.0, RATE)
    wet = play(click_font, [Note(1.0, 0.1, 60, 127)], replace(plain, room_db=-12.0), 0, 3 * RATE)
    dry = play(click_font, [Note(1.0, 0.1, 60, 127)], plain, 0, 3 * RATE)
    difference = np.abs(wet - dry).max(axis=0)
    assert np.all(difference[: on + int(0.017 * RATE)] < 1e-6)
    assert difference[on + int(0.02 * RATE) : on + RATE // 2].max() > 1e-4
    assert difference[on + 4800 + reach(RATE) + 10 :].max(initial=0.0) < 1e-6


def test_gain_and_pan_place_the_stem(click_font: Bank, plain: Instrument) -> None:
    note = [Note(1.0, 0.1, 60, 127)]
    middle = play(click_font, note, plain, 0, RATE)
    softer = play(click_font, note, replace(plain, gain_db=-6.0), 0, RATE)
    right = play(click_font, note, replace(plain, pan=1.0), 0, RATE)
    assert np.allclose(softer, middle * 10 ** (-6 / 20), atol=1e-7)
    assert np.abs(right[0]).max() < 1e-6
    assert np.abs(right[1]).max() == pytest.approx(np.sqrt(2) * np.abs(middle[1]).max(), rel=1e-4)


def test_tick_can_stop_the_work(bank: Bank) -> None:
    def stop(fraction: float) -> None:
        raise JobCancelled

    instrument = choose_instrument(bank, "keys", "rhodes", "")
    with pytest.raises(JobCancelled):
        render_part(bank, Part("k", "keys", (Note(0.0, 1.0, 60, 90),)), instrument, RAMP, RATE, 0, RATE, 0, stop)


def test_an_empty_part_is_silence(bank: Bank) -> None:
    audio = play(bank, [], choose_instrument(bank, "keys", "", ""), 0, 1000)
    assert audio.shape == (2, 1000)
    assert not audio.any()
