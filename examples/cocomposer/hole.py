"""Bars of some stems of a take anew, the rest as it is: the new bars hear what lies before, after and beside them.

python examples/cocomposer/hole.py OUT_FOLDER JOB/take-1 STEM,STEM [FROM_BEAT TO_BEAT]

`vary.py` does the same by a strength. OUT_FOLDER is where `whole_song.py` has put the take.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from ask import run
from whole_song import build as whole_song

from bridge.messages import Render, Scope


def build(folder: Path, take: str, stems: str, start: str = "16", end: str = "32", strength: str = "1") -> Render:
    """The request; bars that [start, end) touches are written anew."""
    wanted = tuple(stems.split(","))
    scope = Scope(take, stems=wanted, start=float(start), end=float(end), strength=float(strength))
    return msgspec.structs.replace(whole_song(folder), scope=scope, seed=7)


if __name__ == "__main__":
    run(build)
