"""The fake Live refuses what Live refuses: its own rules, and its list of members against what is known of Live."""

from __future__ import annotations

import ast
import functools
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.daw.live import fake_tempo
from tests.daw.live.fake_gate import (
    MEMBERS,
    VERSIONS,
    ArgumentError,
    LimitationError,
    LiveCrash,
    Proxy,
    as_numbers,
    has_member,
)
from tests.daw.live.fake_live import FakeLive
from tests.daw.live.fake_set import MidiNoteSpecification

KNOWN = Path(os.environ.get("STEMBRIDGE_DAW_API") or Path(__file__).parents[4] / "shared" / "daw_api")
CLASSES = {"CuePoint": "Song.CuePoint", "MidiNote": "Clip.MidiNote"}


@pytest.fixture
def live() -> FakeLive:
    return FakeLive("12.3.0")


def seen(live: FakeLive) -> Any:
    live.hand = "script"
    return Proxy(live.song)


def wav(folder: Path, seconds: float = 2.0) -> str:
    path = folder / f"{seconds}.wav"
    soundfile.write(path, np.zeros((int(8000 * seconds), 1)), 8000)
    return str(path)


@functools.cache
def stub(path: Path) -> list[ast.stmt]:
    return ast.parse(path.read_text()).body


# The list


@pytest.mark.skipif(not KNOWN.is_dir(), reason=f"no folder {KNOWN} of Live's members (STEMBRIDGE_DAW_API names one)")
def test_the_list_agrees_with_live_by_version() -> None:
    known = json.loads((KNOWN / "live_members.json").read_text())["members"]
    checked = 0
    for name, entry in MEMBERS.items():
        cls, _, member = name.rpartition(".")
        full = f"{CLASSES.get(cls, f'{cls}.{cls}')}.{member}"
        if cls in ("Song.View", "MixerDevice", "DeviceParameter"):
            continue
        checked += 1
        assert known[full]["kind"] == entry["kind"], name
        assert known[full]["first"] == entry["from"], name
        assert known[full].get("absent_in", []) == entry.get("absent", []), name
        assert (f"{full}=" in known) == ("set" in entry), name
        if "set" in entry:
            assert known[f"{full}="]["first"] == entry["set"], name
    assert checked > 80


def test_the_list_agrees_with_the_stubs() -> None:
    folder = next((Path(path) / "Live-stubs" for path in sys.path if (Path(path) / "Live-stubs").is_dir()), None)
    if folder is None:
        pytest.skip("ableton-live-stubs are not installed")
    for name, entry in MEMBERS.items():
        *outer, member = name.split(".")
        module = {"CuePoint": "Song", "MidiNote": "Clip"}.get(outer[0], outer[0])
        body = stub(folder / f"{module}.pyi")
        for cls in outer:
            body = next(node.body for node in body if isinstance(node, ast.ClassDef) and node.name == cls)
        found = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == member]
        is_property = any("property" in ast.unparse(decorator) for node in found for decorator in node.decorator_list)
        assert found, name
        assert is_property == (entry["kind"] == "property"), name
        if entry["kind"] == "method":
            arguments = [a for a in [*found[0].args.posonlyargs, *found[0].args.args] if a.arg != "self"]
            types = [ast.unparse(a.annotation).replace(" | None", "") for a in arguments if a.annotation]
            assert types == entry["args"], name
            assert len(found[0].args.defaults) == entry["optional"], name
        else:
            assert any("setter" in ast.unparse(d) for node in found for d in node.decorator_list) == ("set" in entry), (
                name
            )


def test_versions_hold_what_they_hold() -> None:
    for version in VERSIONS:
        live = FakeLive(version)
        song = seen(live)
        track = song.tracks[0]
        assert hasattr(track, "create_audio_clip")
        assert hasattr(track, "create_midi_clip") == (as_numbers(version) >= (12, 2))
        assert hasattr(track, "take_lanes") == (as_numbers(version) >= (12, 2))
        assert hasattr(song, "scale_mode") == (as_numbers(version) >= (12,))
    assert not has_member("12.0.0", "Track.create_audio_clip")
    assert has_member("11.3.25", "Track.create_audio_clip")
    assert not has_member("11.3.20", "Song.file_path")


