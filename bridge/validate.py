"""A raw message becomes a request that can be worked on, or one clear error that names the field.

Shape (types, required and unknown fields) is msgspec's business; here its complaints get a field path, and the
meaning is checked: names, ranges, files; what the arrangement says in `bridge.validate_arrangement`. Nothing is changed
on disk.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bridge.arrangement import STEM_ROLES
from bridge.errors import RequestError
from bridge.messages import PROTOCOL, Listen, Project, Render, Request, StemWanted, decode_shape
from bridge.paths import AUDIO_ENDINGS, MIDI_ENDINGS, SOUNDFONT_ENDINGS, resolve_file, resolve_folder
from bridge.validate_arrangement import arrangement2clock, check_count, check_material
from bridge.wishes import check_wishes

MAX_MESSAGE = 8 << 20
MAX_STEMS, MAX_TAKES = 24, 8
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
    clock = arrangement2clock(request.arrangement)
    stems = _check_stems(request.stems)
    arrangement = check_material(request.arrangement, clock, stems, root, roots)
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
        arrangement=arrangement,
    )


def _check_job(job: str) -> None:
    if not JOB_ID.match(job):
        raise RequestError(
            "job", f"{job[:80]!r} is not a job id.", field="job", hint="1-64 letters, digits, '.', '_' or '-'."
        )


def _check_root(project: Project, roots: Sequence[Path]) -> Path | None:
    if not project.root:
        return None
    root = resolve_folder(project.root, roots, "project.root")
    if not root.is_dir():
        raise RequestError(
            "path.missing", f"there is no folder {root}.", field="project.root", hint="Save the project first."
        )
    return root


def _check_stems(stems: Sequence[StemWanted]) -> tuple[str, ...]:
    if not stems:
        raise RequestError("stem.none", "no stem is wanted.", field="stems", hint="Ask for drums, bass, keys ...")
    check_count(stems, MAX_STEMS, "stems")
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
