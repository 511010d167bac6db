"""A strict fake of Ableton Live: a set, the module `Live`, and the host that runs a control surface in 100 ms ticks.

`FakeLive(version)` is the application with one open set; the methods whose names begin with `user_` are the musician's
hands. `touched` lists what a script did to the musician's things, `undo` the steps of the undo history.
"""

from __future__ import annotations

import sys
import threading
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import soundfile

from tests.daw.live import fake_tempo
from tests.daw.live.fake_gate import ArgumentError, LimitationError, Model, Proxy, unwrapped
from tests.daw.live.fake_set import (
    GUESSED_BPM,
    Clip,
    ClipSlot,
    CuePoint,
    MidiNoteSpecification,
    Scene,
    Track,
    check_room,
)
from tests.patience import PATIENCE


class Value(Model):
    """An object that is nothing but its values."""

    def __init__(self, live: Any, kind: str, **values: Any) -> None:
        super().__init__(live, "live")
        self.kind = kind
        self.values = values


class View(Model):
    kind = "Song.View"


class Song(Model):
    """The set."""

    kind = "Song"

    def get_tempo(self) -> float:
        return fake_tempo.bpm_at(self.live.tempo, self.values["current_song_time"])

    def get_tracks(self) -> list[Track]:
        return list(self.live.tracks)

    def get_scenes(self) -> list[Scene]:
        return list(self.live.scenes)

    def get_cue_points(self) -> list[CuePoint]:
        return list(self.live.cues)

    def get_view(self) -> View:
        view: View = self.live.view
        return view

    def get_file_path(self) -> str:
        return str(self.live.path or "")

    def get_name(self) -> str:
        return self.live.path.stem if self.live.path else "Untitled"

    def get_master_track(self) -> Track:
        master: Track = self.live.master
        return master

    def create_audio_track(self, index: int = -1) -> Track:
        return self._new_track("audio", index)

    def create_midi_track(self, index: int = -1) -> Track:
        return self._new_track("midi", index)

    def _new_track(self, kind: str, index: int) -> Track:
        check_room(len(self.live.tracks), self.live.max_tracks, "tracks")
        if not -1 <= index <= len(self.live.tracks):
            raise LimitationError("no such place")
        self.changed(f"{kind} track")
        track = Track(self.live, self.live.hand, kind)
        track.values["name"] = f"{len(self.live.tracks) + 1}-{kind.capitalize()}"
        self.live.tracks.insert(index if index >= 0 else len(self.live.tracks), track)
        self.live.view.values.update(selected_track=track, detail_clip=None)
        return track

    def delete_track(self, index: int) -> None:
        track = self.live.tracks[index]
        track.changed("deleted")
        self.live.bury(self.live.tracks.pop(index))

    def create_scene(self, index: int) -> Scene:
        check_room(len(self.live.scenes), self.live.max_scenes, "scenes")
        self.changed("scene")
        at = index if index >= 0 else len(self.live.scenes)
        self.live.scenes.insert(at, Scene(self.live, self.live.hand))
        self.live.scenes[at].values = {"name": ""}
        for track in self.live.tracks:
            track.slots.insert(at, ClipSlot(self.live, self.live.hand, track))
        scene: Scene = self.live.scenes[at]
        return scene

    def begin_undo_step(self) -> None:
        if self.live.open_step:
            raise RuntimeError("an undo step is open already")
        self.live.open_step = True
        self.live.undo.append([])

    def end_undo_step(self) -> None:
        if not self.live.open_step:
            raise RuntimeError("no undo step is open")
        self.live.open_step = False
        if not self.live.undo[-1]:
            self.live.undo.pop()

    def get_data(self, key: str, default: Any) -> Any:
        return self.live.data.get(key, default)

    def set_data(self, key: str, value: Any) -> None:
        self.live.data[key] = value


