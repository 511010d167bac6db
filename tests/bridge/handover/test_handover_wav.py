"""WAV files are read back by three other readers: sound to the bit, place to the sample, markers, one-shot flag."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from wavinfo import WavInfoReader

from bridge.errors import JobError
from bridge.handover import wav
from bridge.handover.files import Sink
from bridge.handover.wav import Bits, Label, wav_bytes, write_wav

LABEL = Label(
    title="Lead guitar",
    project="Night Bus",
    tempo=96.0,
    metre=(6, 8),
    beats=128.0,
    root=9,
    markers=((0, "Intro"), (12_345, "Verse 1")),
)


def noise(channels: int, samples: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-0.99, 0.99, (channels, samples)).astype(np.float32)


def chunk(path: Path, name: bytes) -> bytes:
    """The body of one chunk, by walking the file as RIFF says."""
    raw = path.read_bytes()
    assert raw[:4] == b"RIFF"
    assert raw[8:12] == b"WAVE"
    assert struct.unpack("<I", raw[4:8])[0] == len(raw) - 8
    at = 12
    while at < len(raw):
        size = struct.unpack("<I", raw[at + 4 : at + 8])[0]
        if raw[at : at + 4] == name:
            return raw[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    assert at == len(raw), "chunks do not fill the file"
    raise AssertionError(f"no {name!r} chunk")


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("samples", [1, 65_536, 100_001])
def test_float_files_hold_the_samples_as_they_are(tmp_path: Path, channels: int, samples: int) -> None:
    audio = noise(channels, samples) * 3.0
    write_wav(tmp_path / "a.wav", audio, 48000, bits=32, start_sample=0, label=LABEL)
    read, rate = soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)
    assert rate == 48000
    assert np.array_equal(read.T, audio)
    assert struct.unpack("<I", chunk(tmp_path / "a.wav", b"fact"))[0] == samples


@pytest.mark.parametrize(("channels", "samples"), [(1, 99_999), (2, 70_001)])
def test_24_bit_files_hold_the_nearest_step(tmp_path: Path, channels: int, samples: int) -> None:
    audio = noise(channels, samples)
    audio[0, :4] = [-1.0, 8388607 / 8388608, 1.5 / 8388608, -0.5 / 8388608]
    write_wav(tmp_path / "a.wav", audio, 44100, bits=24, start_sample=0, label=LABEL)
    read, _ = soundfile.read(tmp_path / "a.wav", dtype="int32", always_2d=True)
    wanted = np.rint(audio.astype(np.float64) * 2**23).astype(np.int64)
    assert np.array_equal(read.T.astype(np.int64) >> 8, wanted)
    assert wanted[0, :4].tolist() == [-8388608, 8388607, 2, 0]
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (
            channels, 3, 44100, samples,
        )  # fmt: skip
        first = file.readframes(1)[:3]
    assert int.from_bytes(first, "little", signed=True) == -8388608


@pytest.mark.parametrize("bits", [24, 32])
def test_another_reader_finds_place_markers_and_names(tmp_path: Path, bits: Bits) -> None:
    start = 7 * (1 << 32) + 460_801
    write_wav(tmp_path / "a.wav", noise(2, 20_000), 48000, bits=bits, start_sample=start, label=LABEL)
    info = WavInfoReader(str(tmp_path / "a.wav"))
    assert (info.fmt.sample_rate, info.fmt.channel_count, info.fmt.bits_per_sample) == (48000, 2, bits)
    assert info.data.frame_count == 20_000
    assert info.bext.version == 1
    assert info.bext.time_reference == start
    assert info.bext.description == "Night Bus: Lead guitar"
    assert info.bext.originator == "stembridge"
    assert info.bext.umid == bytes(64)
    assert info.bext.coding_history.startswith(f"A=PCM,F=48000,W={bits},M=stereo")
    assert [(c.name, c.sample_offset) for c in info.cues.cues] == [(1, 0), (2, 12_345)]
    assert [label.text for label in info.cues.labels] == ["Intro", "Verse 1"]
    assert info.ixml.project == "Night Bus"
    assert info.ixml.scene == "Lead guitar"
    speed = info.ixml.parsed.find("./SPEED")
    high = int(speed.find("TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI").text)
    low = int(speed.find("TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO").text)
    assert (high << 32) + low == start
    assert speed.find("FILE_SAMPLE_RATE").text == "48000"
    assert [track.name for track in info.ixml.track_list] == ["Lead guitar left", "Lead guitar right"]


def test_the_acid_chunk_says_one_shot_root_beats_metre_and_tempo(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(2, 100), 48000, bits=32, start_sample=0, label=LABEL)
    body = chunk(tmp_path / "a.wav", b"acid")
    assert len(body) == 24
    flags, root, beats, unit, count, tempo = struct.unpack("<IH6xIHHf", body)
    assert (flags & 1, flags & 2, flags & 4) == (1, 2, 0), "one-shot, root set, no stretching"
    assert (root, beats, unit, count, tempo) == (69, 128, 8, 6, 96.0)
    heard = soundfile.info(tmp_path / "a.wav", verbose=True).extra_info
    assert "(OneShot,RootNoteValid,StretchOff," in heard
    assert "Meter     : 6/8" in heard
    assert "Tempo     : 96.0" in heard


def test_without_a_key_no_root_is_claimed(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(2, 100), 48000, bits=32, start_sample=0, label=Label("drums"))
    assert struct.unpack("<I", chunk(tmp_path / "a.wav", b"acid")[:4])[0] == 1


def test_names_in_any_script_neither_break_the_file_nor_get_lost(tmp_path: Path) -> None:
    label = Label('Café <&"> 弦\x07', project="Straße", markers=((5, "Pré-refrain 弦"),))
    write_wav(tmp_path / "a.wav", noise(2, 101), 48000, bits=24, start_sample=3, label=label)
    info = WavInfoReader(str(tmp_path / "a.wav"), info_encoding="utf-8")
    assert info.ixml.scene == 'Café <&"> 弦'
    assert info.bext.description == 'Stra?e: Cafe <&"> ?'
    assert [entry.text for entry in info.cues.labels] == ["Pré-refrain 弦"]
    assert soundfile.info(tmp_path / "a.wav").frames == 101


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=40), st.lists(st.text(max_size=20), max_size=4), st.integers(1, 3), st.integers(1, 50))
def test_every_header_is_sound(
    tmp_path_factory: pytest.TempPathFactory, title: str, names: list[str], channels: int, samples: int
) -> None:
    folder = tmp_path_factory.mktemp("wav")
    audio = noise(channels, samples)
    label = Label(title, markers=tuple((i, name) for i, name in enumerate(names)))
    for bits in (24, 32):
        path = folder / f"{bits}.wav"
        write_wav(path, audio, 48000, bits=bits, start_sample=0, label=label)
        assert len(chunk(path, b"data")) == channels * samples * bits // 8
        assert len(WavInfoReader(str(path), info_encoding="utf-8").cues.cues) == len(names)


def test_equal_sound_gives_equal_bytes(tmp_path: Path) -> None:
    digests = [
        write_wav(tmp_path / name, noise(2, 5000), 48000, bits=24, start_sample=9, label=LABEL) for name in ("a", "b")
    ]
    assert digests[0] == digests[1]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_24_bits_cannot_hold_is_counted_and_refused(tmp_path: Path) -> None:
    audio = noise(2, 100)
    highest = np.float32(8388607 / 8388608)
    audio[1, 10:16] = [
        highest,
        -1.0,
        np.nextafter(highest, np.float32(2)),
        1.0,
        1.5,
        np.nextafter(np.float32(-1), np.float32(-2)),
    ]
    with pytest.raises(JobError, match=r'^4 samples of "Lead guitar" are beyond full scale') as refused:
        write_wav(tmp_path / "a.wav", audio, 48000, bits=24, start_sample=0, label=LABEL)
    assert refused.value.code == "audio.clipped"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(tmp_path: Path, bad: float) -> None:
    audio = noise(2, 100)
    audio[0, 7] = bad
    with pytest.raises(JobError) as refused:
        write_wav(tmp_path / "a.wav", audio, 48000, bits=32, start_sample=0, label=LABEL)
    assert refused.value.code == "audio.not_finite"
    assert list(tmp_path.iterdir()) == []


def test_a_place_before_the_project_s_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError) as refused:
        write_wav(tmp_path / "a.wav", noise(2, 100), 48000, bits=32, start_sample=-1, label=LABEL)
    assert refused.value.code == "audio.before_start"


def test_more_than_4_gb_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view that repeats one sample stands for 4 GB of sound without taking them."""
    monkeypatch.setattr(wav, "_check_sound", lambda *_: None)
    huge = np.broadcast_to(np.zeros((2, 1), np.float32), (2, 537_000_000))
    with pytest.raises(JobError) as refused:
        write_wav(tmp_path / "a.wav", huge, 192_000, bits=32, start_sample=0, label=LABEL)
    assert refused.value.code == "audio.too_long"
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_half_way_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(self: Sink, data: bytes) -> int:
        if len(data) > 100_000:
            raise OSError(28, "No space left on device")
        return len(data)

    monkeypatch.setattr(Sink, "write", break_off)
    with pytest.raises(JobError) as full:
        write_wav(tmp_path / "a.wav", noise(2, 100_000), 48000, bits=32, start_sample=0, label=LABEL)
    assert full.value.code == "disk.full"
    assert list(tmp_path.iterdir()) == []


def test_the_space_asked_for_is_the_space_taken(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(2, 48_000), 48000, bits=24, start_sample=0, label=LABEL)
    size = (tmp_path / "a.wav").stat().st_size
    assert size <= wav_bytes(2, 48_000, 24) <= size + 4096
