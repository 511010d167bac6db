"""Files that a project names: where they are, and how long."""

from __future__ import annotations

import math
from pathlib import Path


def find_file(text: str, home: Path) -> Path | None:
    """The file of that name: absolute, relative to the project's folder `home`, or moved beside the project; or None.

    Projects of Windows name folders with backslashes.
    """
    if not text or "\0" in text:
        return None
    plain = text.replace("\\", "/")
    for path in (home / text, home / plain, home / Path(plain).name):
        try:
            if path.is_file():
                return path.resolve()
        except OSError:
            continue
    return None


def file2seconds(text: str, home: Path) -> float:
    """Length of the sound that a project names; infinite where it cannot be read."""
    import soundfile

    path = find_file(text, home)
    try:
        return math.inf if path is None else float(soundfile.info(path).duration)
    except (soundfile.SoundFileError, OSError):
        return math.inf
