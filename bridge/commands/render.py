"""`stembridge render`: a request, or a song of another program, becomes a job; its events are shown until it ends."""

from __future__ import annotations

import argparse
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec

from bridge.arrangement import ACCOMPANIMENT
from bridge.checkpoints import read_register
from bridge.client import Client
from bridge.commands.controls import with_controls
from bridge.errors import RequestError
from bridge.messages import Cancel, Done, Project, Render, Scope, StemWanted
from bridge.paths import TRACES, data_folder
from bridge.terminal import exit_code, follow, print_failure, print_stems
from bridge.validate import raw2request


def run(arguments: argparse.Namespace) -> int:
    """Builds the request, sends it, follows it."""
    request = file2request(arguments.file, lambda text: print(f"note: {text}", file=sys.stderr))
    request = with_options(request, arguments)
    folders = [arguments.file.resolve().parent]
    if arguments.file.suffix.lower() != ".json":
        folders += [Path(track.audio or track.midi or "").parent for track in request.arrangement.tracks]
    if request.project.out:
        folders.append(Path(request.project.out))
    return send(request, list(dict.fromkeys(folders)), as_json=arguments.json)


def send(request: Render, roots: list[Path], *, as_json: bool) -> int:
    """Renders on the engine (started if none runs) and shows what comes. Gives the exit code."""
    with Client.connect(start=True, roots=roots) as client:
        try:
            last, stems = follow(client.request(request), as_json=as_json)
        except KeyboardInterrupt:
            client.send(Cancel(request.job))
            raise
    if last is None:
        print_failure(None)
        return 1
    if not as_json:
        if isinstance(last, Done):
            print_stems(stems)
            for warning in last.warnings:
                print(f"note: {warning}")
            for manifest in last.manifests:
                print(f"take: {Path(manifest).parent}")
            print(f"{last.seconds:.1f} s")
            if request.trace:
                print(f"timeline: {data_folder() / TRACES / request.job}.json (open it at ui.perfetto.dev)")
        else:
            print_failure(last)
    return exit_code(last)


def file2request(path: Path, remark: Callable[[str], object] = lambda _: None) -> Render:
    """A request: from JSON as it stands; from a MIDI file, a DAWproject or a REAPER project by its tempo map, markers
    and tracks. `remark` is told what of the file is left out. Raises `RequestError`.
    """
    from bridge.dawfiles.read import SONG_ENDINGS, song_file2arrangement

    if path.suffix.lower() in SONG_ENDINGS:
        if not path.is_file():
            raise RequestError("path.missing", f"there is no file {path}.")
        arrangement, left_out = song_file2arrangement(path.resolve())
        for text in left_out:
            remark(text)
        project = Project(name=path.stem, root=str(path.resolve().parent))
        return Render(job=new_job(path.stem), arrangement=arrangement, project=project)
    try:
        raw = path.read_bytes()
    except OSError as problem:
        raise RequestError("path.unreadable", f"{path} cannot be read ({problem.strerror}).") from None
    request = raw2request(raw)
    if not isinstance(request, Render):
        raise RequestError("message.type", f"{path.name} is not a render request.", field="type")
    project = request.project
    if not project.root:
        project = msgspec.structs.replace(project, root=str(path.resolve().parent))
    return msgspec.structs.replace(request, project=project)


def with_options(request: Render, arguments: argparse.Namespace) -> Render:
    """The request with what the command line says instead. A job id of its own, so that a file can be sent again."""
    changes: dict[str, object] = {"job": new_job(request.job)}
    if arguments.out:
        changes["project"] = msgspec.structs.replace(request.project, out=str(arguments.out.resolve()))
    if arguments.stems:
        changes["stems"] = tuple(StemWanted(role=role.strip()) for role in arguments.stems.split(","))
    for name in ("style", "seed", "takes", "composer", "renderer", "time_limit"):
        if getattr(arguments, name) is not None:
            changes[name] = getattr(arguments, name)
    if not arguments.stems and _is_song({changes.get("composer"), changes.get("renderer")}):
        changes["stems"] = (StemWanted("vocals"), StemWanted(ACCOMPANIMENT))
    if arguments.soundfont:
        changes["soundfont"] = str(arguments.soundfont.resolve())
    if arguments.batch:
        changes["priority"] = "batch"
    if arguments.trace:
        changes["trace"] = True
    if arguments.edit:
        changes["scope"] = Scope(arguments.edit, names(arguments.sections), names(arguments.only))
    return with_controls(msgspec.structs.replace(request, **changes), arguments)


def _is_song(named: set[object]) -> bool:
    """Whether a machine that the command line names makes whole songs: then its stems are the usual ones."""
    family = "songgeneration"
    return family in named or any(c.name in named and c.family == family for c in read_register())


def names(text: str | None) -> tuple[str, ...]:
    """A comma-separated list from the command line."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def new_job(base: str) -> str:
    """A fresh id that still tells where it came from."""
    kept = "".join(c for c in base if c.isascii() and (c.isalnum() or c in "._-")).strip("._-")[:40]
    return f"{kept or 'job'}-{uuid.uuid4().hex[:8]}"
