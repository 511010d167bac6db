"""Notes cut from a reference of one instrument alone: which are taken, how they go round, that they play in tune."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from bridge.arrangement import Arrangement, Section
from bridge.messages import Render
from bridge.timeline import Clock
from engine.cutkit import LICENCE, clip2kit, open_kit, play_kit
from engine.match import audio2notes
from engine.rendering import Clip
from engine.report import Stopwatch
from engine.sampler import Bank, Instrument, render_part
from engine.score import Key, Note, Part, Score
from engine.stems import StemMaker, request2frame
from tests.engine.match.sounds import RATE, Audio, beats, steady

CLOCK = Clock.steady(120.0, 16.0)
MELODY = (60, 64, 67, 72, 71, 67, 64, 62)
SQUARE, OTHER = 80, 73


@pytest.fixture(scope="module")
def bank() -> Bank:
    """A General MIDI bank that is not in the catalogue."""
    package = pytest.importorskip("pretty_midi")
    return Bank.open(Path(package.__file__).parent / "TimGM6mb.sf2")


def player(program: int) -> Instrument:
    return Instrument(f"program {program}", "soundfont", 0, program, "", 0.0, 0.0, None, 0.0)


def lead(*shifts: int) -> Part:
    """A melody in half notes with a rest after each, and in parallel at each shift."""
    notes = tuple(
        Note(2.0 * k + 0.25, 1.5, pitch + shift, 100) for k, pitch in enumerate(MELODY) for shift in (0, *shifts)
    )
    return Part("lead", "lead", notes)


def sound(bank: Bank, part: Part) -> Audio:
    made = render_part(bank, part, player(SQUARE), CLOCK, RATE, 0, 8 * RATE, 0, lambda _: None)
    return np.asarray(0.5 * made / np.abs(made).max(), np.float32)


def test_clean_notes_are_cut_in_tune(bank: Bank) -> None:
    notes = audio2notes(sound(bank, lead()), RATE)
    assert [round(note.pitch) for note in notes] == sorted(set(MELODY))
    for note in notes:
        assert abs(note.pitch - round(note.pitch)) < 0.1
        struck = [CLOCK.beat2second(n.start) for n in lead().notes if n.pitch == round(note.pitch)]
        assert min(abs(second - note.second) for second in struck) < 0.005


def test_a_cut_note_goes_round_without_a_seam(bank: Bank) -> None:
    for note in audio2notes(sound(bank, lead()), RATE):
        first, last = note.loop
        round_ = np.concatenate([note.audio[0, :last], note.audio[0, first:last]])
        seam = np.abs(np.diff(round_[last - 2 : last + 2], 2)).max()
        assert seam <= 1.2 * np.abs(np.diff(note.audio[0, first:last], 2)).max()


@pytest.mark.parametrize("kind", ["chords", "drums", "noise", "silence"])
def test_what_is_not_one_instrument_in_single_notes_gives_none(bank: Bank, kind: str) -> None:
    clips = {
        "chords": sound(bank, lead(4, 7)),
        "drums": beats(6.0),
        "noise": steady(6.0),
        "silence": np.zeros((2, RATE), np.float32),
    }
    assert audio2notes(clips[kind], RATE) == []


def test_they_play_where_they_come_nearer_and_no_further_than_they_reach(bank: Bank, tmp_path: Path) -> None:
    notes = tuple(Note(float(k), 0.9, pitch, 100) for k, pitch in enumerate((62, 65, 69, 71, 65, 62, 88, 29)))
    part = Part("lead", "lead", notes)
    whole = (Section("Verse", "verse", 0.0, 16.0),)
    request = Render("unit", Arrangement(RATE, ((0.0, 0.0), (16.0, 8.0)), sections=whole))
    frame = request2frame(request, CLOCK, Score(Key(0, "major", given=True), (), (part,), ()))
    score = Score(Key(0, "major", given=True), (), (part,), ())
    stems = StemMaker(request, CLOCK, frame, score, None, bank, Stopwatch(), threading.Lock())
    clip = Clip(sound(bank, lead()), RATE)
    found = clip2kit(stems, part, clip, "melody.wav", player(OTHER), tmp_path)
    assert found is not None
    kit = found.kit
    credits = f"{LICENCE}, the rest {player(OTHER).licence}"
    assert (kit.instrument.name, kit.instrument.licence) == ("notes cut from melody.wav", credits)
    assert min(kit.pitches) >= min(MELODY) - 5
    assert max(kit.pitches) <= max(MELODY) + 5
    audio = play_kit(stems, open_kit(kit, tmp_path), kit, part, 0, frame.samples, lambda _: None)
    verdict = stems.check(audio, part)
    assert verdict.good, verdict.problems
    # The notes out of reach are there as well, played by the other instrument.
    for beat in (6, 7):
        at = round(CLOCK.beat2second(beat) * RATE)
        assert np.abs(audio[:, at : at + RATE // 3]).max() > 1e-3
