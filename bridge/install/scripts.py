"""Installing a script in one place, and taking it away: no trace stays, and nothing of the user's is lost.

What was done is written down in `installed.json` in our folder. Files that were there before, or that the user has
changed, are set aside under another name, and said; what was there before comes back when the script goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import msgspec

from bridge.errors import StembridgeError
from bridge.install.lines import (
    Edit,
    action_lines,
    drop_lines,
    is_action_line,
    never,
    put_lines,
    startup_lines,
    take_lines,
    write_through,
)
from bridge.install.places import Place
from bridge.install.sources import OUR_FOLDER, Source

RECORD_NAME = "installed.json"
KEYS_FILE, STARTUP_FILE = "reaper-kb.ini", "Scripts/__startup.lua"
BEFORE, CHANGED = ".before-stembridge", ".changed-by-you"

_OURS: dict[str, Callable[[bytes], bool]] = {KEYS_FILE: is_action_line, STARTUP_FILE: never}


class Record(msgspec.Struct):
    """What lies in a place because of us. `files`: SHA-256 by path relative to the place; `folders`: those that we
    made; `before`: the user's files that were in the way, and where they are now."""

    daw: str
    version: str
    protocol: int | None
    files: dict[str, str] = {}
    folders: list[str] = []
    before: dict[str, str] = {}
    edits: list[Edit] = []


def record_path(place: Place) -> Path:
    """Where the record of a place lies."""
    home = {"reaper": "Scripts", "ableton": "Remote Scripts", "ardour": "scripts"}[place.daw]
    return place.base / home / OUR_FOLDER / RECORD_NAME


def read_record(place: Place) -> Record | None:
    """What is installed in a place; None where nothing is, or the record is damaged."""
    try:
        return msgspec.json.decode(record_path(place).read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError):
        return None


def install(place: Place, source: Source, *, line_end: bytes = b"\n") -> list[str]:
    """Puts the script into a place, or brings what is there up to date; gives what the user should know.

    Raises `StembridgeError` `install.unwritable`; what was done until then is written down and can be taken away.
    """
    ours = record_path(place).parent
    if ours.is_symlink():
        raise StembridgeError(
            "install.link",
            f"this is a link to {ours.resolve()}; nothing is written through it.",
            field=str(ours),
            hint="Remove the link first, or keep working with what it leads to.",
        )
    old = read_record(place)
    record = Record(place.daw, source.stamp.version, source.stamp.protocol)
    if old is not None:
        record.folders, record.before, record.edits = old.folders, old.before, old.edits
        record.files = dict(old.files)
    said: list[str] = []
    try:
        with _written_down(place, record):
            for name in sorted(set(record.files) - {path.as_posix() for path in source.files}):
                _remove(place.base / name, record.files.pop(name), said)
            for path, data in source.files.items():
                _place_file(place, record, path, data, said)
            if place.daw == "reaper":
                _register(place, record, source, line_end)
    except OSError as error:
        raise _unwritable(place, error) from error
    return said


def uninstall(place: Place) -> list[str] | None:
    """Takes the script away; gives what the user should know, None where none is installed.

    Raises `StembridgeError`: `install.unwritable`, `install.record` for a damaged record.
    """
    record, path = read_record(place), record_path(place)
    if record is None and path.is_file():
        raise StembridgeError(
            "install.record",
            "the list of what was installed here is damaged, so it cannot be taken away.",
            field=str(path),
            hint=f"Write it anew with stembridge install {place.daw}; then --uninstall again.",
        )
    if record is None:
        return None
    said: list[str] = []
    try:
        said += _dead_keys(place)
        for edit in reversed(record.edits):
            drop_lines(place.base, edit, _OURS[edit.file])
        if place.daw == "reaper" and not any(edit.file == KEYS_FILE for edit in record.edits):
            drop_lines(place.base, Edit(KEYS_FILE), is_action_line)
        for name, digest in record.files.items():
            _remove(place.base / name, digest, said)
        for name, aside in record.before.items():
            if (place.base / aside).exists() and not (place.base / name).exists():
                os.replace(place.base / aside, place.base / name)
                said.append(f"{name} is yours again, as it was before.")
        path.unlink(missing_ok=True)
        for folder in sorted(_own_folders(place, record), reverse=True):
            shutil.rmtree(folder / "__pycache__", ignore_errors=True)
            with contextlib.suppress(OSError):
                folder.rmdir()
        for name in reversed(record.folders):
            with contextlib.suppress(OSError):
                (place.base / name).rmdir()
    except OSError as error:
        raise _unwritable(place, error) from error
    return said


def _own_folders(place: Place, record: Record) -> set[Path]:
    """The folder called like us, and those in it that held our files: empty, they are nobody else's."""
    home = record_path(place).parent
    inside = [p for name in record.files for p in (place.base / name).parents]
    return {p for p in inside if p == home or home in p.parents}


