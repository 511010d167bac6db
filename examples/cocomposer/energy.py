"""What energy and labels do: the same eight bars asked for quietly, then louder and louder.

python examples/cocomposer/energy.py OUT_FOLDER
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from ask import run, small_song

from bridge.messages import Render

LEVELS = (0.1, 0.35, 0.6, 0.85, 1.0)


def build(folder: Path) -> Render:
    """The request: a break, verses of rising energy, an outro."""
    form = [("Break", "break", 4), *((f"Verse {k + 1}", "verse", 8) for k in range(len(LEVELS))), ("Outro", "outro", 4)]
    request = small_song(folder, "energy", form, ("drums", "bass", "keys", "pad", "lead"), style="pop")
    energies = (None, *LEVELS, None)
    sections = tuple(
        msgspec.structs.replace(section, energy=energy)
        for section, energy in zip(request.arrangement.sections, energies, strict=True)
    )
    arrangement = msgspec.structs.replace(request.arrangement, sections=sections)
    return msgspec.structs.replace(request, arrangement=arrangement)


if __name__ == "__main__":
    run(build)