class FakeLive:
    """The application with its set. `hand` says who acts: "user" or "script"."""

    def __init__(self, version: str, path: Path | None = None) -> None:
        self.version, self.path = version, path
        self.main_thread = threading.current_thread()
        self.used: set[str] = set()
        self.hand = "user"
        self.touched: list[str] = []
        self.undo: list[list[str]] = []
        self.open_step = False
        self.auto_warp = True
        self.unwarping_keeps_length = False
        self.max_tracks, self.max_scenes = 10_000, 10_000
        self.tempo: list[tuple[float, float]] = [(0.0, 120.0)]
        self.loops_short_samples = True
        self.gives_clips_back = True
        self.tracks: list[Track] = []
        self.scenes: list[Scene] = []
        self.cues: list[CuePoint] = []
        self.data: dict[str, Any] = {}
        self.view = View(self, "live")
        self.view.values = {"detail_clip": None, "selected_track": None}
        self.master = Track(self, "live", "master")
        self.automation = Value(self, "DeviceParameter", automation_state=0)
        self.master.values["mixer_device"] = Value(self, "MixerDevice", song_tempo=self.automation)
        self.song = Song(self, "live")
        self.song.values = {
            "current_song_time": 0.0, "is_playing": False, "loop": False, "loop_start": 0.0, "loop_length": 16.0,
            "root_note": 0, "scale_name": "Major", "scale_mode": False, "signature_numerator": 4,
            "signature_denominator": 4, "record_mode": False, "is_ableton_link_enabled": False,
            "tempo_follower_enabled": False,
        }  # fmt: skip
        for _ in range(8):
            self.song.create_scene(-1)
        self.user_track("1-MIDI", "midi")
        self.undo.clear()

    # What the fake keeps watch over

    def note_change(self, model: Model, what: str) -> None:
        """A change belongs to the open undo step, or is one of its own; the script's hand on others' things is told."""
        if self.open_step and self.undo:
            self.undo[-1].append(f"{model.kind}: {what}")
        else:
            self.undo.append([f"{model.kind}: {what}"])
        if self.hand == "script" and model.owner == "user":
            self.touched.append(f"{model.kind} {model.values.get('name', '')!r}: {what}")

    def beat2second(self, beat: float) -> float:
        return fake_tempo.beat2second(self.tempo, beat)

    def second2beat(self, second: float) -> float:
        return fake_tempo.second2beat(self.tempo, second)

    def audio_clip(self, path: str, where: str, start: float) -> Clip:
        """A new audio clip, warped as the user's preference says. Raises where the path is no audio file."""
        if not Path(path).is_absolute() or not Path(path).is_file():
            raise RuntimeError("the path does not point to an audio file")
        try:
            info = soundfile.info(path)
        except soundfile.LibsndfileError as error:
            raise RuntimeError("the path does not point to a valid audio file") from error
        clip = Clip(self, self.hand, where, start)
        clip.file, clip.sample, clip.warped = Path(path), info, self.auto_warp
        clip.high = info.frames / info.samplerate * (GUESSED_BPM / 60.0 if self.auto_warp else 1.0)
        clip.values.update(name=Path(path).stem, looping=self.auto_warp and self.loops_short_samples)
        return clip

    def bury(self, track: Track) -> None:
        """A track that is deleted takes everything on it along."""
        lanes = [track, *track.lanes]
        inside = [slot.inside for slot in track.slots if slot.inside]
        for model in [*lanes, *track.slots, *inside, *(clip for lane in lanes for clip in lane.clips)]:
            model.dead = True

    # The musician's hands

    def user_track(self, name: str, kind: str = "midi") -> Track:
        selected = dict(self.view.values)
        track = self.song._new_track(kind, -1)
        track.values["name"] = name
        self.view.values.update(selected)
        return track

    def user_delete(self, track: Track) -> None:
        self.tracks.remove(track)
        self.bury(track)

    def user_locators(self, *marks: tuple[float, str]) -> None:
        for beat, name in marks:
            cue = CuePoint(self, "user")
            cue.values = {"time": beat, "name": name}
            self.cues.append(cue)

    def user_midi(self, track: Track, start: float, length: float, *notes: tuple[int, float, float]) -> Clip:
        clip = track.create_midi_clip(start, length)
        clip.add_new_notes([MidiNoteSpecification(pitch, at, long, 90.0) for pitch, at, long in notes])
        return clip

    def user_loop(self, start: float, end: float) -> None:
        self.song.values.update(loop=True, loop_start=start, loop_length=end - start)

    def user_names_clip(self, clip: Clip, name: str) -> None:
        clip.values["name"] = name

    def user_selects(self, *tracks: Track) -> None:
        for track in self.tracks:
            track.values["is_part_of_selection"] = track in tracks
        self.view.values["selected_track"] = tracks[-1] if tracks else None

    def named(self, name: str) -> Track:
        return next(track for track in self.tracks if track.values["name"] == name)

    @property
    def names(self) -> list[str]:
        return [str(track.values["name"]) for track in self.tracks]

    def close(self) -> None:
        """The set is closed: nothing in it can be used any more."""
        for track in list(self.tracks):
            self.bury(track)
        for model in (self.song, self.view, *self.cues, *self.scenes):
            model.dead = True


