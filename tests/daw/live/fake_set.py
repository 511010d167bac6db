"""The things in the fake Live's set and how they behave: tracks, slots, take lanes, clips.

Modelled from the doc strings of Live's objects and what users of `create_audio_clip` report: a clip that is placed over
others eats them; a new audio clip is warped when the user's preference says so; without warping its length in beats
follows from the tempo; markers of an audio clip count beats when it is warped, seconds when it is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.daw.live.fake_gate import LimitationError, LiveCrash, Model

LAST_TIME = 1_576_800.0
GUESSED_BPM = 97.3
"""What the fake's auto-warp takes every file's tempo for."""


class MidiNoteSpecification:
    """As in Live: arguments may be named here."""

    def __init__(
        self,
        pitch: int,
        start_time: float,
        duration: float,
        velocity: float = 100.0,
        mute: bool = False,
        probability: float = 1.0,
        velocity_deviation: float = 0.0,
        release_velocity: float = 64.0,
    ) -> None:
        whole = isinstance(pitch, int) and not isinstance(mute, float)
        if not whole or not all(isinstance(v, int | float) for v in (start_time, duration, velocity, probability)):
            raise TypeError("no note")
        if not 0 <= pitch <= 127 or duration <= 0 or not 0 <= velocity <= 127:
            raise ValueError(f"no note: {pitch} {duration} {velocity}")
        self.pitch, self.start_time, self.duration, self.velocity, self.mute = (
            pitch,
            float(start_time),
            float(duration),
            float(velocity),
            mute,
        )


class MidiNote(Model):
    kind = "MidiNote"

    def __init__(self, live: Any, owner: str, spec: MidiNoteSpecification, number: int) -> None:
        super().__init__(live, owner)
        self.values = {
            "pitch": spec.pitch, "start_time": spec.start_time, "duration": spec.duration, "velocity": spec.velocity,
            "mute": spec.mute, "note_id": number, "probability": 1.0,
        }  # fmt: skip


class Clip(Model):
    """`where` is "arrangement", "session" or "lane"; `start` its place in beats (0 in the Session)."""

    kind = "Clip"

    def __init__(self, live: Any, owner: str, where: str, start: float) -> None:
        super().__init__(live, owner)
        self.where, self.start = where, start
        self.low = self.high = self.begin = 0.0
        self.cut_end: float | None = None
        self.notes: list[MidiNote] = []
        self.file: Path | None = None
        self.sample: Any = None
        self.values = {"name": "", "muted": False, "looping": False, "color": 0}
        self.warped = False

    # Reading

    def is_unwarped(self) -> bool:
        return self.file is not None and not self.warped

    @property
    def beats(self) -> float:
        """Length on the timeline."""
        if not self.is_unwarped():
            return self.high - self.low
        end: float = self.live.second2beat(self.live.beat2second(self.start) + self.high - self.low)
        return end - self.start

    def get_start_time(self) -> float:
        return self.start

    def get_end_time(self) -> float:
        return self.cut_end if self.cut_end is not None else self.start + self.beats

    def get_length(self) -> float:
        return self.high - self.low

    def get_loop_start(self) -> float:
        return self.low

    def get_loop_end(self) -> float:
        return self.high

    def get_start_marker(self) -> float:
        return self.begin

    def get_end_marker(self) -> float:
        return self.high

    def get_is_audio_clip(self) -> bool:
        return self.file is not None

    def get_is_midi_clip(self) -> bool:
        return self.file is None

    def get_is_arrangement_clip(self) -> bool:
        return self.where != "session"

    def get_is_session_clip(self) -> bool:
        return self.where == "session"

    def get_is_take_lane_clip(self) -> bool:
        return self.where == "lane"

    def _audio(self) -> Any:
        if self.file is None:
            raise RuntimeError("only available for audio clips")
        return self.sample

    def get_warping(self) -> bool:
        self._audio()
        return self.warped

    def get_file_path(self) -> str:
        self._audio()
        return str(self.file)

    def get_sample_length(self) -> int:
        return int(self._audio().frames)

    def get_sample_rate(self) -> float:
        if self.file is not None and not self.file.exists():
            raise RuntimeError("the sample is not available")
        return float(self._audio().samplerate)

    def beat_to_sample_time(self, beat: float) -> float:
        if not self.warped:
            raise RuntimeError("the sample is not warped")
        return beat * 60.0 / GUESSED_BPM * self.get_sample_rate()

    # Changing

    def set_looping(self, on: bool) -> None:
        """Only warped clips can loop: looping turns warping on."""
        if on and self.is_unwarped():
            self.set_warping(True)
        self.values["looping"] = on

    def set_warping(self, on: bool) -> None:
        if not on and self.values["looping"]:
            self.values["looping"] = False
        seconds = self._audio().frames / self._audio().samplerate
        if self.warped and not on:
            length = self.live.beat2second(self.start + self.beats) - self.live.beat2second(self.start)
            self.low = self.begin = 0.0
            self.high = length if self.live.unwarping_keeps_length else seconds
        elif on and not self.warped:
            self.low, self.high = 0.0, seconds * GUESSED_BPM / 60.0
        self.warped = on

    def set_loop_end(self, value: float) -> None:
        if value <= self.low:
            raise RuntimeError("the loop's end lies before its start")
        if self.is_unwarped() and value > self._audio().frames / self._audio().samplerate + 1e-9:
            raise RuntimeError("the loop's end lies behind the sample")
        self.high = value

    def set_loop_start(self, value: float) -> None:
        if value >= self.high:
            raise RuntimeError("the loop's start lies behind its end")
        self.low = value

    def add_new_notes(self, notes: Any) -> list[int]:
        if self.file is not None:
            raise RuntimeError("only available for MIDI clips")
        self.changed("notes")
        added = []
        for spec in notes:
            if not isinstance(spec, MidiNoteSpecification):
                raise RuntimeError("no MidiNoteSpecification")
            added.append(MidiNote(self.live, self.owner, spec, len(self.notes)))
            self.notes.append(added[-1])
        return [note.values["note_id"] for note in added]

    def get_notes_extended(self, pitch: int, pitches: int, start: float, span: float) -> list[MidiNote]:
        if self.file is not None:
            raise RuntimeError("only available for MIDI clips")
        inside = (n for n in self.notes if start <= n.values["start_time"] < start + span)
        return [note for note in inside if pitch <= note.values["pitch"] < pitch + pitches]


class CuePoint(Model):
    kind = "CuePoint"


class Scene(Model):
    kind = "Scene"

    def get_clip_slots(self) -> list[ClipSlot]:
        index = self.live.scenes.index(self)
        return [track.slots[index] for track in self.live.tracks]


class ClipSlot(Model):
    kind = "ClipSlot"

    def __init__(self, live: Any, owner: str, track: Track) -> None:
        super().__init__(live, owner)
        self.track = track
        self.inside: Clip | None = None

    def get_has_clip(self) -> bool:
        return self.inside is not None

    def get_clip(self) -> Clip | None:
        return self.inside

    def create_clip(self, length: float) -> Clip:
        self._check("midi")
        self.inside = Clip(self.live, self.live.hand, "session", 0.0)
        self.inside.high, self.inside.values["looping"] = length, True
        return self.inside

    def create_audio_clip(self, path: str) -> Clip:
        self._check("audio")
        clip: Clip = self.live.audio_clip(path, "session", 0.0)
        self.inside = clip
        return clip

    def delete_clip(self) -> None:
        if self.inside is None:
            raise RuntimeError("the slot is empty")
        self.inside.changed("deleted")
        self.inside.dead, self.inside = True, None

    def _check(self, kind: str) -> None:
        if self.inside is not None or self.track.type != kind or self.track.frozen:
            raise RuntimeError("the slot is taken, or of another kind, or frozen")
        self.changed("clip")


class Lane(Model):
    """Where Arrangement clips lie: a track's main lane, or a take lane (`kind` TakeLane)."""

    kind = "TakeLane"

    def __init__(self, live: Any, owner: str, track: Track | None) -> None:
        super().__init__(live, owner)
        self.track = track
        self.clips: list[Clip] = []
        self.values = {"name": ""}

    def get_arrangement_clips(self) -> list[Clip]:
        return sorted(self.clips, key=lambda clip: clip.start)

    def create_audio_clip(self, path: str, start: float) -> Clip | None:
        clip = self._put(self._allowed("audio", start), self.live.audio_clip(path, self._where(), start))
        return clip if self.live.gives_clips_back else None

    def create_midi_clip(self, start: float, length: float) -> Clip:
        track = self._allowed("midi", start)
        clip = Clip(self.live, self.live.hand, self._where(), start)
        clip.high = length
        return self._put(track, clip)

    def _where(self) -> str:
        return "arrangement" if isinstance(self, Track) else "lane"

    def _allowed(self, kind: str, start: float) -> Track:
        track = self if isinstance(self, Track) else self.track
        assert track is not None
        if track.type != kind or track.frozen or track.recording:
            raise RuntimeError(f"cannot create a clip on this track ({track.type}, frozen or being recorded into)")
        if not 0.0 <= start <= LAST_TIME:
            raise RuntimeError("the time is outside the arrangement")
        return track

    def _put(self, track: Track, clip: Clip) -> Clip:
        """The overlap rule: what lies below is eaten; of a clip that is hit in its middle the tail is lost."""
        track.changed("clip")
        start, end = clip.start, clip.get_end_time()
        for other in list(self.clips):
            if other.start >= end or other.get_end_time() <= start:
                continue
            other.changed("eaten")
            if other.start >= start:
                self.clips.remove(other)
                other.dead = True
            else:
                other.cut_end = start
        self.clips.append(clip)
        return clip


