"""Putting a take into the set: audio and MIDI clips on tracks of our own, read back and compared.

Nothing of the user's is touched: clips go to fresh tracks, to fresh take lanes, to empty slots of fresh scenes, or
behind what is on a track of ours, never over anything. Live would cut what lies below. The caller holds the undo step.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Iterable, NamedTuple

from .memory import Tag, set_tag, tag_of
from .smf import Note, SmfError, smf2notes
from .tempo import Pairs, beat2second, second2beat
from .trouble import Trouble

if TYPE_CHECKING:
    from Live.Clip import Clip
    from Live.ClipSlot import ClipSlot
    from Live.Song import Song
    from Live.TakeLane import TakeLane
    from Live.Track import Track


NEAR = 1e-6
"""Beats within which a position counts as the one asked for: 0.03 samples at 120 bpm."""
SAMPLE_NEAR = 5e-4
"""More beats than a sample lasts, at any tempo and rate."""
END_NEAR = 2e-3
COLOURS = {
    "drums": 0xC8553D, "bass": 0x8C4A9E, "keys": 0x3D7EC8, "guitar": 0xC88B3D, "pad": 0x3DA59E, "strings": 0x7A9E3D,
    "brass": 0xC8B43D, "lead": 0xC83D7E, "arp": 0x3DC86B, "vocals": 0x9E9E9E,
}  # fmt: skip
TOO_OLD = "This version of Live cannot place audio from a script: Live 11.3.25, 12.0.5 or later is needed."


class Landing(NamedTuple):
    """A finished stem: files, position in beats, length in samples, its notes, and the clock that it was made on."""

    name: str
    role: str
    take: int
    wav: str
    start: float
    samples: int
    rate: int
    notes: list[Note]
    pairs: Pairs

    @property
    def end(self) -> float:
        """Beat at which it ends."""
        return second2beat(self.pairs, beat2second(self.pairs, self.start) + self.samples / self.rate)


def event2landing(event: dict[str, Any], pairs: Pairs, end: float) -> Landing:
    """A landing out of a `stem` event. Reads the MIDI file. Raises `Trouble` where it or the audio file is unusable."""
    try:
        name, wav, midi = str(event["stem"]), str(event["wav"]), str(event["midi"])
        start, samples, rate = float(event["start_beat"]), int(event["samples"]), int(event["sample_rate"])
        take, role = int(event["take"]), str(event["role"])
    except (KeyError, TypeError, ValueError):
        raise Trouble("The engine announced a stem in a way that is not understood.") from None
    if not os.path.isfile(wav):
        raise Trouble(f"The file of {name} is missing: {wav}")
    if rate <= 0 or samples <= 0 or not 0.0 <= start < end:
        raise Trouble(f"The engine announced {name} in an impossible place.")
    try:
        with open(midi, "rb") as file:
            notes = smf2notes(file.read((4 << 20) + 1))
    except (OSError, SmfError) as error:
        raise Trouble(f"The notes of {name} cannot be read: {midi} ({error})") from None
    return Landing(name, role, take, wav, start, samples, rate, notes, pairs)


def can_place(song: Song) -> bool:
    """Whether this Live has what placing needs."""
    return any(hasattr(track, "create_audio_clip") for track in song.tracks)


class Placer:
    """Places landings. `problems` collects what went wrong, `places` says where things are, for the user."""

    def __init__(self, song: Song, note_class: Any) -> None:
        self._song = song
        self._note_class = note_class
        self.problems: list[str] = []
        self.places: list[str] = []

    # Ways to land

    def on_fresh_tracks(self, landing: Landing) -> None:
        """Audio on a new track, notes on another beside it."""
        for kind in ("audio", "midi"):
            with self._told(landing, kind):
                self._fresh(landing, kind)

    def behind(self, landing: Landing) -> None:
        """On the track of the same stem, where nothing lies at that place yet; on fresh tracks otherwise."""
        audio, midi = self._track_of(landing.name, "audio"), self._track_of(landing.name, "midi")
        if audio is None or midi is None or not all(_is_free(track, landing) for track in (audio, midi)):
            self.on_fresh_tracks(landing)
            return
        for track, kind in ((audio, "audio"), (midi, "midi")):
            with self._told(landing, kind):
                self._arrange(track, track, landing, kind)

    def in_lanes(self, landing: Landing, title: str) -> None:
        """In a new take lane of the stem's tracks, called "<title> 2" and so on; on fresh tracks where they are gone,
        frozen, or have no lanes."""
        for kind in ("audio", "midi"):
            with self._told(landing, kind):
                track = self._track_of(landing.name, kind)
                if track is None or not hasattr(track, "create_take_lane"):
                    self._fresh(landing, kind)
                    continue
                lane = track.create_take_lane()
                lane.name = f"{title} {len(track.take_lanes) + 1}"
                self._arrange(lane, track, landing, kind)
                self.places.append(f"take lane '{lane.name}' of {track.name}")

    def in_scene(self, landing: Landing, scene_index: int) -> None:
        """In the slots of one scene, on the stem's tracks; on fresh ones where they are gone."""
        for kind in ("audio", "midi"):
            with self._told(landing, kind):
                known = self._track_of(landing.name, kind)
                track = self._new_track(landing, kind) if known is None else known
                slot = list(track.clip_slots)[scene_index]
                if slot.has_clip:
                    raise Trouble("the slot is taken")
                if kind == "audio":
                    slot.create_audio_clip(landing.wav)
                else:
                    self._notes_in(slot, landing)
                self._finish(slot.clip, track, landing, kind, None)

    def mute_earlier(self, landing: Landing) -> None:
        """Deactivates the clips of our own that play an earlier version of this stem in the same place."""
        with self._told(landing, "audio"):
            for track, tag in our_tracks(self._song):
                if tag.stem != landing.name or tag.kind != "audio" or landing.wav in tag.files:
                    continue
                for clip in track.arrangement_clips:
                    overlaps = clip.start_time < landing.end and clip.end_time > landing.start
                    if overlaps and clip.is_audio_clip and str(clip.file_path) in tag.files:
                        clip.muted = True

    # Steps

    def _fresh(self, landing: Landing, kind: str) -> None:
        """A clip on a new track, which goes again where that fails."""
        track = self._new_track(landing, kind)
        try:
            self._arrange(track, track, landing, kind)
        except Exception:
            self._song.delete_track(list(self._song.tracks).index(track))
            raise
        self.places.append(str(track.name))

    def _arrange(self, place: Track | TakeLane, track: Track, landing: Landing, kind: str) -> None:
        """A clip at the landing's beat on a track or take lane; `track` is the one that keeps the tag."""
        if kind == "audio":
            clip = _made(place.create_audio_clip(landing.wav, landing.start), place, landing.start)
        else:
            length = landing.end - landing.start
            if hasattr(place, "create_midi_clip"):
                clip = _made(place.create_midi_clip(landing.start, length), place, landing.start)
                self._add_notes(clip, landing)
            else:
                clip = self._by_way_of_a_slot(track, landing)
        self._finish(clip, track, landing, kind, landing.start)

    def _by_way_of_a_slot(self, track: Track, landing: Landing) -> Clip:
        """Before Live 12.2 MIDI clips are made in the Session only: one is made there, copied, and removed again."""
        slot = next((slot for slot in track.clip_slots if not slot.has_clip), None)
        if slot is None:
            raise Trouble("the track has no empty slot to make a MIDI clip in")
        made = self._notes_in(slot, landing)
        try:
            return _made(track.duplicate_clip_to_arrangement(made, landing.start), track, landing.start)
        finally:
            slot.delete_clip()

    def _notes_in(self, slot: ClipSlot, landing: Landing) -> Clip:
        slot.create_clip(landing.end - landing.start)
        self._add_notes(slot.clip, landing)
        return slot.clip

    def _add_notes(self, clip: Clip, landing: Landing) -> None:
        make = self._note_class
        clip.add_new_notes(
            tuple(
                make(pitch=note.pitch, start_time=note.start, duration=note.length, velocity=float(note.velocity))
                for note in landing.notes
            )
        )

    def _finish(self, clip: Clip, track: Track, landing: Landing, kind: str, start: float | None) -> None:
        """Names the clip, turns warping off, marks the track as ours, and reads back what is there."""
        clip.name = landing.name if landing.take == 1 else f"{landing.name} (take {landing.take})"
        if kind == "audio":
            if clip.looping:
                clip.looping = False
            if clip.warping:
                clip.warping = False
            seconds = landing.samples / landing.rate
            if abs(clip.loop_end - clip.loop_start - seconds) > 1.0 / landing.rate or clip.loop_start != 0.0:
                clip.loop_end = seconds
                clip.loop_start = 0.0
        tag = tag_of(track)
        files = (tag.files if tag else []) + ([landing.wav] if kind == "audio" else [])
        set_tag(track, Tag(landing.name, kind, files[-32:]))
        self.problems += [f"{track.name}: {what}" for what in self._differences(clip, landing, kind, start)]

    def keep_selection(self) -> Callable[[], None]:
        """Live selects each new track. Gives what puts the user's selection back."""
        view = self._song.view
        track, clip = view.selected_track, view.detail_clip

        def put_back() -> None:
            if track is not None:
                view.selected_track = track
            if clip is not None:
                view.detail_clip = clip

        return put_back

    def _differences(self, clip: Clip, landing: Landing, kind: str, start: float | None) -> Iterable[str]:
        if start is not None and abs(clip.start_time - start) > NEAR:
            yield f"it landed on beat {clip.start_time:.6f} instead of {start:.6f}"
        if kind == "midi":
            return
        if clip.warping:
            yield "its warping could not be turned off"
        if _same_path(clip.file_path, landing.wav) is False:
            yield f"it plays another file ({clip.file_path})"
        if clip.sample_length not in (-1, landing.samples):
            yield f"it has {clip.sample_length} samples instead of {landing.samples}"
        if start is not None and abs(clip.end_time - landing.end) > END_NEAR:
            yield (
                f"it ends on beat {clip.end_time:.4f}, by the tempo that was read on {landing.end:.4f}: the tempo "
                "has changed since. Save the set and ask again"
            )

    def _new_track(self, landing: Landing, kind: str) -> Track:
        make = self._song.create_audio_track if kind == "audio" else self._song.create_midi_track
        track = make(-1)
        track.name = self._free_name(landing.name + ("" if kind == "audio" else " MIDI"))
        track.color = COLOURS.get(landing.role, COLOURS["vocals"])
        set_tag(track, Tag(landing.name, kind, []))
        return track

    def _free_name(self, wanted: str) -> str:
        taken = {str(track.name).lower() for track in self._song.tracks}
        name, number = wanted, 1
        while name.lower() in taken:
            number += 1
            name = f"{wanted} {number}"
        return name

    def _track_of(self, stem: str, kind: str) -> Track | None:
        """The newest usable track of ours with that stem, or None."""
        found = None
        for track in self._song.tracks:
            tag = tag_of(track)
            if tag is not None and (tag.stem, tag.kind) == (stem, kind) and not track.is_frozen:
                found = track
        return found

    def _told(self, landing: Landing, kind: str) -> _Told:
        return _Told(self.problems, landing.name + ("" if kind == "audio" else " MIDI"))


