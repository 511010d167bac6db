"""`python -m tests.benchmarks.actors`: what a second worker brings (extra `ray`).

Eight songs that differ (32 bars, five stems) go to an engine of one worker process, of one Ray actor and of two; then
one song alone, whose stems the two actors share. Prints seconds, songs a minute and the ratios. Nothing is kept from
one run to the next.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import msgspec

from bridge.arrangement import Section
from bridge.client import Client, start_engine, stop_engine
from bridge.messages import Done, Render
from tests.e2e.songs import eight_bars
from tests.engine.rig import own_places

SONGS = 8
ENGINES = {
    "one process": (),
    "one actor": ("--ray", "auto", "--actors", "1"),
    "two actors": ("--ray", "auto", "--actors", "2"),
}


def song(number: int, out: Path) -> Render:
    """Verse and chorus, 32 bars at 120 bpm."""
    request = msgspec.convert(eight_bars(out, job=f"song-{number}", seed=number), Render)
    sections = (Section("Verse", "verse", 0.0, 64.0), Section("Chorus", "chorus", 64.0, 128.0))
    arrangement = msgspec.structs.replace(request.arrangement, clock=((0.0, 0.0), (128.0, 64.0)), sections=sections)
    return msgspec.structs.replace(request, arrangement=arrangement)


def render(number: int, folder: Path) -> None:
    """One song, to its end."""
    with Client.connect() as client:
        last = list(client.request(song(number, folder / "out")))[-1]
    assert isinstance(last, Done), last


def measure(folder: Path, options: tuple[str, ...]) -> tuple[float, float]:
    """Seconds for `SONGS` songs that are asked for at once, and for one more alone."""
    with own_places(folder):
        start_engine(options=options)
        try:
            render(0, folder)
            began = time.monotonic()
            threads = [threading.Thread(target=render, args=(number, folder)) for number in range(1, SONGS + 1)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            together = time.monotonic() - began
            began = time.monotonic()
            render(SONGS + 1, folder)
            return together, time.monotonic() - began
        finally:
            stop_engine()


def main() -> None:
    """Prints a line for each kind of engine."""
    found: dict[str, tuple[float, float]] = {}
    for name, options in ENGINES.items():
        with tempfile.TemporaryDirectory(prefix="stembridge-actors-") as home:
            found[name] = measure(Path(home), options)
        together, alone = found[name]
        rate = 60 * SONGS / together
        print(f"{name:12} {SONGS} songs {together:6.1f} s ({rate:5.1f} a minute), one alone {alone:5.2f} s", flush=True)
    one, two = found["one actor"], found["two actors"]
    print(f"two actors against one: {one[0] / two[0]:.2f} x the songs, one song {one[1] / two[1]:.2f} x as fast")


if __name__ == "__main__":
    main()
