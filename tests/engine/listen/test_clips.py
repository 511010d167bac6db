"""Clips of every kind and state: what is read of them, in what pieces, and how honest their profiles are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.errors import RequestError
from engine.listen import listen_file
from engine.listen.clips import BLOCK, MAX_SECONDS, array2clip, clip2mono, file2clip
from engine.listen.files import MAX_BEATS, MAX_CHORDS, style2plain
from engine.listen.style import file2style, sound2style
from engine.report import JobCancelled
from tests.engine.listen.played_songs import RATE, Audio, play, steady
from tests.engine.listen.sounds import noise, speech


@pytest.fixture(scope="module")
def song() -> Audio:
    """Eight bars at 120 bpm, [samples, 2]."""
    return np.ascontiguousarray(play(steady(120.0, 8)).audio.T)


@pytest.mark.parametrize(
    ("name", "subtype", "rate"),
    [("a.wav", "PCM_16", 44100), ("a.wav", "PCM_U8", 22050), ("a.flac", "PCM_24", 48000), ("a.wav", "FLOAT", 192000),
     ("a.ogg", "VORBIS", 44100), ("a.mp3", "MPEG_LAYER_III", 44100), ("a.wav", "PCM_16", 8000),
     ("a.aiff", "PCM_16", 96000)],
)  # fmt: skip
def test_every_format_says_the_same(tmp_path: Path, song: Audio, name: str, subtype: str, rate: int) -> None:
    import soxr

    path = tmp_path / name
    soundfile.write(path, soxr.resample(song, RATE, rate), rate, subtype=subtype)
    heard, plain = file2style(path), sound2style(song, RATE)
    assert (heard.sample_rate, heard.channels) == (rate, 2)
    assert heard.beats.bpm == pytest.approx(120.0, rel=0.002)
    assert (heard.key.tonic, heard.key.mode) == (plain.key.tonic, plain.key.mode)
    assert heard.dynamics.lufs == pytest.approx(plain.dynamics.lufs, abs=0.5 if rate >= 22050 else 3.0)
    assert np.allclose(heard.beats.seconds, plain.beats.seconds[: len(heard.beats.seconds)], atol=0.06)


def test_mono_and_more_than_two_channels(song: Audio) -> None:
    mono = sound2style(song.mean(axis=1, keepdims=True), RATE)
    six = sound2style(np.concatenate([song, 0 * song, 0 * song], axis=1), RATE)
    two = sound2style(song, RATE)
    assert mono.spectrum.width == -60.0
    assert mono.beats.bpm == pytest.approx(120.0, rel=0.002)
    assert six.spectrum == two.spectrum
    assert six.channels == 6


def test_a_constant_offset_changes_little(song: Audio) -> None:
    plain, shifted = sound2style(song, RATE), sound2style(song * 0.5 + 0.3, RATE)
    assert shifted.beats.bpm == pytest.approx(120.0, rel=0.002)
    assert (shifted.key.tonic, shifted.key.mode) == (plain.key.tonic, plain.key.mode)
    assert np.allclose(shifted.spectrum.levels[3:], plain.spectrum.levels[3:], atol=0.5)
    assert shifted.dynamics.lufs == pytest.approx((plain.dynamics.lufs or 0) - 6.02, abs=0.3)


@pytest.mark.parametrize(
    "kind", ["silence", "0.3 s", "noise", "speech", "one sample", "a tone", "an impulse", "full scale"]
)
def test_what_is_no_music_is_heard_honestly(kind: str) -> None:
    time = np.arange(10 * RATE) / RATE
    audio = {
        "silence": np.zeros((10 * RATE, 2), np.float32),
        "0.3 s": noise(0.3, rate=RATE)[:, None],
        "noise": noise(15.0, rate=RATE)[:, None],
        "speech": np.repeat(speech(20.0), 2)[:, None],
        "one sample": np.full((1, 1), 0.5, np.float32),
        "a tone": (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)[:, None],
        "an impulse": np.eye(1, 5 * RATE, RATE, dtype=np.float32).T,
        "full scale": np.sign(noise(8.0, rate=RATE))[:, None],
    }[kind]
    heard = sound2style(audio, RATE)
    assert heard.beats.confidence < 0.25
    assert heard.groove.confidence < 0.2
    assert heard.swing.confidence < 0.2
    if kind not in ("speech", "a tone"):
        assert heard.key.confidence < 0.15
        assert heard.chords.confidence < 0.3
    if kind in ("silence", "one sample"):
        assert heard.dynamics.lufs is None
    if kind == "silence":
        assert heard.dynamics.peak_dbfs is None
        assert heard.spectrum.levels == ()
        assert heard.onsets.per_second == 0.0
    plain = style2plain(heard)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_one_clear_error(tmp_path: Path, song: Audio, bad: float) -> None:
    broken = song.copy()
    broken[RATE, 1] = bad
    path = tmp_path / "broken.wav"
    soundfile.write(path, broken, RATE, subtype="FLOAT")
    with pytest.raises(RequestError, match="no numbers") as caught:
        listen_file(path)
    assert (caught.value.code, caught.value.field) == ("audio.damaged", str(path))


def test_a_stretch_of_a_clip(tmp_path: Path, song: Audio) -> None:
    path = tmp_path / "song.wav"
    soundfile.write(path, song, RATE, subtype="FLOAT")
    part = file2style(path, 2.0, 8.0)
    assert part == file2style(path, 2.0, 8.0)
    assert part.seconds == 8.0
    whole = sound2style(song[2 * RATE : 10 * RATE], RATE)
    assert part.beats == whole.beats
    assert part.spectrum == whole.spectrum
    assert file2clip(path, 15.0, 60.0).seconds == pytest.approx(1.0)
    with pytest.raises(RequestError, match=r"no samples after 20 s"):
        file2clip(path, 20.0)


@pytest.mark.parametrize("rate", [44100, 48000, 96000, 11025])
def test_blocks_are_small_and_joined_are_the_whole(tmp_path: Path, rate: int) -> None:
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (7 * rate + 123, 2)).astype(np.float32)
    path = tmp_path / "long.wav"
    soundfile.write(path, audio, rate, subtype="FLOAT")
    clip = file2clip(path)
    blocks = list(clip.blocks())
    assert max(map(len, blocks)) <= BLOCK * max(1.0, clip.heard_rate / rate) + 100
    joined = np.concatenate(blocks)
    assert len(joined) == pytest.approx(len(audio) * clip.heard_rate / rate, abs=2)
    if rate in (44100, 48000):
        assert np.array_equal(joined, audio)
    assert np.array_equal(clip2mono(clip), clip2mono(array2clip(audio, rate)))


def test_of_very_long_clips_the_beginning_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "endless.flac"
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        for _ in range(25):
            file.write(np.zeros(60 * 8000, np.float32))
    assert file2clip(path).seconds == MAX_SECONDS


def test_ten_minutes_are_heard_in_small_steps(tmp_path: Path, song: Audio) -> None:
    """And in every one of them listening can be stopped: a step is a few seconds of the clip in one of its measures."""
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(38):
            file.write(song[: 16 * RATE].mean(axis=1))
    told: list[float] = []
    heard = listen_file(path, told.append)
    assert heard["seconds"] == 608.0
    assert heard["tempo"]["bpm"] == pytest.approx(120.0, rel=0.002)
    assert heard["tempo"]["confidence"] > 0.5
    assert len(heard["beats"]) == pytest.approx(1216, abs=2)
    assert told == sorted(told)
    assert 0.0 <= told[0] < 0.01 < 0.98 < told[-1] <= 1.0
    assert np.diff(told).max() < 0.02
    assert len(told) > 900


@pytest.mark.parametrize("at", [0.0, 0.04, 0.14, 0.3, 0.5, 0.8, 0.93, 0.97])
def test_listening_stops_where_it_is_told_to(tmp_path: Path, song: Audio, at: float) -> None:
    path = tmp_path / "song.wav"
    soundfile.write(path, np.tile(song, (3, 1)), RATE)
    told: list[float] = []

    def tick(fraction: float) -> None:
        told.append(fraction)
        if fraction >= at:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        listen_file(path, tick)
    assert [fraction for fraction in told if fraction >= at] == told[-1:]


def test_the_answer_of_a_long_clip_stays_small(song: Audio) -> None:
    """As if three hours: what is told still fits one UDP packet."""
    heard = sound2style(song, RATE)
    seconds = tuple(float(t) for t in np.arange(20000) * 0.5)
    long = replace(
        heard,
        beats=replace(heard.beats, seconds=seconds, downbeats=tuple(range(0, 20000, 4))),
        chords=replace(heard.chords, spans=tuple((float(k), k + 1.0, "C#m7b5/G#") for k in range(9000))),
    )
    plain = style2plain(long)
    assert len(plain["beats"]) == MAX_BEATS
    assert len(plain["chords"]["spans"]) == MAX_CHORDS
    assert len(json.dumps(plain)) < 55_000


def test_the_profile_is_the_same_every_time(song: Audio) -> None:
    assert sound2style(song, RATE) == sound2style(song, RATE)
