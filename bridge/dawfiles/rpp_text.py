"""The text of a REAPER project as a tree: `<NAME fields` opens a block, `>` closes it, one setting a line.

Only blocks that say something about the music are kept; what plug-ins and windows store is skipped. CRLF or LF,
UTF-8 or an older Windows encoding. Three kinds of quotes, without an escape.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bridge.errors import RequestError

MAX_BYTES = 256 << 20
MAX_DEPTH = 64
KEPT = {"REAPER_PROJECT", "TEMPOENVEX", "TRACK", "ITEM", "SOURCE"}
"""Blocks whose lines are read. X and x, MIDI events in base64, count as a line: their first fields hold their time."""


@dataclass
class Block:
    """`fields`: what stands behind the name. `lines`: settings and blocks, in order."""

    name: str
    fields: list[str]
    lines: list[list[str] | Block] = field(default_factory=list)

    def blocks(self, name: str) -> list[Block]:
        """Blocks of that name directly inside."""
        return [line for line in self.lines if isinstance(line, Block) and line.name == name]

    def first(self, name: str) -> list[str] | None:
        """The fields of the first setting of that name, or None."""
        return next((line[1:] for line in self.lines if isinstance(line, list) and line and line[0] == name), None)

    def value(self, name: str, index: int = 0, default: float = 0.0) -> float:
        """A number of a setting; `default` where there is none."""
        return to_number(self.first(name) or [], index, default)


def to_number(fields: list[str], index: int, default: float = 0.0) -> float:
    """A finite number of reasonable size at `index`, else `default`."""
    try:
        value = float(fields[index])
    except (IndexError, ValueError):
        return default
    return value if abs(value) < 1e12 else default


def read_rpp_text(path: Path) -> Block:
    """The project's tree. Raises `RequestError` `file.missing`, `file.too_large`, `file.damaged`."""
    if not path.is_file():
        raise RequestError("file.missing", "there is no such file.", field=str(path))
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise RequestError(
            "file.too_large", f"{size >> 20} MB; at most {MAX_BYTES >> 20} MB are read.", field=str(path)
        )
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    return text2block(text, path)


def text2block(text: str, path: Path) -> Block:
    """The tree of a project's text; a project cut off at its end is read as far as it goes."""
    root: Block | None = None
    open_blocks: list[Block | None] = []
    for raw in text.split("\n"):
        line = raw.strip()
        if line.startswith("<"):
            fields = split_fields(line[1:])
            name = fields[0] if fields else ""
            if root is None:
                if name != "REAPER_PROJECT":
                    break
                root = Block(name, fields[1:])
                open_blocks.append(root)
                continue
            if len(open_blocks) >= MAX_DEPTH:
                raise _damaged(path, "it has too many blocks inside each other")
            parent = open_blocks[-1] if open_blocks else None
            if parent is not None and name in ("X", "x"):
                parent.lines.append(fields)
            block = Block(name, fields[1:]) if parent is not None and name in KEPT else None
            if parent is not None and block is not None:
                parent.lines.append(block)
            open_blocks.append(block)
        elif line == ">":
            if open_blocks:
                open_blocks.pop()
            if root is not None and not open_blocks:
                break
        elif line and open_blocks and open_blocks[-1] is not None:
            open_blocks[-1].lines.append(split_fields(line))
    if root is None:
        raise _damaged(path, "it does not begin as a REAPER project does")
    return root


def split_fields(line: str) -> list[str]:
    """Words between spaces; what begins with a quote goes on to the next one of its kind."""
    if not any(mark in line for mark in "\"'`"):
        return line.split()
    fields: list[str] = []
    at = 0
    while at < len(line):
        letter = line[at]
        if letter in " \t":
            at += 1
        elif letter in "\"'`":
            end = line.find(letter, at + 1)
            end = len(line) if end < 0 else end
            fields.append(line[at + 1 : end])
            at = end + 1
        else:
            end = at
            while end < len(line) and line[end] not in " \t":
                end += 1
            fields.append(line[at:end])
            at = end
    return fields


def _damaged(path: Path, reason: str) -> RequestError:
    return RequestError(
        "file.damaged",
        f"this REAPER project cannot be read: {reason}.",
        field=str(path),
        hint="Save it again in REAPER.",
    )