# The gate


def test_unknown_members_and_wrong_arguments_are_refused(live: FakeLive, tmp_path: Path) -> None:
    song = seen(live)
    track = song.create_audio_track(-1)
    for wrong in (
        lambda: song.tempo_map,
        lambda: song.create_audio_clip("x"),
        lambda: setattr(song, "nonsense", 1),
        lambda: setattr(song, "tracks", []),
        lambda: setattr(track.create_audio_clip(wav(tmp_path), 0.0), "start_time", 3.0),
    ):
        with pytest.raises(AttributeError):
            wrong()
    for wrong in (
        lambda: song.create_audio_track(index=-1),
        lambda: song.create_audio_track(-1, 2),
        lambda: song.create_audio_track("1"),
        lambda: track.create_audio_clip(wav(tmp_path)),
        lambda: track.create_audio_clip(wav(tmp_path), "0"),
        lambda: track.create_audio_clip(Path(wav(tmp_path)), 0.0),
        lambda: track.create_audio_clip(file_path=wav(tmp_path), position=0.0),
        lambda: song.set_data("key"),
        lambda: setattr(track, "name", 3),
        lambda: setattr(track, "color", 1.5),
        lambda: song.tracks[0:1],
    ):
        with pytest.raises(ArgumentError):
            wrong()


def test_objects_are_new_at_each_access_and_equal(live: FakeLive) -> None:
    song = seen(live)
    assert song.tracks[0] == song.tracks[0]
    assert song.tracks[0] is not song.tracks[0]
    track = song.tracks[0]
    song.delete_track(0)
    with pytest.raises(RuntimeError, match="gone"):
        _ = track.name
    assert track == None  # noqa: E711 (as Live's lost objects are)


def test_the_main_thread_alone(live: FakeLive) -> None:
    song = seen(live)
    caught: list[LiveCrash] = []

    def elsewhere() -> None:
        try:
            song.tempo  # noqa: B018
        except LiveCrash as crash:
            caught.append(crash)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(caught) == 1


def test_names_of_locators_could_not_be_set_before(live: FakeLive) -> None:
    live.user_locators((0.0, "A"))
    seen(live).cue_points[0].name = "B"
    old = FakeLive("12.0.5")
    old.user_locators((0.0, "A"))
    with pytest.raises(AttributeError):
        seen(old).cue_points[0].name = "B"


# The set


def test_clips_are_refused_where_live_refuses_them(live: FakeLive, tmp_path: Path) -> None:
    song = seen(live)
    audio, midi = song.create_audio_track(-1), song.create_midi_track(-1)
    (tmp_path / "no.wav").write_text("no audio")
    refused: tuple[Callable[[], Any], ...] = (
        lambda: midi.create_audio_clip(wav(tmp_path), 0.0),
        lambda: audio.create_midi_clip(0.0, 4.0),
        lambda: audio.create_audio_clip(wav(tmp_path), -0.1),
        lambda: audio.create_audio_clip(wav(tmp_path), 1_576_801.0),
        lambda: audio.create_audio_clip(str(tmp_path / "missing.wav"), 0.0),
        lambda: audio.create_audio_clip(str(tmp_path / "no.wav"), 0.0),
        lambda: audio.create_audio_clip("relative.wav", 0.0),
        lambda: audio.clip_slots[0].create_clip(4.0),
        lambda: midi.clip_slots[0].create_audio_clip(wav(tmp_path)),
        lambda: midi.clip_slots[0].delete_clip(),
        lambda: song.end_undo_step(),
    )
    for wrong in refused:
        with pytest.raises(RuntimeError):
            wrong()
    live.tracks[-2].frozen = True
    with pytest.raises(RuntimeError):
        audio.create_audio_clip(wav(tmp_path), 0.0)
    midi.clip_slots[0].create_clip(4.0)
    with pytest.raises(RuntimeError):
        midi.clip_slots[0].create_clip(4.0)
    clip = midi.create_midi_clip(0.0, 4.0)
    with pytest.raises(LiveCrash):
        midi.duplicate_clip_to_arrangement(clip, 2.0)
    with pytest.raises(RuntimeError):
        clip.add_new_notes([(60, 0.0, 1.0)])
    with pytest.raises(ArgumentError):
        clip.add_new_notes(MidiNoteSpecification(60, 0.0, 1.0))
    live.max_tracks = len(live.tracks)
    with pytest.raises(LimitationError):
        song.create_midi_track(-1)


