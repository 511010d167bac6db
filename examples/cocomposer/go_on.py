"""Some bars more after a take, in its groove, key and manner.

python examples/cocomposer/go_on.py OUT_FOLDER JOB/take-1 [BARS]

The command line has it, too: stembridge render REQUEST.json --continue JOB/take-1 --bars 8
"""

from __future__ import annotations

from pathlib import Path

from ask import run
from whole_song import build as whole_song

from bridge.commands.controls import continued
from bridge.messages import Render


def build(folder: Path, take: str, bars: str = "8") -> Render:
    """The request."""
    return continued(whole_song(folder), take, int(bars))


if __name__ == "__main__":
    run(build)
