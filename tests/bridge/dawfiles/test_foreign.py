"""Projects of Bitwig Studio, Cubase, Studio One and REAPER: what is read of them, and where it lies."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.arrangement import Arrangement, KeyAt
from bridge.dawfiles.ramps import TempoPoint, points2pairs
from bridge.dawfiles.read import song_file2arrangement
from bridge.midifile import read_smf
from bridge.timeline import Clock
from tests.bridge.dawfiles.files import BITWIG, CUBASE, REAPER, STUDIO_ONE, dawproject, wav


def track(arrangement: Arrangement, name: str) -> list[tuple[float, float, int, int]]:
    """The notes of the one context track of that name, as (start, length, pitch, velocity), to the tick."""
    (found,) = [t for t in arrangement.tracks if t.name == name and t.midi]
    assert found.start == 0
    (part,) = read_smf(found.midi or "").tracks
    return [(n.start, n.length, n.pitch, n.velocity) for n in part.notes]


def sound(arrangement: Arrangement, name: str) -> tuple[float, Path]:
    (found,) = [t for t in arrangement.tracks if t.name == name and t.audio]
    return found.start, Path(found.audio or "")


def near(notes: list[tuple[float, float, int, int]]) -> list[tuple[object, object, int, int]]:
    tick = 0.6 / 960
    return [(pytest.approx(a, abs=tick), pytest.approx(b, abs=2 * tick), c, d) for a, b, c, d in notes]


def test_bitwig_s_project(tmp_path: Path) -> None:
    loop = wav(tmp_path / "loop.wav", 4.0).read_bytes()
    path = dawproject(tmp_path / "song.dawproject", BITWIG, audio__Loop_DOT_wav=loop)
    arrangement, remarks = song_file2arrangement(path)
    clock = arrangement.timeline()
    assert clock.beat2second(24) == 12
    # From beat 24 on the tempo falls straight over beats, from 120 to 60 at beat 32: the integral of 60 / tempo.
    assert clock.beat2second(26) == pytest.approx(12 + 8 * math.log(120 / 105), abs=1.1e-5)
    assert [(m.beat, m.beats, m.unit) for m in arrangement.metres] == [(0, 4, 4), (16, 7, 8)]
    assert [(s.name, s.label, s.start, s.end) for s in arrangement.sections] == [
        ("Intro", "intro", 0, 8), ("Verse", "verse", 8, 16), ("Drop", "drop", 16, 26.5),
    ]  # fmt: skip
    assert arrangement.keys == (KeyAt(0, "F#", "minor"),)
    assert arrangement.sample_rate == 48000
    # The clip begins at 1 of its loop of four beats; a note is cut where the loop comes round or the clip ends.
    assert track(arrangement, "Bass") == near(
        [
            (4, 0.25, 64, 127),
            (6.5, 0.5, 53, 1),
            (7, 0.25, 65, 100),
            (8, 0.25, 64, 127),
            (10.5, 0.5, 53, 1),
            (11, 0.25, 65, 100),
        ]
    )
    start, file = sound(arrangement, "Drumloop")
    assert start == 16
    assert file.read_bytes() == loop
    assert remarks == [
        '"Stretched": a sound that is stretched was left out.', '"Old idea" is muted and was left out.',
    ]  # fmt: skip


def test_cubase_s_project_in_seconds(tmp_path: Path) -> None:
    riff = wav(tmp_path / "riff.wav", 10.0, 44100)
    samples = np.arange(441000, dtype=np.float32) / 441000
    soundfile.write(riff, samples, 44100, subtype="FLOAT")
    path = dawproject(tmp_path / "song.dawproject", CUBASE, audio__riff_DOT_wav=riff.read_bytes())
    arrangement, remarks = song_file2arrangement(path)
    clock = arrangement.timeline()
    # Straight over time from 120 to 60 in four seconds: 6 beats; the metre changes at second 6, two beats later.
    assert clock.second2beat(4) == pytest.approx(6, abs=1e-9)
    assert clock.second2beat(2) == pytest.approx(2 * (120 + 90) / 2 / 60, abs=1e-5)
    assert [(m.beat, m.beats, m.unit) for m in arrangement.metres] == [(0, 3, 4), (pytest.approx(8), 4, 4)]
    at = clock.second2beat(2)
    assert track(arrangement, "Pad") == near([(at, 1, 60, 64), (at + 2, 1, 64, 64)])
    start, file = sound(arrangement, "Gitarre & Amp")
    assert clock.beat2second(start) == pytest.approx(1.5)
    heard, rate = soundfile.read(file, dtype="float32")
    assert (rate, len(heard)) == (44100, round(5.5 * 44100)), "from 1.5 to 7 seconds, two clips in one file"
    assert np.array_equal(heard[: 3 * 44100], samples[11025 : 11025 + 3 * 44100]), "the first one begins 0.25 s in"
    assert np.all(heard[3 * 44100 : round(3.5 * 44100)] == 0)
    assert np.array_equal(heard[round(3.5 * 44100) :], samples[: 2 * 44100]), "the second one refers to the same sound"
    assert remarks == ['"Off": the sound ext.wav is not there.']


def test_studio_one_s_project(tmp_path: Path) -> None:
    arrangement, remarks = song_file2arrangement(dawproject(tmp_path / "song.dawproject", STUDIO_ONE))
    assert track(arrangement, "Pad") == near([(1, 1, 60, 102)])
    assert track(arrangement, "Kit") == near([(0, 0.5, 36, 127)])
    assert [t.role for t in arrangement.tracks] == [None, "drums"]
    assert [(s.name, s.start, s.end) for s in arrangement.sections] == [("Verse", 0, 32), ("Chorus", 32, 64)]
    assert remarks == []


@pytest.fixture
def reaper(tmp_path: Path) -> Path:
    wav(tmp_path / "Media/gtr.wav", 8.0, 44100)
    wav(tmp_path / "Media/gtr2.wav", 8.0, 44100, value=0.5)
    wav(tmp_path / "Media/loop.wav", 1.0, 44100)
    return tmp_path


@pytest.mark.parametrize("written", ["crlf", "lf", "bom", "cut"])
def test_reaper_s_project(reaper: Path, written: str) -> None:
    text = REAPER.replace("\n", "\r\n") if written == "crlf" else REAPER
    text = "\ufeff" + text if written == "bom" else text.rstrip().removesuffix(">") if written == "cut" else text
    (reaper / "Song.RPP").write_bytes(text.encode())
    arrangement, remarks = song_file2arrangement(reaper / "Song.RPP")
    clock = arrangement.timeline()
    assert arrangement.sample_rate == 44100
    # From second 4 to 8 the tempo falls straight over time from 120 to 60: 6 beats after the first 8.
    assert clock.beat2second(8) == pytest.approx(4)
    assert clock.second2beat(6) == pytest.approx(8 + 2 * (120 + 90) / 2 / 60, abs=1e-5)
    assert clock.beat2second(14) == pytest.approx(8)
    assert [(m.beat, m.beats, m.unit) for m in arrangement.metres] == [(0, 4, 4), (pytest.approx(14), 7, 8)]
    assert arrangement.keys == (KeyAt(0, "D", "dorian"),)
    assert [(s.name, s.label, s.start, s.end) for s in arrangement.sections] == [
        ("Intro", "intro", 0, 4), ('Verse "two"', "verse", 4, 14),
    ]  # fmt: skip
    # The item lasts 4 beats, its source 2: it comes round. The pedal holds the second note; the muted one is silent.
    # Then the pooled copy, which ends in the ramp.
    end = clock.second2beat(4.6)
    once = [(4, 0.5, 60, 96), (5, 0.5, 64, 64), (6, 0.5, 60, 96), (7, 0.5, 64, 64)]
    assert track(arrangement, "Keys") == near([*once, (8, 0.5, 60, 96), (9, end - 9, 64, 64)])
    start, file = sound(arrangement, "Gtr Größe")
    heard, _ = soundfile.read(file)
    assert clock.beat2second(start) == pytest.approx(1)
    assert len(heard) == 2 * 44100
    assert np.all(heard == 0.5), "the chosen take"
    start, file = sound(arrangement, "Loop")
    heard, _ = soundfile.read(file)
    assert start == 0
    assert len(heard) == round(2.5 * 44100)
    assert np.all(heard == 0.25), "it comes round"
    assert remarks == [
        '"Gtr Größe": gtr.wav is stretched or pitched and was left out.', '"Silenced" is muted and was left out.',
        'the region "Whole song" holds others and is no section of its own.',
    ]  # fmt: skip


def test_an_older_encoding_and_a_midi_file_in_an_item(tmp_path: Path) -> None:
    from tests.e2e.songs import chord_song

    song = chord_song(tmp_path / "chords.mid")
    text = REAPER.split("  <TRACK {T1}")[0] + (
        '  <TRACK {T1}\n    NAME "Größe"\n    <ITEM\n      POSITION 0\n      LENGTH 4\n      LOOP 0\n'
        '      <SOURCE MIDI\n        FILE "C:\\\\Users\\\\me\\\\chords.mid"\n      >\n    >\n  >\n>\n'
    )
    (tmp_path / "old.rpp").write_bytes(text.encode("cp1252"))
    arrangement, remarks = song_file2arrangement(tmp_path / "old.rpp")
    wanted = [n for t in read_smf(song).tracks for n in t.notes if n.start < 8]
    tracks = [t for path in arrangement.tracks for t in read_smf(path.midi or "").tracks]
    assert sum(len(t.notes) for t in tracks) == len(wanted) > 0
    assert [r for r in remarks if "chords" in r] == []


@pytest.mark.parametrize("unit", ["beats", "seconds"])
def test_ramps_miss_their_curve_by_ten_microseconds_at_most(unit: str) -> None:
    points = [TempoPoint(0, 60, True), TempoPoint(64, 200, True), TempoPoint(80, 40, False)]
    clock = Clock.from_pairs(points2pairs(points, "beats" if unit == "beats" else "seconds"))
    for share in np.linspace(0, 1, 997):
        at = 64 * share
        if unit == "beats":
            assert clock.beat2second(at) == pytest.approx(60 * 64 / 140 * math.log(1 + 140 * share / 60), abs=1.1e-5)
        else:
            beat = (60 * at + 140 * at * at / 128) / 60
            assert clock.beat2second(beat) == pytest.approx(at, abs=1.1e-5)


def test_what_is_in_a_muted_folder_or_group_is_silent(tmp_path: Path) -> None:
    events = "HASDATA 1 960 QN\nE 0 90 3c 60\nE 480 80 3c 00\nE 480 b0 7b 00"
    item = f"<ITEM\nPOSITION 0\nLENGTH 1\n<SOURCE MIDI\n{events}\n>\n>"
    tracks = [("Band", 1, "1 1"), ("Bass", 0, "0 0"), ("Sub", 0, "1 1"), ("Deep", 0, "2 -2"), ("Keys", 0, "0 0")]
    text = "\n".join(f"<TRACK\nNAME {n}\nMUTESOLO {m} 0 0\nISBUS {bus}\n{item}\n>" for n, m, bus in tracks)
    (tmp_path / "song.rpp").write_text(f'<REAPER_PROJECT 0.1 "7.0" 0\nTEMPO 120 4 4\n{text}\n>\n')
    arrangement, remarks = song_file2arrangement(tmp_path / "song.rpp")
    assert [t.name for t in arrangement.tracks] == ["Keys"]
    assert remarks == [f'"{name}" is muted and was left out.' for name in ("Band", "Bass", "Sub", "Deep")]
    grouped = CUBASE.replace(
        '<Channel role="submix" id="bus"/>', '<Channel role="submix" id="bus"><Mute value="true"/></Channel>'
    )
    arrangement, remarks = song_file2arrangement(dawproject(tmp_path / "song.dawproject", grouped))
    assert [t.name for t in arrangement.tracks] == ["Pad"]
    assert remarks == ['"Gitarre & Amp" is muted and was left out.', '"Off" is muted and was left out.']
