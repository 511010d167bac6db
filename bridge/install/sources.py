"""What belongs to the script of each DAW: its files, its actions, its version.

The scripts lie in `daw_scripts` beside this package, in a checkout as in an installed wheel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import bridge
from bridge.errors import StembridgeError

OUR_FOLDER = "stembridge"
VERSION_FILES = ("version.lua", "version.py", "__init__.py")
STARTUP = "stembridge_startup.lua"

_SKIPPED_ENDINGS = (".md", ".xml", ".toml", ".pyc", ".pyo", ".conf")
_VERSION = re.compile(r"""\bversion\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
_PROTOCOL = re.compile(r"\bprotocol\s*=\s*(\d+)", re.IGNORECASE)
_DESCRIPTION = re.compile(r"^--\s*@description\s+(.+?)\s*$", re.MULTILINE)
_NO_INDEX = re.compile(r"^--\s*@noindex\b", re.MULTILINE)


@dataclass(frozen=True)
class Stamp:
    """The version of a script, and the protocol that it speaks (None: the file does not say)."""

    version: str
    protocol: int | None


@dataclass(frozen=True)
class Action:
    """A REAPER action: what the action list shows, and its file relative to REAPER's folder of scripts."""

    title: str
    script: PurePosixPath


@dataclass(frozen=True)
class Source:
    """`files`: where each goes, relative to the place's base, and its bytes."""

    daw: str
    stamp: Stamp
    files: dict[PurePosixPath, bytes]
    actions: tuple[Action, ...] = ()
    startup: PurePosixPath | None = None


def scripts_folder() -> Path:
    """`daw_scripts` beside the package `bridge`. Raises `StembridgeError` `install.scripts` where it is missing."""
    folder = Path(bridge.__file__).resolve().parents[1] / "daw_scripts"
    if not folder.is_dir():
        raise StembridgeError(
            "install.scripts",
            "the DAW scripts are not part of this installation.",
            field=str(folder),
            hint="Install stembridge again with pip, or work in a checkout of it.",
        )
    return folder


def load_source(daw: str, folder: Path | None = None) -> Source:
    """All files of a DAW's script. Raises `StembridgeError` `install.scripts`."""
    home = (folder or scripts_folder()) / {"reaper": "reaper", "ableton": "ableton", "ardour": "ardour"}[daw]
    shared = (folder or scripts_folder()) / "lua"
    target = {
        "reaper": PurePosixPath("Scripts", OUR_FOLDER),
        "ableton": PurePosixPath("Remote Scripts"),
        "ardour": PurePosixPath("scripts"),
    }[daw]
    files = {target / name: path.read_bytes() for name, path in _script_files(home)}
    if daw != "ableton" and shared.is_dir():
        lua = target / "lua" if daw == "reaper" else target / OUR_FOLDER / "lua"
        files.update({lua / name: path.read_bytes() for name, path in _script_files(shared)})
    stamp = read_stamp(home / OUR_FOLDER)
    if not files or stamp is None:
        raise StembridgeError(
            "install.scripts",
            f"the script for {daw} is not part of this installation.",
            field=str(home),
            hint="Install stembridge again with pip, or work in a checkout of it.",
        )
    startup = target / STARTUP
    return Source(
        daw=daw,
        stamp=stamp,
        files=files,
        actions=tuple(_actions(home)) if daw == "reaper" else (),
        startup=startup if daw == "reaper" and startup in files else None,
    )


def read_stamp(folder: Path) -> Stamp | None:
    """Version and protocol that the script in `folder` says of itself; None where it says none."""
    for name in VERSION_FILES:
        try:
            text = (folder / name).read_text("utf-8", "replace")
        except OSError:
            continue
        version, protocol = _VERSION.search(text), _PROTOCOL.search(text)
        if version:
            return Stamp(version[1], int(protocol[1]) if protocol else None)
    return None


def _script_files(home: Path) -> list[tuple[PurePosixPath, Path]]:
    """Files that a DAW runs: nothing hidden, no papers, no caches, no tests."""
    found = []
    for path in sorted(home.rglob("*")) if home.is_dir() else []:
        name = path.relative_to(home)
        hidden = any(part.startswith(".") or part in ("__pycache__", "tests") for part in name.parts)
        if path.is_file() and not hidden and path.suffix.lower() not in _SKIPPED_ENDINGS:
            found.append((PurePosixPath(*name.parts), path))
    return found


def _actions(home: Path) -> list[Action]:
    """The scripts at the top that a user starts: those without `@noindex`, called as their header says."""
    actions = []
    for path in sorted(home.glob("stembridge_*.lua")):
        text = path.read_text("utf-8", "replace")
        if not _NO_INDEX.search(text):
            named = _DESCRIPTION.search(text)
            title = named[1] if named else path.stem.replace("_", " ")
            actions.append(Action(title.replace('"', "'"), PurePosixPath(OUR_FOLDER, path.name)))
    return actions
