"""A take varied by a strength: 0 leaves every note, 0.3 changes some ends of phrases, 1 is new.

python examples/cocomposer/vary.py OUT_FOLDER JOB/take-1 STRENGTH [STEM,STEM]
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from ask import run
from whole_song import build as whole_song

from bridge.messages import Render, Scope


def build(folder: Path, take: str, strength: str, stems: str = "") -> Render:
    """The request; no stems are all of them."""
    wanted = tuple(name for name in stems.split(",") if name)
    return msgspec.structs.replace(
        whole_song(folder), scope=Scope(take, stems=wanted, strength=float(strength)), seed=7
    )


if __name__ == "__main__":
    run(build)
