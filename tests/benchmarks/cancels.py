"""`python -m tests.benchmarks.cancels [COUNT]`: how soon a running render of the real engine stops when it is told to.

Cancels a 3:30 song at moments spread over it, by turns with a pause, and measures milliseconds until the engine says
that it has heard, until the job is over, and until the worker works on the next job. Nothing here decides a test.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from bridge.client import Client, start_engine, stop_engine
from bridge.commands.demo import DEMO
from bridge.commands.render import file2request
from bridge.messages import Accepted, Cancel, Cancelled, Done, Event, Progress, Render
from tests.e2e.songs import eight_bars
from tests.engine.rig import own_places


def cancel_once(song: Render, next_one: Render, after: float) -> tuple[float, float, float]:
    """Milliseconds from the wish to its answer, to the job's end, and to the next job's first progress."""
    with Client.connect() as client, Client.connect() as other:
        following = client.request(song)
        assert isinstance(next(following), Accepted)
        assert isinstance(next(following), Progress)
        waiting = other.request(next_one)
        assert isinstance(next(waiting), Accepted)
        time.sleep(after)
        asked = time.perf_counter()
        client.send(Cancel(song.job))
        heard = first(following, asked, lambda event: isinstance(event, Progress) and event.stage == "cancelling")
        over = first(following, asked, lambda event: isinstance(event, Cancelled))
        begun = first(waiting, asked, lambda event: isinstance(event, Progress))
        for last in waiting:
            assert not isinstance(last, Done) or last.job == next_one.job
    return heard, over, begun


def first(events: Iterable[Event], since: float, wanted: Callable[[Event], bool]) -> float:
    """Milliseconds until the first event that is wanted."""
    for event in events:
        if wanted(event):
            return 1000.0 * (time.perf_counter() - since)
    raise SystemExit("the render was over before it was cancelled")


def main(count: int, seed: int = 1) -> None:
    """Prints one line a cancel, then the middle and the worst."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="stembridge-cancels-") as home, own_places(Path(home)) as folder:
        start_engine(roots=[DEMO.parent])
        demo = file2request(DEMO)
        project = msgspec.structs.replace(demo.project, out=str(folder / "out"))
        rows: list[tuple[float, float, float]] = []
        try:
            for number in range(count):
                job = f"cancelled-{uuid.uuid4().hex[:8]}"
                song = msgspec.structs.replace(demo, job=job, seed=number, project=project)
                small = msgspec.convert(eight_bars(folder / "out", job=f"next-{number}", seed=number), Render)
                small = msgspec.structs.replace(small, stems=small.stems[:1])
                after = 12.0 * (number + chance.random()) / count
                rows.append(cancel_once(song, small, after))
                print(f"{after:5.1f} s into it: heard {rows[-1][0]:.0f} ms, over {rows[-1][1]:.0f} ms, "
                      f"next begun {rows[-1][2]:.0f} ms", flush=True)  # fmt: skip
        finally:
            stop_engine()
    for name, bound, values in zip(
        ("heard", "over", "next begun"), (300, 1000, 1000), zip(*rows, strict=True), strict=True
    ):
        print(f"{name}: median {statistics.median(values):.0f} ms, worst {max(values):.0f} ms (bound {bound} ms)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
