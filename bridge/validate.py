"""A raw message becomes a request that can be worked on, or one clear error that names the field.

Shape (types, required and unknown fields) is msgspec's business; here its complaints get a field path, and the
meaning is checked: time, names, ranges, files. Nothing is changed on disk.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bridge.arrangement import LABELS, MODES, ROLES, STEM_ROLES, TONICS, Arrangement, ContextTrack, Reference, Section
from bridge.errors import RequestError
from bridge.messages import PROTOCOL, Listen, Project, Render, Request, StemWanted, decode_shape
from bridge.paths import AUDIO_ENDINGS, MIDI_ENDINGS, SOUNDFONT_ENDINGS, resolve_file, resolve_folder
from bridge.timeline import Clock
from bridge.wishes import check_wishes

MAX_MESSAGE = 8 << 20
MAX_SECTIONS, MAX_STEMS, MAX_TRACKS, MAX_REFERENCES, MAX_TAKES = 500, 24, 128, 16, 8
MAX_SAMPLES = 60_000_000
"""From the first section to the last: 20 minutes at 48 kHz."""
RATES = (8_000, 384_000)
JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
STEM_NAME = re.compile(r"[^\x00-\x1f/\\:*?\"<>|.][^\x00-\x1f/\\:*?\"<>|]{0,63}\Z")
LANGUAGE = re.compile(r"[a-z]{2,3}\Z")
TAKE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})/take-([1-9][0-9]{0,5})\Z")


def check_request(raw: bytes, roots: Sequence[Path]) -> Request:
    """Any request from its JSON. Paths in the result are absolute. Raises `RequestError`; nothing else happens."""
    request = raw2request(raw)
    if isinstance(request, Render):
        return check_render(request, roots)
    if isinstance(request, Listen):
        _check_job(request.job)
        root = _check_root(request.project, roots)
        endings = (*MIDI_ENDINGS, *AUDIO_ENDINGS)
        kind = "MIDI" if Path(request.path).suffix.lower() in MIDI_ENDINGS else "audio"
        path = resolve_file(request.path, root, roots, endings, kind, "path")
        return msgspec.structs.replace(request, path=str(path))
    return request


def raw2request(raw: bytes) -> Request:
    """The shape alone: JSON, types, required and unknown fields, protocol version."""
    if len(raw) > MAX_MESSAGE:
        raise RequestError("message.too_large", f"the message has {len(raw) >> 20} MB; at most {MAX_MESSAGE >> 20}.")
    if not raw.strip():
        raise RequestError("message.empty", "the message is empty.", hint="Send a JSON object with a type.")
    try:
        request = decode_shape(raw)
    except msgspec.ValidationError as problem:
        _check_version(raw)
        text, _, at = str(problem).partition(" - at `$")
        field = at.rstrip("`").lstrip(".")
        raise RequestError("message.shape", f"{text[:1].lower()}{text[1:]}.", field=field) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise RequestError("message.json", f"this is not JSON: {problem}.") from None
    if request.version != PROTOCOL:
        _check_version(raw)
    return request


class _Versioned(msgspec.Struct):
    version: int = PROTOCOL


def _check_version(raw: bytes) -> None:
    """Says which side is to be updated where a message is of another protocol, whatever else is strange in it."""
    try:
        version = msgspec.json.decode(raw, type=_Versioned).version
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    if version == PROTOCOL:
        return
    older = (
        "Update the DAW script: stembridge install reaper, ableton or ardour; then restart the DAW."
        if version < PROTOCOL
        else "Update the engine: pip install -U stembridge; then stembridge engine stop."
    )
    raise RequestError(
        "message.version",
        f"protocol {version} is asked for, this engine speaks {PROTOCOL}.",
        field="version",
        hint=older,
    )


def check_render(request: Render, roots: Sequence[Path]) -> Render:
    """The meaning of a render request; paths become absolute. Raises `RequestError`."""
    _check_job(request.job)
    root = _check_root(request.project, roots)
    arrangement = request.arrangement
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
    stems = _check_stems(request.stems)
    tracks = tuple(_check_track(t, i, clock, root, roots) for i, t in enumerate(arrangement.tracks))
    _check_count(arrangement.tracks, MAX_TRACKS, "arrangement.tracks")
    _check_count(arrangement.references, MAX_REFERENCES, "arrangement.references")
    references = tuple(_check_reference(r, i, stems, root, roots) for i, r in enumerate(arrangement.references))
    if not 0 <= request.seed < 1 << 63:
        raise RequestError("seed", "the seed must be a whole number from 0 to 2^63 - 1.", field="seed")
    if not 1 <= request.takes <= MAX_TAKES:
        raise RequestError("takes", f"{request.takes} takes; 1 to {MAX_TAKES} can be asked for.", field="takes")
    if request.time_limit is not None and request.time_limit <= 0:
        raise RequestError("time_limit", "a job needs more than 0 seconds.", field="time_limit")
    for field, text in (("style", request.style), ("avoid", request.avoid)):
        if len(text) > 2000:
            raise RequestError(f"{field}.too_long", "the words are longer than 2000 letters.", field=field)
    if not LANGUAGE.match(request.language):
        raise RequestError(
            "language", f"{request.language[:20]!r} is no language.", field="language", hint="en, de, zh"
        )
    check_wishes(request, clock)
    _check_scope(request, stems)
    _check_continues(request)
    soundfont = request.soundfont
    if soundfont:
        soundfont = str(resolve_file(soundfont, root, roots, SOUNDFONT_ENDINGS, "sound font", "soundfont"))
    out = str(resolve_folder(request.project.out, roots, "project.out")) if request.project.out else ""
    return msgspec.structs.replace(
        request,
        soundfont=soundfont,
        project=msgspec.structs.replace(request.project, root=str(root) if root else "", out=out),
        arrangement=msgspec.structs.replace(arrangement, tracks=tracks, references=references),
    )


def _check_job(job: str) -> None:
    if not JOB_ID.match(job):
        raise RequestError(
            "job", f"{job[:80]!r} is not a job id.", field="job", hint="1-64 letters, digits, '.', '_' or '-'."
        )


def _check_count(items: Sequence[object], most: int, field: str) -> None:
    if len(items) > most:
        raise RequestError("too_many", f"{len(items)} of them; at most {most}.", field=field)


def _check_root(project: Project, roots: Sequence[Path]) -> Path | None:
    if not project.root:
        return None
    root = resolve_folder(project.root, roots, "project.root")
    if not root.is_dir():
        raise RequestError(
            "path.missing", f"there is no folder {root}.", field="project.root", hint="Save the project first."
        )
    return root


def _check_sections(sections: Sequence[Section], clock: Clock) -> None:
    field = "arrangement.sections"
    if not sections:
        raise RequestError(
            "section.none",
            "nothing is marked to be written.",
            field=field,
            hint="Mark at least one section (a region or a time selection).",
        )
    _check_count(sections, MAX_SECTIONS, field)
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


def _check_stems(stems: Sequence[StemWanted]) -> tuple[str, ...]:
    if not stems:
        raise RequestError("stem.none", "no stem is wanted.", field="stems", hint="Ask for drums, bass, keys ...")
    _check_count(stems, MAX_STEMS, "stems")
    seen: dict[str, int] = {}
    for i, stem in enumerate(stems):
        if stem.role not in STEM_ROLES:
            raise RequestError(
                "stem.role",
                f"{stem.role!r} is no role.",
                field=f"stems[{i}].role",
                hint=f"Use one of: {', '.join(STEM_ROLES)}.",
            )
        if not STEM_NAME.match(stem.title) or stem.title.lower() == "mix" or stem.title.endswith((" ", ".")):
            raise RequestError(
                "stem.name",
                f"{stem.title!r} cannot name a file.",
                field=f"stems[{i}].name",
                hint="Letters, digits, spaces and hyphens; not 'mix'.",
            )
        if stem.title.lower() in seen:
            raise RequestError(
                "stem.twice",
                f"two stems are called {stem.title!r}.",
                field=f"stems[{i}].name",
                hint="Give the second one a name of its own.",
            )
        if stem.strength is not None and not 0.0 <= stem.strength <= 1.0:
            raise RequestError(
                "stem.strength", "the strength is a number from 0 to 1.", field=f"stems[{i}].strength",
                hint="0 keeps the guide's sound, 1 only its times.",
            )  # fmt: skip
        if len(stem.words) > 2000:
            raise RequestError("stem.words", "the words are longer than 2000 letters.", field=f"stems[{i}].words")
        seen[stem.title.lower()] = i
    return tuple(stem.title for stem in stems)


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


def _check_scope(request: Render, stems: Sequence[str]) -> None:
    scope = request.scope
    if scope is None:
        return
    _check_take(scope.take, request.job, "scope.take")
    for field, beat in (("start", scope.start), ("end", scope.end)):
        if beat is not None and not math.isfinite(beat):
            raise RequestError(f"scope.{field}", "this is no beat.", field=f"scope.{field}")
    if scope.start is not None and scope.end is not None and scope.start >= scope.end:
        raise RequestError("scope.end", "the selection ends before it starts.", field="scope.end")
    names = {section.name for section in request.arrangement.sections}
    for name in scope.sections:
        if name not in names:
            raise RequestError("scope.section", f"there is no section {name!r}.", field="scope.sections")
    for name in scope.stems:
        if name not in stems:
            raise RequestError("scope.stem", f"no stem {name!r} is wanted.", field="scope.stems")


def _check_take(name: str, job: str, field: str) -> None:
    match = TAKE.match(name)
    if not match:
        raise RequestError(field, f"{name!r} is no take.", field=field, hint="<job>/take-<number>.")
    if match[1] == job:
        raise RequestError(
            "scope.job",
            "this is a job of its own; its id must differ from that of the take it starts from.",
            field="job",
        )


def _check_continues(request: Render) -> None:
    if not request.continues:
        return
    if request.scope is not None:
        raise RequestError(
            "continues.scope",
            "a request edits a take (scope) or goes on after it (continues), not both.",
            field="continues",
        )
    if request.composer == "as-written":
        raise RequestError(
            "continues.composer",
            "the composer 'as-written' writes nothing new, so it cannot go on after a take.",
            field="composer",
            hint="Use 'band'.",
        )
    _check_take(request.continues, request.job, "continues")


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
