"""Controls of single stems: a thinner bass, higher and richer keys that leave space for the lead, busier drums.

python examples/cocomposer/controls.py OUT_FOLDER

The command line has them, too: stembridge render SONG.mid --density bass=-0.6,drums=0.4 --register keys=0.5
--complexity keys=0.8 --space keys=lead
"""

from __future__ import annotations

from pathlib import Path

from ask import run, small_song

from bridge.messages import Render, StemWanted

STEMS = (
    StemWanted("drums", density=0.4),
    StemWanted("bass", density=-0.6),
    StemWanted("keys", register=0.5, complexity=0.8, leave_space_for="lead"),
    StemWanted("lead"),
)


def build(folder: Path) -> Render:
    """The request."""
    form = (("Verse", "verse", 4), ("Chorus", "chorus", 4))
    return small_song(folder, "controls", form, STEMS, style="pop", seed=3)


if __name__ == "__main__":
    run(build)
