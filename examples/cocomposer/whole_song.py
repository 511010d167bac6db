"""A whole song from its sections alone: chords, form, every part.

python examples/cocomposer/whole_song.py OUT_FOLDER
"""

from __future__ import annotations

from pathlib import Path

from ask import run, small_song

from bridge.messages import Render

FORM = (
    ("Intro", "intro", 4), ("Verse 1", "verse", 8), ("Chorus 1", "chorus", 8), ("Verse 2", "verse", 8),
    ("Chorus 2", "chorus", 8), ("Bridge", "bridge", 8), ("Chorus 3", "chorus", 8), ("Outro", "outro", 4),
)  # fmt: skip


def build(folder: Path) -> Render:
    """The request."""
    return small_song(
        folder, "whole-song", FORM, ("drums", "bass", "keys", "guitar", "pad", "lead"), style="indie rock"
    )


if __name__ == "__main__":
    run(build)
