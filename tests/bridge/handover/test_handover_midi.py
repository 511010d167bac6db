"""MIDI files as another library reads them: notes on the clock, tempo map, metres, keys, markers, names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest

from bridge.arrangement import MODES, TONICS, KeyAt, Section
from bridge.handover.midi import key2signature, write_midi
from bridge.timeline import Clock, Metre

RAMP = [(64 + i / 4, 40 + sum(15 / (96 + j * 0.5) for j in range(i))) for i in range(1, 65)]
CLOCK = Clock.from_pairs(
    [(0.0, 0.0), (64.0, 40.0), *RAMP, (140.0, RAMP[-1][1] + 60 * 60 / 127.7)],
    [Metre(0.0, 4, 4), Metre(32.0, 6, 8), Metre(50.0, 3, 4)],
)
SECTIONS = [Section("Vers 1 ü", "verse", 16.0, 48.0), Section("Chorus", "chorus", 48.0, 128.0)]
KEYS = [KeyAt(0.0, "A", "minor"), KeyAt(48.0, "Eb", "major")]


@dataclass(frozen=True)
class PlainNote:
    start: float
    length: float
    pitch: int
    velocity: int = 90
    offset_ms: float = 0.0


def phrase() -> list[PlainNote]:
    """Notes on and off the grid through the whole take, with micro-timing."""
    rng = np.random.default_rng(4)
    return [
        PlainNote(16 + i / 3, 0.3, 40 + i % 30, int(rng.integers(1, 128)), float(rng.uniform(-12, 12)))
        for i in range(1, 330)
    ]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("midi") / "bass.mid"
    write_midi(path, "Bass", phrase(), CLOCK, start=16.0, end=128.0, keys=KEYS, sections=SECTIONS, program=33)
    return path


def test_every_note_is_within_a_millisecond_of_the_clock(written: Path) -> None:
    song = pretty_midi.PrettyMIDI(str(written))
    (instrument,) = song.instruments
    played = sorted(instrument.notes, key=lambda n: n.start)
    origin = CLOCK.beat2second(16.0)
    wanted = sorted(phrase(), key=lambda n: CLOCK.beat2second(n.start) + n.offset_ms / 1000)
    assert len(played) == len(wanted)
    for heard, note in zip(played, wanted, strict=True):
        shift = note.offset_ms / 1000 - origin
        assert heard.start == pytest.approx(CLOCK.beat2second(note.start) + shift, abs=0.001)
        assert heard.end == pytest.approx(CLOCK.beat2second(note.start + note.length) + shift, abs=0.001)
        assert (heard.pitch, heard.velocity) == (note.pitch, note.velocity)


def test_names_program_metres_keys_and_tempos_are_read_back(written: Path) -> None:
    song = pretty_midi.PrettyMIDI(str(written))
    assert song.resolution == 960
    (instrument,) = song.instruments
    assert (instrument.name, instrument.program, instrument.is_drum) == ("Bass", 33, False)
    origin = CLOCK.beat2second(16.0)
    metres = [(m.numerator, m.denominator, m.time + origin) for m in song.time_signature_changes]
    assert metres == [
        (4, 4, pytest.approx(origin)),
        (6, 8, pytest.approx(CLOCK.beat2second(32.0), abs=0.001)),
        (3, 4, pytest.approx(CLOCK.beat2second(50.0), abs=0.001)),
    ]
    keys = [pretty_midi.key_number_to_key_name(k.key_number) for k in song.key_signature_changes]
    assert keys == ["A minor", "Eb Major"]
    times, tempos = song.get_tempo_changes()
    assert len(times) > 60, "the ramp is there"
    assert tempos[0] == pytest.approx(96.0)
    assert tempos[-1] == pytest.approx(127.7, rel=1e-5)


def test_markers_stand_at_the_sections(written: Path) -> None:
    conductor, part = mido.MidiFile(written, charset="utf-8").tracks
    now, markers = 0, []
    for message in conductor:
        now += message.time
        if message.type == "marker":
            markers.append((now / 960, message.text))
    assert markers == [(0.0, "Vers 1 ü"), (32.0, "Chorus")]
    assert sum(m.time for m in conductor) == sum(m.time for m in part) == (128 - 16) * 960


def test_drums_play_on_channel_10(tmp_path: Path) -> None:
    hits = [PlainNote(i / 2, 0.1, 36) for i in range(8)]
    write_midi(tmp_path / "d.mid", "drums", hits, Clock.steady(120, 8), start=0, end=8, drums=True)
    (instrument,) = pretty_midi.PrettyMIDI(str(tmp_path / "d.mid")).instruments
    assert instrument.is_drum
    assert len(instrument.notes) == 8


def test_a_part_without_notes_is_a_file_of_full_length(tmp_path: Path) -> None:
    write_midi(tmp_path / "e.mid", "pad", [], Clock.steady(120, 8), start=0, end=8)
    file = mido.MidiFile(tmp_path / "e.mid")
    assert (file.type, len(file.tracks), file.length) == (1, 2, pytest.approx(4.0))


def test_the_same_part_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        write_midi(tmp_path / name, "Bass", phrase(), CLOCK, start=16, end=128, keys=KEYS) for name in ("a", "b")
    )
    assert first == second


def test_a_name_of_any_letters_is_written(tmp_path: Path) -> None:
    write_midi(tmp_path / "e.mid", "弦 Größe", [], Clock.steady(120, 8), start=0, end=8)
    assert mido.MidiFile(tmp_path / "e.mid", charset="utf-8").tracks[1].name == "弦 Größe"


SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10), "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10), "lydian": (0, 2, 4, 6, 7, 9, 11), "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tonic", TONICS)
def test_the_signature_has_the_notes_of_the_key(tonic: str, mode: str) -> None:
    signature = key2signature(KeyAt(0.0, tonic, mode))
    mido.MetaMessage("key_signature", key=signature)
    minor = signature.endswith("m")
    shown = TONICS[signature.removesuffix("m")]
    assert {(shown + d) % 12 for d in SCALES["minor" if minor else "major"]} == {
        (TONICS[tonic] + d) % 12 for d in SCALES[mode]
    }


@pytest.mark.parametrize("name", ["C", "Am", "F#", "Gb", "Db", "Abm", "G#m", "Ebm", "D#m", "Cb", "C#"])
def test_a_major_or_minor_key_keeps_its_name(name: str) -> None:
    mode = "minor" if name.endswith("m") else "major"
    assert key2signature(KeyAt(0.0, name.removesuffix("m"), mode)) == name
