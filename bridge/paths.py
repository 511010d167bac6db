"""Where a request may read and write: declared roots, allowed endings, bounded sizes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bridge.errors import RequestError

MIDI_ENDINGS = (".mid", ".midi", ".smf", ".kar")
AUDIO_ENDINGS = (".wav", ".wave", ".bwf", ".aif", ".aiff", ".flac", ".ogg", ".mp3", ".opus")
SOUNDFONT_ENDINGS = (".sf2", ".sf3")
TRACES = "traces"
"""Folder in the user's data that holds jobs' timelines."""
MAX_BYTES = {"MIDI": 4 << 20, "audio": 4 << 30, "sound font": 4 << 30}


def data_folder() -> Path:
    """The user's stembridge data: job results without a project, mailbox, log. `STEMBRIDGE_DATA` overrides."""
    import platformdirs

    return Path(os.environ.get("STEMBRIDGE_DATA") or platformdirs.user_data_dir("stembridge", appauthor=False))


def default_roots() -> tuple[Path, ...]:
    """Folders that a request may name when the user declares no others: home, the temporary folder, our own data."""
    return (Path.home(), Path(tempfile.gettempdir()), data_folder())


def under_roots(path: Path, roots: Sequence[Path]) -> bool:
    """Whether `path`, all symbolic links followed, lies in one of `roots`."""
    real = path.resolve()
    return any(real.is_relative_to(root.resolve()) for root in roots)


def resolve_folder(text: str, roots: Sequence[Path], field: str) -> Path:
    """An absolute folder inside the roots; it need not exist yet. Raises `RequestError`."""
    path = Path(_plain(text, field))
    if not path.is_absolute():
        raise RequestError("path.relative", f"{text!r} is not an absolute path.", field=field)
    if not under_roots(path, roots):
        raise _outside(text, roots, field)
    return path


def resolve_file(
    text: str, root: Path | None, roots: Sequence[Path], endings: Sequence[str], kind: str, field: str
) -> Path:
    """An existing regular file of an allowed kind, inside the project or the roots. Raises `RequestError`."""
    path = Path(_plain(text, field))
    if not path.is_absolute():
        if root is None:
            raise RequestError(
                "path.no_root", f"{text!r} is relative, but the request names no project.root.", field=field
            )
        path = root / path
    allowed = [*roots, *([root] if root else [])]
    if not under_roots(path, allowed):
        raise _outside(text, allowed, field)
    if path.suffix.lower() not in endings:
        raise RequestError(
            "path.kind",
            f"{path.name!r} is no {kind} file by its name.",
            field=field,
            hint=f"Use {', '.join(endings)}.",
        )
    try:
        size = path.stat().st_size if path.is_file() else -1
    except OSError:
        size = -1
    if size < 0:
        raise RequestError(
            "path.missing", f"there is no file {path}.", field=field, hint="Save the project, or relink the file."
        )
    if not os.access(path, os.R_OK):
        raise RequestError("path.unreadable", f"{path} may not be read.", field=field, hint="Check its permissions.")
    if size > MAX_BYTES[kind]:
        raise RequestError(
            "path.too_large", f"{path.name} has {size >> 20} MB; at most {MAX_BYTES[kind] >> 20} are read.", field=field
        )
    return path.resolve()


def _plain(text: str, field: str) -> str:
    if not text or "\0" in text or len(text) > 4096:
        raise RequestError("path.malformed", "this is not a file name.", field=field)
    return text


def _outside(text: str, roots: Sequence[Path], field: str) -> RequestError:
    listed = ", ".join(dict.fromkeys(str(r) for r in roots))
    return RequestError(
        "path.outside",
        f"{text!r} lies outside the folders the engine may use ({listed}).",
        field=field,
        hint="Move the file into the project, or start the engine with --root FOLDER.",
    )
