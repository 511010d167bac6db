"""Roles, context tracks of an arrangement, and the `listen` answer for MIDI and audio files."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from bridge.arrangement import Arrangement, ContextTrack, KeyAt, Section
from bridge.errors import RequestError
from engine.listen import listen_file, listen_tracks
from engine.listen.roles import guess_role, name2role, notes2role
from engine.score import Heard, Note, Part
from tests.engine.listen.known_songs import make_song, save

RATE = 44100


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Bass 2", "bass"), ("E-Gitarre", "guitar"), ("PIANO_left", "keys"), ("Lead Vox", "vocals"), ("Kick", "drums"),
        ("Bass Drum", "drums"), ("Schlagzeug", "drums"), ("Batterie", "drums"), ("Batería", "drums"),
        ("Streicher", "strings"),
        ("Bläser", "brass"), ("Nappe", "pad"), ("Voix", "vocals"), ("Arpège", "arp"), ("Synth Bass", "bass"),
        ("Guitare", "guitar"), ("Bajo", "bass"), ("Gesang", "vocals"), ("Lead Guitar", "lead"), ("Mélodie", "lead"),
        ("Rhodes idea", "keys"), ("Steel Drums", "keys"), ("MIDI 03", None), ("Brassière", None), ("", None),
    ],
)  # fmt: skip
def test_roles_of_names(name: str, role: str | None) -> None:
    assert name2role(name) == role


def line(*pitches: int, step: float = 1.0, length: float = 0.9) -> list[Note]:
    return [Note(k * step, length, p, 80) for k, p in enumerate(pitches)]


def test_roles_of_channels_programs_and_notes() -> None:
    tune = line(72, 74, 76, 77, 76, 74)
    assert guess_role("Piano", 9, 0, tune) == "drums"
    assert guess_role("", 0, 33, tune) == "bass"
    assert guess_role("", 0, 56, tune) == "brass"
    assert guess_role("", 0, 0, tune) == "lead"
    assert guess_role("Track 1", 0, None, line(36, 36, 43, 36)) == "bass"
    assert notes2role([n for p in (60, 64, 67) for n in line(p, p, p, step=2.0)]) == "keys"
    assert notes2role([n for p in (60, 64, 67) for n in line(p, p, p, step=4.0, length=4.0)]) == "pad"
    assert notes2role(line(*[60, 64, 67, 72] * 4, step=0.25, length=0.2)) == "arp"
    kit = [n for k in range(8) for n in (Note(k / 2, 0.1, 42, 80), Note(k / 2, 0.1, 36 if k % 4 == 0 else 38, 90))]
    assert notes2role(kit) == "drums"


def arrangement(*tracks: ContextTrack, keys: tuple[KeyAt, ...] = (), beats: float = 64.0) -> Arrangement:
    return Arrangement(
        sample_rate=48000,
        clock=((0.0, 0.0), (beats, beats * 0.5)),
        keys=keys,
        sections=(Section("A", "verse", 0.0, beats),),
        tracks=tracks,
    )


def heard(arranged: Arrangement) -> Heard:
    return listen_tracks(arranged, arranged.timeline())


def test_tracks_become_parts_in_project_beats(tmp_path: Path) -> None:
    song = make_song(3, bars=8)
    drums = Part("Kit", "drums", tuple(Note(float(k), 0.1, 36, 100) for k in range(32)))
    path = save(tmp_path / "song.mid", (*song.parts, drums))
    got = heard(arrangement(ContextTrack("Idea", midi=str(path), start=16.0, use="vary")))
    assert [p.role for p in got.parts] == ["keys", "bass", "lead", "drums"]
    assert got.uses == ("vary",) * 4
    assert min(n.start for p in got.parts for n in p.notes) == 16.0
    assert got.chords[0].beat == 16.0
    assert 0 < got.key_confidence <= 1
    late = heard(arrangement(ContextTrack("Idea", midi=str(path), start=48.0)))
    assert max(n.start for p in late.parts for n in p.notes) < 64.0


def test_role_and_key_given_win(tmp_path: Path) -> None:
    path = save(tmp_path / "one.mid", make_song(4, bass=False, melody=False).parts, names=False)
    got = heard(arrangement(ContextTrack("Rhodes", role="pad", midi=str(path)), keys=(KeyAt(0.0, "Bb", "dorian"),)))
    assert (got.parts[0].name, got.parts[0].role) == ("Rhodes", "pad")
    assert (got.key.tonic, got.key.mode, got.key.given, got.key_confidence) == (10, "dorian", True, 1.0)


def test_nothing_given_is_nothing_heard() -> None:
    got = heard(arrangement())
    assert got.parts == got.chords == got.activity == ()
    assert got.key_confidence == 0.0


def test_a_melody_alone_is_said_to_be_one(tmp_path: Path) -> None:
    song = make_song(5)
    path = save(tmp_path / "tune.mid", song.parts[2:])
    got = heard(arrangement(ContextTrack("Tune", role="vocals", midi=str(path))))
    assert got.chords == ()
    assert any("melody only" in remark for remark in got.notes)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.mid"
    path.write_bytes(b"MThd\0\0")
    with pytest.raises(RequestError) as caught:
        heard(arrangement(ContextTrack("x", midi=str(path))))
    assert caught.value.field == str(path)


def test_a_vocal_track_says_where_it_sounds(tmp_path: Path) -> None:
    """Tone from 2 s to 5 s and from 8 s to 9 s of the file, which lies at beat 4 of 120 bpm."""
    time = np.arange(10 * RATE) / RATE
    loud = ((time >= 2) & (time < 5)) | ((time >= 8) & (time < 9))
    audio = 0.3 * np.sin(2 * np.pi * 220 * time) * loud + 1e-4 * np.random.default_rng(0).normal(size=len(time))
    path = tmp_path / "vox.wav"
    soundfile.write(path, audio, RATE)
    got = heard(arrangement(ContextTrack("Vocal demo", audio=str(path), start=4.0)))
    assert len(got.activity) == 2
    assert got.activity[0] == pytest.approx((8.0, 14.0), abs=0.25)
    assert got.activity[1] == pytest.approx((20.0, 22.0), abs=0.25)
    assert msgspec.json.decode(msgspec.json.encode(got), type=Heard) == got
    assert heard(arrangement(ContextTrack("Drum loop", audio=str(path)))).activity == ()


def test_listen_to_a_midi_file(tmp_path: Path) -> None:
    song = make_song(7, bars=8)
    got = listen_file(save(tmp_path / "song.mid", song.parts))
    assert json.loads(json.dumps(got)) == got
    assert got["kind"] == "midi"
    assert got["tempo"] == [{"beat": 0.0, "bpm": 120.0}]
    assert [t["role"] for t in got["tracks"]] == ["keys", "bass", "lead"]
    assert got["chords"][0]["beat"] == 0.0


def click_song(bpm: float, seconds: float, chords: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """Chords of decaying tones once a bar, a kick on every beat and a quiet tick between."""
    beat = 60.0 / bpm
    out = np.zeros(int(seconds * RATE))
    rng = np.random.default_rng(1)
    for k in range(int(seconds / beat)):
        for at, sound in (
            (k * beat, np.sin(2 * np.pi * 60 * np.arange(6000) / RATE) * np.exp(-np.arange(6000) / 1500)),
            ((k + 0.5) * beat, 0.1 * rng.normal(size=1500) * np.exp(-np.arange(1500) / 300)),
        ):
            first = int(at * RATE)
            out[first : first + len(sound)] += 0.5 * sound[: max(0, len(out) - first)]
        if k % 4 == 0:
            first, time = int(k * beat * RATE), np.arange(int(4 * beat * RATE)) / RATE
            tones = [
                np.sin(2 * np.pi * 440 * 2 ** ((p - 69) / 12) * h * time) / h
                for p in chords[k // 4 % len(chords)]
                for h in (1, 2, 3)
            ]
            chord = 0.06 * np.sum(tones, axis=0) * np.exp(-time * 0.8)
            out[first : first + len(chord)] += chord[: max(0, len(out) - first)]
    return out


@pytest.mark.parametrize("bpm", [84.0, 101.5, 128.0])
def test_tempo_and_key_of_a_clip(tmp_path: Path, bpm: float) -> None:
    """F major: F Bb C F with the third, in 44.1 kHz."""
    path = tmp_path / "clip.wav"
    soundfile.write(path, click_song(bpm, 24.0, ((53, 57, 60), (58, 62, 65), (60, 64, 67), (53, 57, 60))), RATE)
    got = listen_file(path)
    assert json.loads(json.dumps(got)) == got
    readings = [got["tempo"]["bpm"], *(a["bpm"] for a in got["tempo"]["alternatives"])]
    assert min(abs(r - bpm) / bpm for r in readings) < 0.01
    assert min(abs(got["tempo"]["bpm"] / bpm - f) for f in (0.5, 1.0, 2.0)) < 0.01
    assert got["tempo"]["confidence"] > 0.2
    assert (got["key"]["tonic"], got["key"]["mode"]) == ("F", "major")
    assert got["key"]["confidence"] > 0.4
    assert got["seconds"] == pytest.approx(24.0)
    assert got["lufs"] < 0


@pytest.mark.parametrize("kind", ["silence", "short", "noise", "one sample"])
def test_degenerate_audio_is_heard_honestly(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(2)
    audio = {
        "silence": np.zeros((RATE, 2)),
        "short": 0.2 * rng.normal(size=(int(0.3 * RATE), 2)),
        "noise": 0.1 * rng.normal(size=(8 * RATE, 2)),
        "one sample": np.full((1, 1), 0.5),
    }[kind]
    path = tmp_path / "clip.wav"
    soundfile.write(path, audio, RATE)
    got = listen_file(path)
    assert got["key"]["confidence"] < 0.15
    assert got["tempo"]["confidence"] < 0.2
    if kind in ("silence", "one sample"):
        assert got["lufs"] is None


@pytest.mark.parametrize(("data", "code"), [(b"not audio at all", "audio.damaged"), (None, "audio.missing")])
def test_files_that_are_no_audio(tmp_path: Path, data: bytes | None, code: str) -> None:
    path = tmp_path / "clip.wav"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(RequestError) as caught:
        listen_file(path)
    assert caught.value.code == code


def test_an_empty_clip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.zeros((0, 2)), RATE)
    with pytest.raises(RequestError, match="no samples"):
        listen_file(path)
