"""What is told about a source of training songs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


class SourceMissing(RuntimeError):
    """The source is not installed here. The message says what to install."""


@dataclass(frozen=True)
class Origin:
    """A source as the data card tells it. `files` and `digest` are those of the files that were read; `held_out` names
    what is kept for judging, `use` says what becomes of the source."""

    name: str
    package: str
    licence: str
    use: str
    files: int
    digest: str
    held_out: tuple[str, ...]


def digest_of(files: Iterable[Path]) -> tuple[int, str]:
    """How many files, and one SHA-256 over their names and contents in order."""
    total, count = hashlib.sha256(), 0
    for path in files:
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        count += 1
    return count, total.hexdigest()