def test_a_clip_that_is_placed_over_others_eats_them(live: FakeLive, tmp_path: Path) -> None:
    live.auto_warp = False
    mine = live.user_track("mine", "audio")
    for beat in (0.0, 8.0, 20.0):
        mine.create_audio_clip(wav(tmp_path, 2.5), beat)
    whole, covered, after = mine.clips
    Proxy(mine).create_audio_clip(wav(tmp_path, 6.0), 4.0)
    assert live.touched == []
    live.hand = "script"
    Proxy(mine).create_audio_clip(wav(tmp_path, 1.0), 1.0)
    assert whole.get_end_time() == 1.0
    assert covered.dead
    assert not after.dead
    assert any("eaten" in text for text in live.touched)


def test_warping_and_the_length_in_beats(live: FakeLive, tmp_path: Path) -> None:
    live.tempo = [(0.0, 120.0), (8.0, 120.0), (8.0, 60.0)]
    clip = seen(live).create_audio_track(-1).create_audio_clip(wav(tmp_path, 6.0), 4.0)
    assert clip.warping
    assert clip.end_time != pytest.approx(4.0 + 4.0 + 4.0)
    clip.warping = False
    assert clip.end_time == pytest.approx(12.0)
    live.tempo = [(0.0, 60.0)]
    assert clip.end_time == pytest.approx(10.0)
    with pytest.raises(RuntimeError):
        clip.beat_to_sample_time(1.0)


def test_undo_steps_are_counted(live: FakeLive) -> None:
    song = seen(live)
    before = len(live.undo)
    song.create_midi_track(-1)
    song.create_midi_track(-1)
    assert len(live.undo) == before + 2
    song.begin_undo_step()
    song.create_midi_track(-1)
    song.create_midi_track(-1)
    song.end_undo_step()
    song.begin_undo_step()
    song.end_undo_step()
    assert len(live.undo) == before + 3


def test_what_the_script_does_to_the_user_s_things_is_told(live: FakeLive) -> None:
    live.user_track("mine")
    song = seen(live)
    song.tracks[-1].name = "yours" if len(song.tracks) > 5 else "theirs"
    assert len(live.touched) == 1


@given(
    st.lists(st.tuples(st.integers(0, 60).map(lambda n: n / 4), st.floats(40.0, 200.0)), min_size=1, max_size=5).map(
        sorted
    ),
    st.floats(0.0, 30.0),
)
def test_time_goes_both_ways(points: list[tuple[float, float]], beat: float) -> None:
    assert fake_tempo.second2beat(points, fake_tempo.beat2second(points, beat)) == pytest.approx(beat, abs=1e-6)


def test_everything_in_the_list_is_modelled() -> None:
    """What the list names and the fake lacks would fail a script for the fake's sake."""
    from tests.daw.live import fake_live, fake_set

    live = FakeLive("12.3.0")
    track = live.user_track("a", "audio")
    models = {
        "Song": live.song, "Track": track, "Song.View": live.view, "MixerDevice": live.master.values["mixer_device"],
        "DeviceParameter": live.automation, "TakeLane": track.create_take_lane(), "ClipSlot": track.slots[0],
        "Scene": live.scenes[0], "Clip": fake_set.Clip(live, "user", "session", 0.0),
        "CuePoint": fake_live.Value(live, "CuePoint", name="", time=0.0),
        "MidiNote": fake_set.MidiNote(live, "user", MidiNoteSpecification(60, 0.0, 1.0), 0),
    }  # fmt: skip
    for name, entry in MEMBERS.items():
        cls, _, member = name.rpartition(".")
        model = models[cls]
        held = member in {**live.master.values, **model.values} or hasattr(model, f"get_{member}")
        assert hasattr(model, member) if entry["kind"] == "method" else held, name