class FakeInstance:
    """Live's side of a control surface: `c_instance`. Nothing but these methods."""

    def __init__(self, live: FakeLive) -> None:
        self._live = live
        self._shown: list[str] = []
        self._logged: list[str] = []
        self._map: list[tuple[str, int, int]] = []

    def song(self) -> Proxy:
        return Proxy(self._live.song)

    def handle(self) -> int:
        return 4711

    def show_message(self, text: str, /) -> None:
        _check_text(text)
        self._shown.append(text)

    def log_message(self, text: str, /) -> None:
        _check_text(text)
        self._logged.append(text)

    def request_rebuild_midi_map(self) -> None:
        self._map.clear()


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise ArgumentError("a text is wanted")


def live_module(live: FakeLive, instance: FakeInstance) -> types.ModuleType:
    """The module `Live` as far as it is modelled."""
    module = types.ModuleType("Live")

    def forward(kind: str) -> Callable[..., bool]:
        def call(script: int, map_handle: int, channel: int, number: int, /, *consume: bool) -> bool:
            if (script, map_handle) != (4711, 99) or not 0 <= channel <= 15 or not 0 <= number <= 127 or consume[1:]:
                raise ArgumentError("forward_midi: wrong arguments")
            instance._map.append((kind, channel, number))
            return True

        return call

    absolute = types.SimpleNamespace(absolute=0)
    parts = {
        "Clip": types.SimpleNamespace(MidiNoteSpecification=MidiNoteSpecification),
        "MidiMap": types.SimpleNamespace(
            forward_midi_note=forward("note"), forward_midi_cc=forward("cc"), MapMode=absolute
        ),
        "Base": types.SimpleNamespace(LimitationError=LimitationError),
    }
    for name, part in parts.items():
        setattr(module, name, part)
    return module


STALL = 0.05
"""Seconds between two looks at the clock beyond which the machine, and not Live, was slow."""


class Host:
    """Runs a control surface as Live does: all calls from the main thread, a tick at a time.

    `speed`: how much faster the script's clock runs than the wall's. `ticks` are the seconds that each tick took.
    """

    def __init__(self, live: FakeLive, make: Callable[[Any, Callable[[], float]], Any], speed: float = 5.0) -> None:
        self.live = live
        self.instance = FakeInstance(live)
        self.ticks: list[float] = []
        self._before = sys.modules.get("Live")
        sys.modules["Live"] = live_module(live, self.instance)
        self._speed, self._clock, self._looked = speed, 0.0, time.monotonic()
        self.script = self._acting(lambda: make(self.instance, self._time))
        self._acting(lambda: self.script.build_midi_map(99))

    def _time(self) -> float:
        """The script's clock. It all but stands while a busy machine gives this process no turn, so that its own
        stalls are not taken for the engine's silence."""
        now = time.monotonic()
        self._clock += min(now - self._looked, STALL) * self._speed
        self._looked = now
        return self._clock

    def _acting(self, do: Callable[[], Any]) -> Any:
        self.live.hand = "script"
        try:
            return do()
        finally:
            self.live.hand = "user"

    def tick(self) -> None:
        begin = time.perf_counter()
        self._acting(self.script.update_display)
        self.ticks.append(time.perf_counter() - begin)
        assert not self.live.open_step, "an undo step stayed open over a tick"

    def run_until(self, done: Callable[[], bool]) -> None:
        """Ticks until `done`; fails with what was logged when that takes too long."""
        end = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < end, "\n".join(self.logged[-30:]) or "nothing was logged"
            self.tick()
            time.sleep(0.004)

    def midi(self, *messages: Sequence[int]) -> None:
        self._acting(lambda: self.script.receive_midi_chunk([tuple(message) for message in messages]))

    def press(self, cc: int) -> None:
        self.midi((0xBF, cc, 127), (0xBF, cc, 0))

    @property
    def logged(self) -> list[str]:
        return self.instance._logged

    def said(self, text: str) -> bool:
        """Whether a logged message contains `text`."""
        return any(text in line for line in self.logged)

    def disconnect(self) -> None:
        """The set is closed or another surface chosen."""
        self._acting(self.script.disconnect)
        if self._before is None:
            sys.modules.pop("Live", None)
        else:
            sys.modules["Live"] = self._before


def model_of(proxy: Any) -> Any:
    """The model behind a proxy, for tests that look behind the gate."""
    return unwrapped(proxy)
