"""Requests of the protocol, as JSON files beside the set: each take can be asked for again, edited and gone on with.

Files lie in `<set's folder>/stembridge/`, or in the temporary folder while the set is unsaved, and appear by renaming.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import tempfile
import uuid
from typing import Any, Sequence

from . import PROTOCOL
from .engine import Engine
from .memory import Stem
from .reading import Described
from .smf import notes2smf
from .trouble import Trouble

MAX_BYTES = 8 << 20
INLINE = 8 << 10
"""A request of more bytes is sent as the path of its file."""
BIGGEST_SEED = (1 << 63) - 1


def new_job() -> str:
    """A fresh id for a job."""
    return "live-" + uuid.uuid4().hex


def folder(root: str) -> str:
    """Where the script's files go."""
    return os.path.join(root or tempfile.gettempdir(), "stembridge")


def build(job: str, song: Described, stems: Sequence[Stem], settings: dict[str, Any], seed: int) -> dict[str, Any]:
    """A render request for what was described; the user's notes are written to files that it names."""
    return {
        "type": "render",
        "version": PROTOCOL,
        "job": job,
        "project": {"name": song.name, "root": song.root, "daw": "live"},
        "arrangement": {
            "sample_rate": song.rate,
            "clock": [list(pair) for pair in song.pairs],
            "metres": [metre._asdict() for metre in song.metres],
            "keys": song.keys,
            "sections": song.sections,
            "tracks": write_context(job, song),
        },
        "stems": [{"role": stem.role, "name": stem.name} for stem in stems],
        "style": settings["style"],
        "seed": seed,
        "takes": settings["takes"],
    }


def write_context(job: str, song: Described) -> list[dict[str, Any]]:
    """Writes the user's notes as MIDI files; gives the tracks that name them, relative to the set's folder so that it
    may move. Raises `Trouble`."""
    tracks: list[dict[str, Any]] = []
    metre = song.metres[0]
    (b0, s0), (b1, s1) = song.pairs[0], song.pairs[1]
    for number, track in enumerate(song.tracks, 1):
        plain = re.sub(r"[^\w \-]", "_", track.name).strip()[:40] or "track"
        path = os.path.join(folder(song.root), "context", job, f"{number:02d} {plain}.mid")
        write(path, notes2smf(track.notes, track.name, 60.0 * (b1 - b0) / (s1 - s0), (metre.beats, metre.unit)))
        named = os.path.relpath(path, song.root) if song.root else path
        tracks.append({"name": track.name, "midi": named, "start": 0.0, "use": "follow"})
    return tracks


def roles2stems(roles: Sequence[str], taken: Sequence[str] = ()) -> list[Stem]:
    """Stems for the roles; a role that is there already gets a number: "guitar 2"."""
    names = [name.lower() for name in taken]
    stems = []
    for role in roles:
        name, number = role, 1
        while name in names:
            number += 1
            name = f"{role} {number}"
        names.append(name)
        stems.append(Stem(name, role))
    return stems


def request2stems(request: dict[str, Any]) -> list[Stem]:
    """The stems that a request asks for."""
    return [Stem(stem.get("name") or stem["role"], stem["role"]) for stem in request["stems"]]


def control(request: dict[str, Any], controls: Sequence[tuple[str, Any]], stems: Sequence[str] = ()) -> None:
    """Writes what is asked of the stems called `stems` (none: of all) into a request."""
    for stem in request["stems"]:
        if not stems or (stem.get("name") or stem["role"]) in stems:
            stem.update(controls)


def request2end(request: dict[str, Any]) -> float:
    """Beat at which the last section ends."""
    return max(float(section["end"]) for section in request["arrangement"]["sections"])


def edit(request: dict[str, Any], job: str) -> dict[str, Any]:
    """The request behind a take as the beginning of another job on the same arrangement."""
    base = {name: value for name, value in request.items() if name not in ("scope", "continues")}
    return dict(base, job=job, takes=1, stems=[dict(stem) for stem in base["stems"]])


def next_seed(seed: int, takes: int) -> int:
    """The seed after those that a job of so many takes has used."""
    return (seed + max(takes, 1)) % BIGGEST_SEED


def save(request: dict[str, Any]) -> str:
    """Writes a request to its file; gives the path. Raises `Trouble`."""
    path = os.path.join(folder(request["project"]["root"]), "requests", request["job"] + ".json")
    raw = json.dumps(request, ensure_ascii=False).encode("utf-8", "replace")
    if len(raw) > MAX_BYTES:
        raise Trouble(f"The request has {len(raw) >> 20} MB; the engine takes {MAX_BYTES >> 20}.")
    write(path, raw)
    return path


def load(path: str, root: str) -> dict[str, Any]:
    """A request from its file, which has moved along when the set's folder has. Raises `Trouble`."""
    for at in (path, os.path.join(folder(root), "requests", os.path.basename(path))):
        try:
            with open(at, "rb") as file:
                found = json.loads(file.read(MAX_BYTES).decode("utf-8"))
        except OSError:
            continue
        except (ValueError, RecursionError):
            break
        if isinstance(found, dict) and isinstance(found.get("arrangement"), dict) and at != path:
            found["project"] = dict(found["project"], root=root)
        return dict(found)
    raise Trouble(f"What the last take was asked with is missing ({path}). Generate a new one.")


def send(engine: Engine, built: dict[str, Any], path: str) -> None:
    """Sends a request, or the path of its file when it is long. Raises `OscError` where the engine is not there."""
    text = json.dumps(built, ensure_ascii=True)
    if len(text) <= INLINE:
        engine.send("/request", "s", [text])
    else:
        engine.send("/request_file", "s", [path])


def write(path: str, data: bytes) -> None:
    """Writes a file that appears whole or not at all. Raises `Trouble` in the musician's words."""
    part = path + ".part"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(part)
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise Trouble(f"The disk is full: {path} cannot be written. Make room, then ask again.") from None
        raise Trouble(
            f"{path} cannot be written ({error.strerror or error}). Save the set in a folder of yours."
        ) from None
