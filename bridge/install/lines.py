"""Lines of ours in files of the user: put in and taken out again, with every other byte left as it is."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bridge.install.sources import OUR_FOLDER, Action

MAX_BYTES = 64 << 20

BEGIN = b"-- stembridge: begin (put here by `stembridge install reaper`)"
END = b"-- stembridge: end"

_ACTION_LINE = re.compile(
    rb'SCR\s+\d+\s+\d+\s+\S+\s+".*"\s+"?' + OUR_FOLDER.encode() + rb'[/\\]stembridge_\w+\.lua"?\s*\Z'
)


class Edit(msgspec.Struct, frozen=True):
    """What was done to a file: `created` it; `glued` this line end to its last line, which had none."""

    file: str
    created: bool = False
    glued: str = ""


def put_lines(
    base: Path, file: str, lines: Sequence[bytes], ours: Callable[[bytes], bool], *, after: bytes = b"", line_end: bytes
) -> Edit | None:
    """Puts `lines` into `base/file`: behind the last line that begins with `after`, else at the end. Lines that are
    `ours` already are replaced. None where nothing had to change. `line_end` is for a new file; others keep theirs.

    Raises OSError.
    """
    path = (base / file).resolve()
    before = _read(path)
    if before is not None and [line.strip() for line, mine in _marked(before, ours) if mine] == list(lines):
        return None
    text = take_lines(before or b"", ours)
    end = (b"\r\n" if b"\r\n" in text else b"\n") if text else line_end
    kept = _split(text)
    glued = bool(kept) and not kept[-1].endswith(b"\n")
    at = len(kept)
    if after:
        found = [i for i, line in enumerate(kept) if line.startswith(after)]
        at = found[-1] + 1 if found else len(kept)
    glued = glued and at == len(kept)
    if glued:
        kept[-1] += end
    result = b"".join([*kept[:at], *(line + end for line in lines), *kept[at:]])
    write_through(path, result)
    return Edit(file, created=before is None, glued=end.decode() if glued else "")


def drop_lines(base: Path, edit: Edit, ours: Callable[[bytes], bool]) -> None:
    """Takes out what `put_lines` put in; the file is as it was, but for what the user has changed since.

    Raises OSError.
    """
    path = (base / edit.file).resolve()
    before = _read(path)
    if before is None:
        return
    result = take_lines(before, ours, glued=edit.glued.encode())
    if edit.created and not result:
        path.unlink()
    elif result != before:
        write_through(path, result)


def take_lines(text: bytes, ours: Callable[[bytes], bool], *, glued: bytes = b"") -> bytes:
    """`text` without the lines that are `ours`; the line end `glued` before them goes, too, where they were last."""
    marked = _marked(text, ours)
    kept = [line for line, mine in marked if not mine]
    if glued and kept and marked[-1][1]:
        kept[-1] = kept[-1].removesuffix(glued)
    return b"".join(kept)


def action_lines(actions: Sequence[Action]) -> list[bytes]:
    """Lines of `reaper-kb.ini` that register scripts: SCR, flags, section (0: main), id, title, file."""
    return [f'SCR 4 0 {action_id(a)} "Script: {a.title}" "{a.script.as_posix()}"'.encode() for a in actions]


def action_id(action: Action) -> str:
    """An id of the form that REAPER makes; the same for every version, so that a user's keys stay."""
    return "RS" + hashlib.sha1(f"stembridge {action.script.as_posix()}".encode()).hexdigest()


def is_action_line(line: bytes) -> bool:
    """Whether a line of `reaper-kb.ini` registers a script that we install, whoever wrote it (REAPER adds some itself);
    those that ReaPack put elsewhere are not ours."""
    return _ACTION_LINE.match(line) is not None


def startup_lines(script: str) -> list[bytes]:
    """Lines of `__startup.lua` that run our part of it, if it is there, and never stop the user's own."""
    run = f'pcall(dofile, reaper.GetResourcePath() .. "/{script}")'
    return [BEGIN, run.encode(), END]


def never(_: bytes) -> bool:
    """No line but those between our two marks."""
    return False


def write_through(path: Path, data: bytes) -> None:
    """Replaces a file's content whole or not at all; its permissions stay. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.stembridge-part")
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    try:
        part.write_bytes(data)
        if mode is not None:
            part.chmod(mode)
        os.replace(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()


def _read(path: Path) -> bytes | None:
    if not path.exists():
        return None
    if path.stat().st_size > MAX_BYTES:
        raise OSError(f"{path.name} is larger than {MAX_BYTES >> 20} MB")
    return path.read_bytes()


def _marked(text: bytes, ours: Callable[[bytes], bool]) -> list[tuple[bytes, bool]]:
    """Each line, and whether it is ours: by itself, or between our two marks."""
    lines = _split(text)
    bare = [line.strip() for line in lines]
    last_end = max((i for i, line in enumerate(bare) if line == END), default=-1)
    marked, inside = [], False
    for i, line in enumerate(lines):
        # A first mark whose second is gone opens nothing: what follows is the user's.
        inside = inside or (bare[i] == BEGIN and i < last_end)
        marked.append((line, inside or bare[i] in (BEGIN, END) or ours(bare[i])))
        inside = inside and bare[i] != END
    return marked


def _split(text: bytes) -> list[bytes]:
    """Lines with their ends; a carriage return alone is none."""
    return [line for line in re.split(rb"(?<=\n)", text) if line]