def _dead_keys(place: Place) -> list[str]:
    """What to say of keys that the user gave to our actions in REAPER: they are the user's, but start nothing now."""
    path = place.base / KEYS_FILE
    if place.daw != "reaper" or not path.is_file():
        return []
    lines = path.read_bytes().splitlines()
    ours = {b"_" + line.split()[3] for line in lines if is_action_line(line.strip())}
    dead = [line for line in lines if line.startswith(b"KEY ") and set(line.split()[3:4]) & ours]
    if not dead:
        return []
    return [f"keys that you gave to stembridge's actions stay in {KEYS_FILE} ({len(dead)}); they start nothing now."]


def problems(place: Place, record: Record) -> list[str]:
    """Files of the script that are gone or changed."""
    found = []
    for name, digest in record.files.items():
        try:
            data = (place.base / name).read_bytes()
        except OSError:
            found.append(f"{name} is missing")
            continue
        if _hash(data) != digest:
            found.append(f"{name} was changed")
    for edit in record.edits:
        try:
            text = (place.base / edit.file).read_bytes()
        except OSError:
            text = b""
        if OUR_FOLDER.encode() not in text:
            found.append(f"our lines are gone from {edit.file}")
    return found


@contextlib.contextmanager
def _written_down(place: Place, record: Record) -> Iterator[None]:
    """Whatever happens inside, the record tells what is there."""
    try:
        yield
    finally:
        if record.files or record.edits:
            path = record_path(place)
            _make_folder(place, record, path.parent)
            write_through(path, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")


def _place_file(place: Place, record: Record, path: PurePosixPath, data: bytes, said: list[str]) -> None:
    """Writes one file, after setting aside what is there and is not ours."""
    name, target = path.as_posix(), place.base / path
    digest = _hash(data)
    if os.path.lexists(target):
        there = target.read_bytes() if target.is_file() else None
        if there == data:
            record.files[name] = digest
            return
        if there is None or _hash(there) != record.files.get(name, ""):
            ours = name in record.files
            aside = _free_name(target, CHANGED if ours else BEFORE)
            os.replace(target, aside)
            if ours:
                said.append(f"{name} had been changed; your version is now {aside.name}.")
            else:
                record.before[name] = aside.relative_to(place.base).as_posix()
                said.append(f"{name} was there before and is not ours; it is now {aside.name}.")
    _make_folder(place, record, target.parent)
    write_through(target, data)
    record.files[name] = digest


def _register(place: Place, record: Record, source: Source, line_end: bytes) -> None:
    """REAPER's list of actions, and what it runs when it starts."""
    _edit(place, record, KEYS_FILE, action_lines(source.actions), after=b"SCR ", line_end=line_end)
    if source.startup is not None:
        lines = startup_lines(source.startup.as_posix())
        _edit(place, record, STARTUP_FILE, lines, after=b"", line_end=line_end)


def _edit(place: Place, record: Record, file: str, lines: list[bytes], *, after: bytes, line_end: bytes) -> None:
    _make_folder(place, record, (place.base / file).parent)
    edit = put_lines(place.base, file, lines, _OURS[file], after=after, line_end=line_end)
    known = next((e for e in record.edits if e.file == file), None)
    if known is None:
        # Lines of ours that no record knew of, and nothing else: we had made the file.
        alone = edit is None and not take_lines((place.base / file).read_bytes(), _OURS[file])
        record.edits.append(edit or Edit(file, created=alone))
    elif edit is not None:
        # What was true of the file before we first touched it stays true.
        record.edits[record.edits.index(known)] = Edit(file, known.created, known.glued or edit.glued)


def _remove(path: Path, digest: str, said: list[str]) -> None:
    """Deletes a file of ours; one that the user has changed is kept, and said."""
    if not path.is_file():
        return
    if _hash(path.read_bytes()) == digest:
        path.unlink()
    else:
        aside = _free_name(path, CHANGED)
        os.replace(path, aside)
        said.append(f"{path.name} had been changed; your version stays as {aside}.")


def _make_folder(place: Place, record: Record, folder: Path) -> None:
    """Makes a folder and those above it, and remembers which were not there."""
    missing = []
    while folder != place.base and not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir()
        record.folders.append(path.relative_to(place.base).as_posix())


def _free_name(path: Path, ending: str) -> Path:
    name, number = path.with_name(path.name + ending), 2
    while os.path.lexists(name):
        name, number = path.with_name(f"{path.name}{ending}-{number}"), number + 1
    return name


def _unwritable(place: Place, error: OSError) -> StembridgeError:
    where = error.filename or str(place.base)
    return StembridgeError(
        "install.unwritable",
        f"cannot write there: {(error.strerror or str(error)).lower()}.",
        field=os.fsdecode(where),
        hint="Close the DAW, allow writing to this folder, or name another one with --folder.",
    )


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