class Track(Lane):
    kind = "Track"

    def __init__(self, live: Any, owner: str, type: str) -> None:
        super().__init__(live, owner, None)
        self.type = type
        self.frozen = self.recording = False
        self.lanes: list[Lane] = []
        self.data: dict[str, Any] = {}
        self.slots = [ClipSlot(live, owner, self) for _ in live.scenes]
        self.values = {
            "name": "", "mute": False, "muted_via_solo": False, "solo": False, "arm": False, "color": 0,
            "is_part_of_selection": False,
        }  # fmt: skip

    def get_has_midi_input(self) -> bool:
        return self.type == "midi"

    def get_has_audio_input(self) -> bool:
        return self.type == "audio"

    def get_is_foldable(self) -> bool:
        return self.type == "group"

    def get_is_frozen(self) -> bool:
        return self.frozen

    def get_clip_slots(self) -> list[ClipSlot]:
        return self.slots

    def get_take_lanes(self) -> list[Lane]:
        return self.lanes

    def create_take_lane(self) -> Lane:
        self.changed("take lane")
        self.lanes.append(Lane(self.live, self.live.hand, self))
        return self.lanes[-1]

    def duplicate_clip_to_arrangement(self, clip: Clip, start: float) -> Clip:
        if clip.where != "session":
            raise LiveCrash("duplicating an Arrangement clip onto the Arrangement can crash Live")
        track = self._allowed("audio" if clip.file else "midi", start)
        copy = Clip(self.live, self.live.hand, "arrangement", start)
        copy.low, copy.high, copy.begin, copy.values = clip.low, clip.high, clip.begin, dict(clip.values)
        copy.file, copy.sample, copy.warped, copy.notes = clip.file, clip.sample, clip.warped, list(clip.notes)
        return self._put(track, copy)

    def get_data(self, key: str, default: Any) -> Any:
        return self.data.get(key, default)

    def set_data(self, key: str, value: Any) -> None:
        self.changed("data")
        self.data[key] = value


def check_room(count: int, most: int, what: str) -> None:
    """Raises as Live does where an edition's limit is reached."""
    if count >= most:
        raise LimitationError(f"no more {what} in this edition")
