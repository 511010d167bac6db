"""The groove book: every `book/*.groove` file, read once; and the user's own grooves beside it.

The user's are `grooves/*.groove` in the data folder. They are read again when a file of theirs changes, so that a
groove added while the engine runs is there for the next song.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bridge.errors import RequestError
from bridge.paths import data_folder
from engine.grooves.groove import Groove
from engine.grooves.notation import read_groove
from engine.grooves.pace import EVEN, PACES, can_pace, paced

FOLDER = Path(__file__).parent / "book"


@dataclass(frozen=True, slots=True)
class Library:
    """The book and the user's grooves, by name. `own`: names of the user's; `damaged`: what is wrong with those of
    their files that cannot be used."""

    grooves: tuple[Groove, ...]
    own: frozenset[str]
    damaged: tuple[RequestError, ...]


@cache
def book() -> tuple[Groove, ...]:
    """All grooves that are shipped, by name. Raises `RequestError` naming file and line where one cannot be read."""
    grooves = [read_groove(path) for path in sorted(FOLDER.glob("*.groove"))]
    names = [g.name for g in grooves]
    for name in names:
        if names.count(name) > 1:
            raise RequestError("groove.twice", f"the groove '{name}' is written in two files.")
    return tuple(sorted(grooves, key=lambda g: g.name))


def user_folder() -> Path:
    """Where the user's own grooves lie; it need not exist."""
    return data_folder() / "grooves"


def library() -> Library:
    """The book with the user's grooves. A file of theirs that cannot be read, or whose name is taken, is left out and
    named in `damaged`."""
    paths = sorted(user_folder().glob("*.groove"))
    return _library(tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in paths))


def groove(name: str) -> Groove:
    """The groove called `name`, or for "NAME/2" its first alternative, for "NAME:half" it in half time. Raises
    `RequestError` naming all."""
    written, _, pace = name.partition(":")
    base, _, number = written.partition("/")
    known = library()
    for found in known.grooves:
        if found.name == base and (
            not number or (number.isdecimal() and 1 < int(number) <= 1 + len(found.alternatives))
        ):
            version = found.version(int(number or 1) - 1)
            if not pace or (pace in (*PACES, EVEN) and can_pace(version, pace)):
                return paced(version, pace)
    raise RequestError(
        "groove.unknown", f"there is no groove '{name}'.", hint=f"One of {', '.join(g.name for g in known.grooves)}."
    )


@cache
def _library(stamps: tuple[tuple[Path, int, int], ...]) -> Library:
    """`stamps`: path, time of change and size of every file of the user's."""
    grooves = list(book())
    own: set[str] = set()
    damaged: list[RequestError] = []
    for path, _, _ in stamps:
        try:
            read = read_groove(path)
        except RequestError as problem:
            damaged.append(problem)
            continue
        except (OSError, UnicodeDecodeError) as problem:
            damaged.append(RequestError("groove.unreadable", f"it cannot be read ({problem}).", field=path.name))
            continue
        if any(g.name == read.name for g in grooves):
            hint = "Give it another name in its first line."
            damaged.append(
                RequestError("groove.twice", f"there is a groove '{read.name}' already.", field=path.name, hint=hint)
            )
            continue
        grooves.append(read)
        own.add(read.name)
    return Library(tuple(sorted(grooves, key=lambda g: g.name)), frozenset(own), tuple(damaged))
