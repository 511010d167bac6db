"""The groove book: every `book/*.groove` file, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bridge.errors import RequestError
from engine.grooves.groove import Groove
from engine.grooves.notation import read_groove

FOLDER = Path(__file__).parent / "book"


@cache
def book() -> tuple[Groove, ...]:
    """All grooves, by name. Raises `RequestError` naming file and line where one cannot be read."""
    grooves = [read_groove(path) for path in sorted(FOLDER.glob("*.groove"))]
    names = [g.name for g in grooves]
    for name in names:
        if names.count(name) > 1:
            raise RequestError("groove.twice", f"the groove '{name}' is written in two files.")
    return tuple(sorted(grooves, key=lambda g: g.name))


def groove(name: str) -> Groove:
    """The groove called `name`. Raises `RequestError` naming the ones there are."""
    for found in book():
        if found.name == name:
            return found
    raise RequestError(
        "groove.unknown", f"there is no groove '{name}'.", hint=f"One of {', '.join(g.name for g in book())}."
    )
