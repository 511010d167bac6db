"""Reading the set: sections, clock, metres, key, notes of the user's MIDI tracks, the selected clip as reference.

`describe` is a generator: between two `yield`s it does a bounded amount of work, so that Live's window never waits.
Nothing in the set is changed. Versions of Live differ in what their objects have; the objects are asked.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Generator, Iterator, NamedTuple

from . import marks
from .als import MetreEvent, SavedSet, read_saved_set
from .memory import tag_of
from .smf import Note
from .tempo import STEP, Envelope, Pairs, events2pairs, metres2list, steady
from .trouble import Trouble

if TYPE_CHECKING:
    from Live.Clip import Clip
    from Live.Song import Song
    from Live.Track import Track


NONE, PLAYING, OVERRIDDEN = 0, 1, 2
"""Values of a parameter's `automation_state`."""
MAX_SECTIONS, MAX_TRACKS, MAX_NOTES, MAX_REPEATS = 500, 128, 20_000, 4_000
MAX_SET_BYTES = 256 << 20
CUES_PER_STEP = 50
DEFAULT_RATE = 48_000
SAVE = "Save the set, then ask again."


class Context(NamedTuple):
    """A MIDI track of the user's: its name and notes, in beats of the song."""

    name: str
    notes: list[Note]


class Described(NamedTuple):
    """What was read. `told`: what the user should know about it."""

    name: str
    root: str
    sections: list[dict[str, Any]]
    pairs: Pairs
    metres: list[MetreEvent]
    keys: list[dict[str, Any]]
    tracks: list[Context]
    rate: int
    told: list[str]


def read_sections(song: Song) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Sections of the whole song and the keys of `key=` locators. Raises `Trouble`."""
    locators = [marks.Locator(float(cue.time), str(cue.name)) for cue in song.cue_points]
    keys, others = marks.split_keys(locators)
    return marks.locators2sections(others, last_clip_end(song)), keys


def last_clip_end(song: Song) -> float:
    """The last beat that an Arrangement clip covers; 0 where there is none."""
    return max((float(clip.end_time) for track in song.tracks for clip in track.arrangement_clips), default=0.0)


def loop_span(song: Song) -> marks.Span | None:
    """The loop brace, where the loop is on."""
    if not song.loop or song.loop_length <= 0:
        return None
    return marks.Span(float(song.loop_start), float(song.loop_start + song.loop_length))


def describe(song: Song, sections: list[dict[str, Any]], rate: int) -> Generator[None, None, Described]:
    """Reads what the band must know to play `sections`; stops after each piece of work.

    `rate`: the sample rate that the user has set, 0 for none. Raises `Trouble` with what the user can do.
    """
    if len(sections) > MAX_SECTIONS:
        raise Trouble(f"{len(sections)} sections are marked; at most {MAX_SECTIONS} can be asked for at once.")
    told: list[str] = []
    path = str(song.file_path) if getattr(song, "file_path", None) else ""
    end = max(s["end"] for s in sections)
    yield
    saved = (yield from read_set_file(path)) if path else None
    pairs = read_clock(song, saved, end, told)
    metres = read_metres(song, saved, end, told)
    keys = read_key(song, told)
    yield
    tracks: list[Context] = []
    for track in list(song.tracks):
        if is_context(track):
            notes: list[Note] = []
            yield from read_notes(track, notes)
            if notes:
                tracks.append(Context(str(track.name), sorted(notes)))
            if len(notes) >= MAX_NOTES:
                told.append(f"Of '{track.name}' the band hears the first {MAX_NOTES} notes.")
        yield
    if len(tracks) > MAX_TRACKS:
        told.append(f"{len(tracks)} MIDI tracks sound; the band hears the first {MAX_TRACKS}.")
        del tracks[MAX_TRACKS:]
    root = os.path.dirname(path)
    name = os.path.splitext(os.path.basename(path))[0]
    if not path:
        told.append("The set is not saved yet: the takes go to stembridge's own folder, not to the project's.")
    return Described(name, root, sections, pairs, metres, keys, tracks, rate or guess_rate(song), told)


def read_set_file(path: str) -> Generator[None, None, SavedSet]:
    """The saved set step by step. Raises `Trouble`, too, where the file cannot be read."""
    try:
        if os.path.getsize(path) > MAX_SET_BYTES:
            raise Trouble("The saved set is too large to be read for its tempo.")
        with open(path, "rb") as file:
            return (yield from read_saved_set(file))
    except OSError as error:
        raise Trouble(f"The saved set cannot be read ({error.strerror or error}). {SAVE}") from None


def tempo_automation(song: Song) -> int | None:
    """`NONE`, `PLAYING` or `OVERRIDDEN` for the song's tempo; None where this Live does not say."""
    try:
        return int(song.master_track.mixer_device.song_tempo.automation_state)
    except AttributeError:
        return None


