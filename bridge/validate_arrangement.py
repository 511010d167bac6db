"""What a request says of the song: its time, sections and keys, and the tracks and clips that it points at.

Raises `RequestError` with the field's path; nothing is changed on disk.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bridge.arrangement import LABELS, MODES, ROLES, TONICS, Arrangement, ContextTrack, Reference, Section
from bridge.errors import RequestError
from bridge.paths import AUDIO_ENDINGS, MIDI_ENDINGS, resolve_file
from bridge.timeline import Clock

MAX_SECTIONS, MAX_TRACKS, MAX_REFERENCES = 500, 128, 16
MAX_SAMPLES = 60_000_000
"""From the first section to the last: 20 minutes at 48 kHz."""
RATES = (8_000, 384_000)


def arrangement2clock(arrangement: Arrangement) -> Clock:
    """Its timeline, after everything that is said in beats was checked against it. Raises `RequestError`."""
    low, high = RATES
    if not low <= arrangement.sample_rate <= high:
        raise RequestError(
            "sample_rate",
            f"{arrangement.sample_rate} Hz is not a project's sample rate ({low} to {high}).",
            field="arrangement.sample_rate",
        )
    clock = arrangement.timeline()
    _check_sections(arrangement.sections, clock)
    _check_length(arrangement, clock)
    _check_keys(arrangement)
    return clock


def check_material(
    arrangement: Arrangement, clock: Clock, stems: Sequence[str], root: Path | None, roots: Sequence[Path]
) -> Arrangement:
    """The same with absolute paths, after its tracks and references were looked at. Raises `RequestError`.

    `stems`: titles of the wanted stems. `root`: the project's folder; `roots`: where files may lie.
    """
    tracks = tuple(_check_track(t, i, clock, root, roots) for i, t in enumerate(arrangement.tracks))
    check_count(arrangement.tracks, MAX_TRACKS, "arrangement.tracks")
    check_count(arrangement.references, MAX_REFERENCES, "arrangement.references")
    references = tuple(_check_reference(r, i, stems, root, roots) for i, r in enumerate(arrangement.references))
    return msgspec.structs.replace(arrangement, tracks=tracks, references=references)


def _check_sections(sections: Sequence[Section], clock: Clock) -> None:
    field = "arrangement.sections"
    if not sections:
        raise RequestError(
            "section.none",
            "nothing is marked to be written.",
            field=field,
            hint="Mark at least one section (a region or a time selection).",
        )
    check_count(sections, MAX_SECTIONS, field)
    for i, section in enumerate(sections):
        where = f"{field}[{i}]"
        if not section.name.strip() or len(section.name) > 200:
            raise RequestError("section.name", "a section needs a name of 1-200 letters.", field=f"{where}.name")
        if section.label not in LABELS:
            raise RequestError(
                "section.label",
                f"{section.label!r} is no label of a section.",
                field=f"{where}.label",
                hint=f"Use one of: {', '.join(LABELS)}.",
            )
        if not (math.isfinite(section.start) and math.isfinite(section.end)) or section.end <= section.start:
            raise RequestError("section.order", f"{section.name!r} does not end after it starts.", field=f"{where}.end")
        if section.start < clock.start - 1e-6 or section.end > clock.end + 1e-6:
            raise RequestError(
                "section.outside",
                f"{section.name!r} (beats {section.start:g} to {section.end:g}) lies outside the timeline "
                f"({clock.start:g} to {clock.end:g}).",
                field=where,
                hint="Send a clock that covers every section.",
            )
        if clock.beat2second(section.start) < -1e-9:
            raise RequestError(
                "section.before_zero",
                f"{section.name!r} begins before the project does (second {clock.beat2second(section.start):.3f}).",
                field=f"{where}.start",
                hint="Start the section at or after the project's start.",
            )
        if clock.span2samples(section.start, section.end, 8000) < 80:
            raise RequestError("section.short", f"{section.name!r} is shorter than 10 ms.", field=where)
        if section.energy is not None and not 0.0 <= section.energy <= 1.0:
            raise RequestError("section.energy", "energy is a number from 0 to 1.", field=f"{where}.energy")
        if len(section.words) > 2000 or len(section.lyrics) > 20_000:
            raise RequestError("section.text", "the words or lyrics are too long.", field=where)
    ordered = sorted(enumerate(sections), key=lambda pair: pair[1].start)
    for (_, before), (i, after) in itertools.pairwise(ordered):
        if after.start < before.end - 1e-6:
            raise RequestError(
                "section.overlap",
                f"{after.name!r} starts at beat {after.start:g}, before {before.name!r} ends ({before.end:g}).",
                field=f"{field}[{i}].start",
            )


def _check_length(arrangement: Arrangement, clock: Clock) -> None:
    """Stems are held in memory while they are made: about 80 bytes a sample."""
    samples = clock.span2samples(arrangement.start, arrangement.end, arrangement.sample_rate)
    if samples > MAX_SAMPLES:
        minutes = samples / arrangement.sample_rate / 60
        most = MAX_SAMPLES / arrangement.sample_rate / 60
        raise RequestError(
            "section.too_long",
            f"the sections span {minutes:.0f} minutes; at this sample rate at most {most:.0f} are rendered at once.",
            field="arrangement.sections",
            hint="Ask for the song in parts.",
        )


def _check_keys(arrangement: Arrangement) -> None:
    for i, key in enumerate(arrangement.keys):
        field = f"arrangement.keys[{i}]"
        if key.tonic not in TONICS:
            raise RequestError(
                "key.tonic", f"{key.tonic!r} is no note name.", field=f"{field}.tonic", hint="C, F#, Bb."
            )
        if key.mode not in MODES:
            raise RequestError(
                "key.mode", f"{key.mode!r} is no mode.", field=f"{field}.mode", hint=f"Use one of: {', '.join(MODES)}."
            )
        if not math.isfinite(key.beat) or (i and key.beat <= arrangement.keys[i - 1].beat):
            raise RequestError("key.order", "keys must follow each other in time.", field=f"{field}.beat")


def _check_track(track: ContextTrack, i: int, clock: Clock, root: Path | None, roots: Sequence[Path]) -> ContextTrack:
    field = f"arrangement.tracks[{i}]"
    if (track.midi is None) == (track.audio is None):
        raise RequestError("track.content", "a track has either midi or audio.", field=field)
    if track.role is not None and track.role not in ROLES:
        raise RequestError(
            "track.role", f"{track.role!r} is no role.", field=f"{field}.role", hint=f"One of: {', '.join(ROLES)}."
        )
    if not math.isfinite(track.start) or not clock.start - 1e5 <= track.start <= clock.end:
        raise RequestError("track.start", f"beat {track.start:g} is outside the timeline.", field=f"{field}.start")
    if track.midi is not None:
        path = resolve_file(track.midi, root, roots, MIDI_ENDINGS, "MIDI", f"{field}.midi")
        check_midi(path, f"{field}.midi")
        return msgspec.structs.replace(track, midi=str(path))
    path = resolve_file(track.audio or "", root, roots, AUDIO_ENDINGS, "audio", f"{field}.audio")
    check_audio(path, f"{field}.audio")
    return msgspec.structs.replace(track, audio=str(path))


def _check_reference(
    reference: Reference, i: int, stems: Sequence[str], root: Path | None, roots: Sequence[Path]
) -> Reference:
    field = f"arrangement.references[{i}]"
    path = resolve_file(reference.audio, root, roots, AUDIO_ENDINGS, "audio", f"{field}.audio")
    length = check_audio(path, f"{field}.audio")
    if not 0.0 <= reference.from_second < length:
        raise RequestError("reference.start", f"{path.name} is {length:.2f} s long.", field=f"{field}.from_second")
    if reference.seconds is not None and not 0.0 < reference.seconds <= 36_000.0:
        raise RequestError("reference.length", "the length must be above 0 seconds.", field=f"{field}.seconds")
    if not 0.0 < reference.weight <= 100.0:
        raise RequestError("reference.weight", "the weight must be above 0 (1 is usual).", field=f"{field}.weight")
    for name in reference.stems:
        if name not in stems:
            raise RequestError("reference.stem", f"no stem {name!r} is wanted.", field=f"{field}.stems")
    return msgspec.structs.replace(reference, audio=str(path))


def check_midi(path: Path, field: str) -> None:
    """Reads the whole file. Raises `RequestError` on `field` when it is damaged or holds no music."""
    from bridge.midifile import read_smf

    try:
        read_smf(path)
    except RequestError as problem:
        raise RequestError(problem.code, problem.message, field=field, hint=problem.hint) from None


def check_audio(path: Path, field: str) -> float:
    """Length in seconds. Raises `RequestError` on `field` when the header is none or the file holds no sound."""
    import soundfile

    try:
        info = soundfile.info(str(path))
    except (soundfile.LibsndfileError, RuntimeError, OSError) as problem:
        raise RequestError(
            "audio.damaged",
            f"{path.name} cannot be read as audio ({problem}).",
            field=field,
            hint="Export the clip again as WAV, AIFF, FLAC, OGG or MP3.",
        ) from None
    if info.frames <= 0 or not 1 <= info.channels <= 64 or not 1000 <= info.samplerate <= 768_000:
        raise RequestError("audio.empty", f"{path.name} holds no sound.", field=field, hint="Choose another clip.")
    return float(info.frames) / float(info.samplerate)


def check_count(items: Sequence[object], most: int, field: str) -> None:
    """Raises `RequestError` on `field` where there are more than `most`."""
    if len(items) > most:
        raise RequestError("too_many", f"{len(items)} of them; at most {most}.", field=field)
