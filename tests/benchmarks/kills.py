"""`python -m tests.benchmarks.kills [COUNT] [SEED]`: kills a real render at random moments, and compares what comes.

The test of the engine does a few of these; this does fifty, and tells what each one cost.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from bridge.messages import Render
from tests.e2e.songs import eight_bars
from tests.engine.kills import GENTLE, Killer, stop, trials
from tests.engine.rig import own_places


def main(count: int, seed: int) -> int:
    """Prints one line per trial; exit code 1 where any has failed."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="stembridge-kills-") as home, own_places(Path(home)) as folder:
        killer = Killer(folder, msgspec.convert(eight_bars(folder / "out"), Render))
        try:
            killer.undisturbed()
            print(f"undisturbed: {killer.seconds:.1f} s; {count} kills, seed {seed}")
            took = []
            for trial in [*trials(count, seed), *trials(count // 10, seed, GENTLE)]:
                began = time.monotonic()
                what = f"kill {trial.number + 1}: {trial.victim} at {trial.at:.0%}"
                try:
                    after = killer.run(trial)
                    took.append(after)
                    print(f"{what}: whole {after:.1f} s later ({time.monotonic() - began:.1f} s)", flush=True)
                except AssertionError as error:
                    failed += 1
                    print(f"{what}: FAILED: {error}", flush=True)
        finally:
            stop()
    if took:
        print(f"{count - failed} of {count} whole; after the kill: median {statistics.median(took):.1f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50, int(sys.argv[2]) if len(sys.argv) > 2 else 1))