def read_clock(song: Song, saved: SavedSet | None, end: float, told: list[str]) -> Pairs:
    """Pairs (beat, second) from beat 0 to `end`. Raises `Trouble` where the tempo's course cannot be known.

    Whether the set was changed after it was saved cannot be asked. What contradicts the saved set is told, and so is,
    after landing, a clip that ends elsewhere than the clock says.
    """
    state, tempo = tempo_automation(song), float(song.tempo)
    for name, words in (("is_ableton_link_enabled", "Ableton Link"), ("tempo_follower_enabled", "The Tempo Follower")):
        if getattr(song, name, False):
            told.append(f"{words} is on: stems fit the tempo of now only. Switch it off while you arrange.")
    events = (saved.tempi if saved else None) or []
    if state == NONE:
        return steady(tempo, end)
    if state == OVERRIDDEN:
        raise Trouble("The tempo's automation is overridden. Press 'Re-Enable Automation', then ask again.")
    if len({event.bpm for event in events}) > 1:
        here = float(song.current_song_time)
        expected = Envelope(events).bpm_at(here - here % STEP)
        if abs(expected - tempo) > 0.02 and not song.is_playing:
            told.append(
                f"Live shows {tempo:.2f} bpm at the song position, the saved set {expected:.2f}. If the tempo was "
                f"changed since the set was saved: cancel. {SAVE}"
            )
        return events2pairs(events, end)
    if state == PLAYING and saved is None:
        raise Trouble("The tempo is automated, and Live tells its course only through the saved set. " + SAVE)
    if state == PLAYING:
        told.append(f"The saved set has one tempo only. If its automation is newer: cancel. {SAVE}")
    return steady(tempo, end)


def read_metres(song: Song, saved: SavedSet | None, end: float, told: list[str]) -> list[MetreEvent]:
    """Time signatures up to `end`: those of the saved set where they change, else the one that Live shows."""
    now = (int(song.signature_numerator), int(song.signature_denominator))
    events = metres2list(saved.metres, end) if saved and saved.metres else []
    if len(events) < 2:
        return [MetreEvent(0.0, now[0], now[1])]
    here = [event for event in events if event.beat <= float(song.current_song_time)] or events[:1]
    told.append("The changes of time signature are those of the set as it was saved last.")
    if (here[-1].beats, here[-1].unit) != now:
        told.append(
            f"Live shows {now[0]}/{now[1]} at the song position, the saved set {here[-1].beats}/{here[-1].unit}. If it "
            f"was changed since the set was saved: cancel. {SAVE}"
        )
    return events


def read_key(song: Song, told: list[str]) -> list[dict[str, Any]]:
    """The set's key from its root note and scale. Live 12 says whether a scale is in use; before, C Major is what a
    set without a choice has, and counts as none."""
    root, scale = int(song.root_note), str(song.scale_name)
    chosen = bool(song.scale_mode) if hasattr(song, "scale_mode") else (root, scale) != (0, "Major")
    if not chosen:
        return []
    key, note = marks.scale2key(root, scale)
    if note:
        told.append(note)
    return [{"beat": 0.0, "tonic": key[0], "mode": key[1]}] if key else []


