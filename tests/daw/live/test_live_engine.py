"""The whole way: the script in the fake Live, the real engine process, real sockets, real stems at the right place."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.daw.live.conftest import Opener
from tests.daw.live.fake_live import FakeLive, Host
from tests.daw.live.fake_set import Clip
from tests.daw.live.saved_sets import BEFORE_SONG, write_als
from tests.daw.live.test_live_scenarios import ADD, CANCEL, CONTINUE, GENERATE, REROLL, TAKE, clips

TEMPI = [(BEFORE_SONG, 104.0), (16.0, 104.0), (24.0, 132.0)]
RATE = 44_100
REFERENCE = Path(__file__).parents[3] / "examples" / "demo" / "reference.ogg"


@pytest.fixture
def band(engine: Path, tmp_path: Path) -> Path:
    """A project's folder beside the session's real engine."""
    del engine
    folder = tmp_path / "Real Project"
    folder.mkdir()
    return folder


def press(host: Host, cc: int, count: int) -> None:
    host.run_until(lambda: host.said("The engine is there"))
    host.press(cc)
    host.run_until(lambda: sum("Done: " in line for line in host.logged) >= count)


def audio_of(clip: Clip) -> Any:
    assert clip.file is not None
    samples, rate = soundfile.read(clip.file, always_2d=True)
    assert rate == RATE
    return samples


def digest(clip: Clip) -> str:
    assert clip.file is not None
    return hashlib.sha256(clip.file.read_bytes()).hexdigest()


def test_a_song_by_the_real_engine(band: Path, open_set: Opener) -> None:
    live = FakeLive("12.2.0", write_als(band / "Song.als", TEMPI, [(BEFORE_SONG, 4, 4), (16.0, 7, 8)]))
    live.tempo, live.automation.values["automation_state"] = TEMPI, 1
    live.user_locators((4.0, "Verse: sparse"), (16.0, "Chorus"), (30.0, "End"))
    live.song.values.update(root_note=9, scale_name="Minor", scale_mode=True)
    live.user_midi(live.user_track("Keys idea"), 4.0, 8.0, (57, 0.0, 4.0), (60, 0.0, 4.0), (64, 0.0, 4.0))
    live.undo.clear()
    host = open_set(live, speed=1.0, sample_rate=RATE, stems=["drums", "bass"], seed=5)
    press(host, GENERATE, 1)

    start, end = round(live.beat2second(4.0) * RATE), round(live.beat2second(30.0) * RATE)
    for stem in ("drums", "bass"):
        (audio,), (notes,) = clips(live, stem), clips(live, f"{stem} MIDI")
        assert audio.start == notes.start == 4.0
        assert not audio.warped
        assert audio.get_sample_length() == end - start
        assert audio.get_end_time() == pytest.approx(30.0, abs=1e-4)
        assert np.abs(audio_of(audio)).max() > 0.01
        manifest = json.loads((audio.file.parent / "manifest.json").read_text())  # type: ignore[union-attr]
        assert manifest["start_sample"] == start
        assert notes.notes
        assert all(0.0 <= note.values["start_time"] < 26.0 for note in notes.notes)
    assert not any("instead of" in line or "it ends on" in line for line in host.logged)
    assert len(live.undo) == 1

    # Where the first bass note is written, it sounds: on the sample of Live's own clock, within its attack.
    (audio,), (notes,) = clips(live, "bass"), clips(live, "bass MIDI")
    first = min(note.values["start_time"] for note in notes.notes)
    struck = round(live.beat2second(4.0 + first) * RATE) - start
    sound = np.abs(audio_of(audio)).max(axis=1)
    heard = int(np.argmax(sound > 0.05 * sound.max()))
    assert -0.002 * RATE <= heard - struck <= 0.03 * RATE

    # A re-roll of bars of the bass leaves the drums and the other bars as they are, bit for bit.
    live.user_loop(16.0, 23.0)
    live.user_selects(live.named("bass"))
    press(host, REROLL, 2)
    (lane,) = live.named("bass").lanes
    (again,) = lane.clips
    assert live.named("drums").lanes == []
    before, after = audio_of(audio), audio_of(again)
    assert before.shape == after.shape
    kept = round(live.beat2second(16.0) * RATE) - start - round(0.01 * RATE)
    assert np.array_equal(before[:kept], after[:kept])
    assert not np.array_equal(before, after)

    # One more part; the others are kept.
    live.song.values["loop"] = False
    live.user_selects()
    press(host, ADD, 3)
    assert len(clips(live, "keys")) == 1
    take = clips(live, "keys")[0].file
    assert take is not None
    drums = clips(live, "drums")[0]
    assert hashlib.sha256((take.parent / "drums.wav").read_bytes()).hexdigest() == digest(drums)

    # The bass, note for note, in the sound of a clip.
    live.user_loop(8.0, 12.0)
    soundfile.write(band / "Theirs.wav", *soundfile.read(REFERENCE))
    clip = live.user_track("Ref", "audio").create_audio_clip(str(band / "Theirs.wav"), 60.0)
    assert clip is not None
    live.view.values["detail_clip"] = clip
    for _ in range(5):
        host.tick()
    live.user_names_clip(clip, "/match bass")
    host.run_until(lambda: sum("Done: " in line for line in host.logged) >= 4)
    assert [len(lane.clips) for lane in live.named("bass").lanes] == [1, 1]
    same = live.named("bass").lanes[1].clips[0].file
    assert same is not None
    assert json.loads((same.parent / "manifest.json").read_bytes())["style"]["matched"][0]["reference"] == "Theirs.wav"
    assert same.with_suffix(".mid").read_bytes() == take.with_name("bass.mid").read_bytes()
    assert len(clips(live, "drums")) == 1
    live.song.values["loop"] = False

    # It goes on where it ends, on the same tracks.
    press(host, CONTINUE, 5)
    for stem in ("drums", "bass", "keys"):
        first_clip, second = clips(live, stem)
        assert second.start == 30.0
        assert first_clip.get_end_time() == pytest.approx(30.0, abs=1e-4)
    assert live.touched == []


def test_the_next_take_and_a_cancel_by_the_real_engine(band: Path, open_set: Opener) -> None:
    live = FakeLive("12.0.5", write_als(band / "Song.als"))
    live.user_loop(8.0, 16.0)
    host = open_set(live, speed=1.0, sample_rate=RATE, stems=["drums"])
    press(host, GENERATE, 1)
    press(host, TAKE, 2)
    (audio,) = clips(live, "drums")
    (slot,) = [slot.inside for slot in live.named("drums").slots if slot.inside]
    assert audio.start == 8.0
    assert digest(slot) != digest(audio)
    undone = len(live.undo)
    host.script._band.choose("takes", 8)
    live.user_loop(8.0, 264.0)  # long enough to be stopped before its first stem
    host.press(GENERATE)
    host.run_until(lambda: sum("The engine has the job" in line for line in host.logged) == 3)
    host.press(CANCEL)
    host.run_until(lambda: host.said("Cancelled. Nothing was placed."))
    assert len(live.undo) == undone
