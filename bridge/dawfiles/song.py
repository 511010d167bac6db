"""What is read of any project file, and how it becomes the arrangement of a request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.arrangement import MODES, TONICS, Arrangement, KeyAt, MetreAt, Section
from bridge.dawfiles.sections import markers2sections, played2sections, regions2sections
from bridge.errors import RequestError
from bridge.midifile import LONGEST_BAR, RELEASE, extended
from bridge.midinotes import SmfNote
from bridge.timeline import MAX_BARS, Clock, Metre, check_pairs

if TYPE_CHECKING:
    from zipfile import ZipFile

MARKER_BARS = 8
"""So many bars belong to a last marker after which nothing lies."""
MAX_PARTS = 100
"""Tracks that are sent along."""
CLOSING = ("end", "=end", "song end", "end of song")
NOTES_SUFFIX = " MIDI"
SAME = 1e-6
"""Beats: two pairs nearer than this are one place, told apart by rounding alone."""
"""stembridge's own projects hold "bass" (sound) and "bass MIDI" (its notes): one of the two is enough."""

_KEY = re.compile(r"\s*=?key\s*=\s*([A-Ga-g][#b]?)\s*(m|min|minor|maj|major|[a-z]+)?\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FilePart:
    """The notes of one track, in beats of the project."""

    name: str
    notes: tuple[SmfNote, ...]
    drums: bool = False


@dataclass(frozen=True, slots=True)
class FileSound:
    """A piece of a sound file on a track, unstretched: it begins at `start` (beats), `from_second` into the file, and
    lasts `seconds`. `inside`: the path is a name inside the project's ZIP."""

    track: str
    start: float
    path: str
    from_second: float
    seconds: float
    inside: bool = False


@dataclass(frozen=True)
class FileSong:
    """A project file. `pairs`: its clock; `markers` (beat, text); `regions` (start, end, name, label or "") in beats;
    `remarks`: what was left out, for the user. `folder` holds files that sounds name by a relative path."""

    path: Path
    rate: int
    pairs: tuple[tuple[float, float], ...]
    metres: tuple[Metre, ...]
    markers: tuple[tuple[float, str], ...] = ()
    regions: tuple[tuple[float, float, str, str], ...] = ()
    parts: tuple[FilePart, ...] = ()
    sounds: tuple[FileSound, ...] = ()
    remarks: tuple[str, ...] = ()


def song2arrangement(song: FileSong, context: Path, archive: ZipFile | None = None) -> tuple[Arrangement, list[str]]:
    """The arrangement of a request, and remarks on what could not be used.

    Sections are the regions, else the markers, else eight bars each. Notes are written to MIDI files and pieces of
    sound to WAV files in the folder `context`, made if needed; the same project gives the same files again. Markers
    `key=Am`, `key=D dorian` are keys. Raises `RequestError` `file.empty` where there is nothing at all, and as the
    clock does.
    """
    from bridge.dawfiles.context import part2track, sounds2track

    remarks = list(song.remarks)
    field = str(song.path)
    keys, markers = _keys(song.markers)
    clock = _reaching(song, 0.0)
    last = _last_beat(song, clock, markers)
    if last is None:
        raise RequestError(
            "file.empty",
            "there are no notes, no sounds, no regions and no markers in this project.",
            field=field,
            hint="Mark the sections of the song, then save or export it again.",
        )
    clock = _reaching(song, last)
    bars = list(clock.bars(0.0, last))
    if len(bars) >= MAX_BARS:
        raise RequestError("file.too_long", f"it has more than {MAX_BARS} bars.", field=field)
    lines, end = [bar.start for bar in bars], bars[-1].end
    notes = [note for part in song.parts for note in part.notes]
    starts = [n.start for n in notes] + [s.start for s in song.sounds]
    sections: tuple[Section, ...]
    sections, cut = regions2sections(song.regions)
    remarks += cut
    sections = (
        sections
        or markers2sections(markers, lines, end, first=min(starts, default=None), closing=CLOSING)
        or played2sections(notes, lines, end)
    )
    end = max(end, *(s.end for s in sections))
    pairs = [pair for pair in zip(clock.beats, clock.seconds, strict=True) if pair[0] < end - SAME]
    pairs.append((end, clock.beat2second(end)))
    whole = Clock.from_pairs(pairs, song.metres[:1])
    tracks = [part2track(part, context, whole) for part in song.parts]
    told = {part.name.removesuffix(NOTES_SUFFIX) for part in song.parts if part.name.endswith(NOTES_SUFFIX)}
    for name in dict.fromkeys(sound.track for sound in song.sounds if sound.track not in told):
        pieces = [sound for sound in song.sounds if sound.track == name]
        made, problems = sounds2track(name, pieces, clock, context, song.path.parent, archive)
        tracks += made
        remarks += problems
    if len(tracks) > MAX_PARTS:
        remarks.append(f"of {len(tracks)} tracks the first {MAX_PARTS} are heard.")
    return Arrangement(
        sample_rate=song.rate,
        clock=tuple(pairs),
        metres=tuple(MetreAt(m.beat, m.beats, m.unit) for m in song.metres if m.beat < end),
        keys=tuple(key for key in keys if key.beat < end),
        sections=sections,
        tracks=tuple(tracks[:MAX_PARTS]),
    ), remarks


def _reaching(song: FileSong, beat: float) -> Clock:
    """The song's clock, its last tempo going on for the longest bar after `beat` and after the last metre."""
    beyond = max(beat, song.metres[-1].beat) + LONGEST_BAR - song.pairs[-1][0]
    return Clock.from_pairs(extended(song.pairs, max(0.0, beyond)), song.metres, field=str(song.path))


def check_song_pairs(pairs: Sequence[tuple[float, float]], path: Path) -> tuple[tuple[float, float], ...]:
    """The pairs, once they can be a clock. Raises `RequestError` `file.tempo`."""
    try:
        check_pairs(pairs, "tempo map")
    except RequestError as error:
        raise RequestError(
            "file.tempo",
            f"its tempo map cannot be played: {error.message}",
            field=str(path),
            hint="Correct the tempo track, then save or export it again.",
        ) from error
    return tuple(pairs)


def tidy_metres(changes: dict[float, tuple[int, int]]) -> tuple[Metre, ...]:
    """Metres from beat 0 on (4/4 until the file says another); repeats of the metre in force are left out, but for
    those that begin within a bar and so begin a new one."""
    metres: list[Metre] = []
    for beat, (beats, unit) in sorted({0.0: (4, 4), **{max(0.0, b): m for b, m in sorted(changes.items())}}.items()):
        if metres and (beats, unit) == (metres[-1].beats, metres[-1].unit):
            bars = (beat - metres[-1].beat) / metres[-1].bar_beats
            if abs(bars - round(bars)) < 1e-6:
                continue
        metres.append(Metre(beat, beats, unit))
    return tuple(metres)


def _last_beat(song: FileSong, clock: Clock, markers: Sequence[tuple[float, str]]) -> float | None:
    """Where the last thing of the song ends; None where there is nothing."""
    ends = [n.start + max(0.01, n.length - RELEASE) for part in song.parts for n in part.notes]
    for sound in song.sounds:
        end = clock.second2beat(clock.beat2second(sound.start) + sound.seconds)
        ends += [sound.start + 0.01, end - RELEASE]
    ends += [end for _, end, _, _ in song.regions]
    for beat, name in markers:
        if name.casefold() in CLOSING:
            ends.append(beat)
    opening = [beat for beat, name in markers if name.casefold() not in CLOSING]
    if opening and max(ends, default=0.0) <= max(opening) + 1e-6:
        ends.append(max(opening) + MARKER_BARS * clock.metre_at(max(opening)).bar_beats)
    return max(ends) if ends and max(ends) > 0 else None


def _keys(markers: Sequence[tuple[float, str]]) -> tuple[list[KeyAt], list[tuple[float, str]]]:
    """Keys from markers like `key=Am`, and the other markers."""
    keys: dict[float, KeyAt] = {}
    rest: list[tuple[float, str]] = []
    for beat, text in markers:
        match = _KEY.match(text)
        tonic = match[1][0].upper() + match[1][1:] if match else ""
        word = (match[2] or "major") if match else ""
        mode = {"m": "minor", "min": "minor", "maj": "major"}.get(word if word == "m" else word.lower(), word.lower())
        mode = "major" if word == "M" else mode
        if tonic in TONICS and mode in MODES:
            keys[beat] = KeyAt(beat, tonic, mode)
        else:
            rest.append((beat, text))
    return [keys[beat] for beat in sorted(keys)], rest
