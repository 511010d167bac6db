"""Other metres and feels: 3/4, 6/8, 5/4, 7/8, swing and triplets.

python examples/cocomposer/metres.py OUT_FOLDER [METRE] [STYLE]
"""

from __future__ import annotations

from pathlib import Path

from ask import run, small_song

from bridge.messages import Render


def build(folder: Path, metre: str = "7/8", style: str = "math rock") -> Render:
    """The request."""
    beats, unit = (int(x) for x in metre.split("/"))
    form = (("Verse", "verse", 4), ("Chorus", "chorus", 4))
    return small_song(folder, "metres", form, ("drums", "bass", "keys", "lead"), metre=(beats, unit), style=style)


if __name__ == "__main__":
    run(build)