def is_context(track: Track) -> bool:
    """Whether the band shall hear this track: a MIDI track of the user's that sounds."""
    if not track.has_midi_input or track.is_foldable or tag_of(track) is not None:
        return False
    return not track.mute and not track.muted_via_solo


def read_notes(track: Track, notes: list[Note]) -> Iterator[None]:
    """Collects the notes of a track's Arrangement clips, in beats of the song; loops are played out."""
    for clip in list(track.arrangement_clips):
        if clip.is_midi_clip and not clip.muted and len(notes) < MAX_NOTES:
            notes.extend(clip2notes(clip)[: MAX_NOTES - len(notes)])
        yield


def clip2notes(clip: Clip) -> list[Note]:
    """What an Arrangement MIDI clip plays. It begins at its start marker and, when it loops, goes back to the loop's
    start whenever it reaches the loop's end. Notes that a border cuts end there."""
    start, end = float(clip.start_time), float(clip.end_time)
    low, high = float(clip.loop_start), float(clip.loop_end)
    at = float(clip.start_marker)
    inside = sorted(
        (float(note.start_time), float(note.duration), int(note.pitch), float(note.velocity))
        for note in clip.get_notes_extended(0, 128, -1e5, 2e5)
        if not note.mute
    )
    found, beat, looping = [], start, bool(clip.looping) and high > low
    for _ in range(MAX_REPEATS):
        stop = min(end, beat + (high - at)) if looping else end
        for note_start, length, pitch, velocity in inside:
            place = beat + note_start - at
            if note_start >= at - 1e-9 and place < stop - 1e-9:
                found.append(Note(place, min(length, stop - place), pitch, round(velocity)))
        if stop >= end - 1e-9 or len(found) >= MAX_NOTES:
            break
        beat, at = stop, low
    return found


def guess_rate(song: Song) -> int:
    """Live does not tell the audio interface's rate: that of most of the set's audio clips, else 48000."""
    counts: dict[int, int] = {}
    for track in song.tracks:
        for clip in track.arrangement_clips:
            rate = clip2rate(clip)
            if rate > 0:
                counts[rate] = counts.get(rate, 0) + 1
    return max(sorted(counts), key=lambda rate: counts[rate], default=DEFAULT_RATE)


def clip2rate(clip: Clip) -> int:
    """Sample rate of a clip's file; 0 for MIDI clips and files that are missing."""
    try:
        return int(clip.sample_rate) if clip.is_audio_clip and hasattr(clip, "sample_rate") else 0
    except RuntimeError:
        return 0


def read_reference(song: Song) -> dict[str, Any]:
    """The selected audio clip as a reference: file, start and length in seconds. Raises `Trouble`."""
    clip = song.view.detail_clip
    if clip is None or not clip.is_audio_clip:
        raise Trouble("Select the audio clip that the band shall sound like, then ask again.")
    path = str(clip.file_path)
    if not os.path.isfile(path):
        raise Trouble(f"The file of the selected clip is missing: {path}")
    ends = (clip.loop_start, clip.loop_end) if clip.looping else (clip.start_marker, clip.end_marker)
    if clip.warping:
        if not hasattr(clip, "sample_rate"):
            raise Trouble("This version of Live does not tell where the warped clip begins. Turn its warping off.")
        begin, stop = (clip.beat_to_sample_time(float(beat)) / clip.sample_rate for beat in ends)
        ends = (begin, stop)
    start, length = max(float(ends[0]), 0.0), float(ends[1]) - float(ends[0])
    if length <= 0:
        raise Trouble("The selected clip has no length.")
    return {"audio": path, "from_second": start, "seconds": length}
