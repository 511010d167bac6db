"""A song's file of any kind becomes the arrangement of a request."""

from __future__ import annotations

import os
from pathlib import Path

from bridge.arrangement import Arrangement
from bridge.paths import MIDI_ENDINGS, data_folder

RPP_ENDINGS = (".rpp", ".rpp-bak")
DAWPROJECT_ENDINGS = (".dawproject",)
SONG_ENDINGS = (*MIDI_ENDINGS, *DAWPROJECT_ENDINGS, *RPP_ENDINGS)


def song_file2arrangement(path: Path, context: Path | None = None) -> tuple[Arrangement, list[str]]:
    """The arrangement of the song at `path` (absolute), and remarks on what could not be used.

    Notes and cut sounds are written into `context`: `stembridge/context` beside the song unless given, or in the user's
    data folder where nothing can be written there. Raises `RequestError`, naming the file.
    """
    kind = path.suffix.lower()
    if kind in MIDI_ENDINGS:
        from bridge.midifile import smf2arrangement

        return smf2arrangement(path), []
    from bridge.dawfiles.song import song2arrangement

    context = context or _context_folder(path)
    if kind in RPP_ENDINGS:
        from bridge.dawfiles.rpp import read_rpp

        return song2arrangement(read_rpp(path), context)
    from bridge.dawfiles.box import open_box
    from bridge.dawfiles.dawproject import read_dawproject

    with open_box(path) as archive:
        return song2arrangement(read_dawproject(archive, path), context, archive)


def _context_folder(path: Path) -> Path:
    """Beside the song where that can be written, as DAW scripts do it."""
    folder = path.parent / "stembridge" / "context"
    home = next(p for p in (folder, *folder.parents) if p.exists())
    return folder if os.access(home, os.W_OK) else data_folder() / "context"
