"""`python -m tests.benchmarks.etas`: how right the engine's forecasts are on a mix of jobs.

Learns from a few jobs, is started again, gets a mix of songs of all lengths from two clients at once, and compares the
seconds that each one's answer promised with those that it took.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import threading
import time
from pathlib import Path

import msgspec

from bridge.arrangement import Section
from bridge.client import Client, start_engine, stop_engine
from bridge.messages import Accepted, Done, Render, StemWanted
from tests.e2e.songs import eight_bars
from tests.engine.rig import own_places

ROLES = ("drums", "bass", "keys", "pad", "lead", "guitar")
LEARNT, ASKED = 4, 12


def any_song(number: int, out: Path, chance: random.Random) -> Render:
    """4 to 48 bars, 1 to 6 stems, sometimes two takes."""
    bars = chance.choice((4, 8, 12, 16, 24, 32, 48))
    request = msgspec.convert(eight_bars(out, job=f"song-{number}", seed=number), Render)
    sections = tuple(Section(f"Part {i}", "verse", 16.0 * i, 16.0 * (i + 1)) for i in range(bars // 4))
    arrangement = msgspec.structs.replace(
        request.arrangement, clock=((0.0, 0.0), (4.0 * bars, 2.0 * bars)), sections=sections
    )
    stems = tuple(StemWanted(role) for role in ROLES[: chance.randint(1, len(ROLES))])
    return msgspec.structs.replace(
        request, arrangement=arrangement, stems=stems, takes=2 if chance.random() < 0.2 else 1
    )


def follow(request: Render, told: dict[str, tuple[int, float, float]]) -> None:
    """Sends one request and notes (position, seconds promised, seconds taken)."""
    with Client.connect() as client:
        began = time.monotonic()
        events = list(client.request(request))
        accepted = events[0]
        assert isinstance(accepted, Accepted)
        assert isinstance(events[-1], Done), events[-1]
        told[request.job] = (accepted.position, accepted.eta or 0.0, time.monotonic() - began)


def main(seed: int = 5) -> None:
    """Prints one line a job and how many forecasts were right within a factor of two."""
    chance, told = random.Random(seed), dict[str, tuple[int, float, float]]()
    with tempfile.TemporaryDirectory(prefix="stembridge-etas-") as home, own_places(Path(home)) as folder:
        start_engine()
        for number in range(LEARNT):
            follow(any_song(number, folder / "out", chance), {})
        stop_engine()
        start_engine()
        try:
            threads = []
            for number in range(LEARNT, LEARNT + ASKED):
                request = any_song(number, folder / "out", chance)
                threads.append(threading.Thread(target=follow, args=(request, told)))
                threads[-1].start()
                time.sleep(0.1)
            for thread in threads:
                thread.join()
        finally:
            stop_engine()
    for job, (position, promised, taken) in told.items():
        print(f"{job}: place {position}, promised {promised:.1f} s, took {taken:.1f} s, ratio {promised / taken:.2f}")
    ratios = [promised / taken for _, promised, taken in told.values()]
    right = sum(0.5 <= ratio <= 2.0 for ratio in ratios)
    print(f"{right} of {len(ratios)} within a factor of two; median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
