"""Any key and mode: what is written stays in it.

python examples/cocomposer/keys.py OUT_FOLDER [TONIC] [MODE]
"""

from __future__ import annotations

from pathlib import Path

from ask import run, small_song

from bridge.arrangement import KeyAt
from bridge.messages import Render


def build(folder: Path, tonic: str = "Eb", mode: str = "dorian") -> Render:
    """The request."""
    form = (("Verse", "verse", 4), ("Chorus", "chorus", 4))
    key = {"keys": (KeyAt(0.0, tonic, mode),)}
    return small_song(folder, "keys", form, ("bass", "keys", "pad", "lead"), arrangement=key, style="soul")


if __name__ == "__main__":
    run(build)