class _Told:
    """Turns what Live raises while one clip is placed into a problem with a name; the other clips go on."""

    def __init__(self, problems: list[str], name: str) -> None:
        self._problems, self._name = problems, name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> bool:
        if isinstance(error, AttributeError) and "create_audio_clip" in str(error):
            self._problems.append(TOO_OLD)
            return True
        if isinstance(error, (Trouble, RuntimeError, ValueError, TypeError, IndexError, AttributeError)) or (
            type(error).__name__ == "LimitationError"
        ):
            self._problems.append(f"{self._name} could not be placed: {error}")
            return True
        return False


def _made(clip: Clip | None, place: Track | TakeLane, start: float) -> Clip:
    """The clip that was just made; where Live gave none back, the one that lies there."""
    found = (
        [clip] if clip is not None else [one for one in place.arrangement_clips if abs(one.start_time - start) < NEAR]
    )
    if not found:
        raise Trouble("Live made no clip, and did not say why")
    return found[0]


def _is_free(track: Track, landing: Landing) -> bool:
    """Whether nothing lies there. A clip of whole samples may end a part of a sample after the beat that it ends on."""
    return all(
        clip.end_time <= landing.start + SAMPLE_NEAR or clip.start_time >= landing.end - SAMPLE_NEAR
        for clip in track.arrangement_clips
    )


def _same_path(one: Any, other: str) -> bool:
    return os.path.normcase(os.path.realpath(str(one))) == os.path.normcase(os.path.realpath(other))


def our_tracks(song: Song) -> list[tuple[Track, Tag]]:
    """Our tracks with their tags, in the set's order."""
    found = []
    for track in song.tracks:
        tag = tag_of(track)
        if tag is not None:
            found.append((track, tag))
    return found
