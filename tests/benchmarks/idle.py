"""`python -m tests.benchmarks.idle`: what the engine holds before, in and after a 3:30 song, and when it has been idle.

Starts an engine that frees its memory after five seconds without a job, renders the demo song, waits until the worker
was started anew, and asks for eight bars. Nothing here decides a test.
"""

from __future__ import annotations

import tempfile
import time
import uuid
from pathlib import Path

import msgspec

from bridge.client import Client, start_engine, stop_engine
from bridge.commands.demo import DEMO
from bridge.commands.render import file2request
from bridge.messages import Done, Render
from tests.benchmarks.__main__ import PeakMemory, engine_memory, render
from tests.e2e.songs import eight_bars
from tests.engine.rig import own_places

IDLE_SECONDS = 5.0


def main() -> None:
    """Prints one line a moment."""
    with tempfile.TemporaryDirectory(prefix="stembridge-idle-") as home, own_places(Path(home)) as folder:
        endpoint = start_engine(roots=[DEMO.parent], options=["--idle-release", str(IDLE_SECONDS)])
        try:
            with Client.connect() as client:
                print(f"ready:           {engine_memory(endpoint.pid):5.0f} MB (bound 600)")
                song = file2request(DEMO)
                project = msgspec.structs.replace(song.project, out=str(folder / "out"))
                song = msgspec.structs.replace(song, project=project, job=f"song-{uuid.uuid4().hex[:8]}")
                memory = PeakMemory(endpoint.pid)
                memory.start()
                assert isinstance(list(client.request(song))[-1], Done)
                print(f"peak of a song:  {memory.stop():5.0f} MB (bound 2048)")
                print(f"after it:        {engine_memory(endpoint.pid):5.0f} MB")
                while not any(s.name.endswith("workers_released_total") for s in client.stats().stats):
                    time.sleep(0.2)
                while not client.ping().ready:
                    time.sleep(0.2)
                print(f"idle, released:  {engine_memory(endpoint.pid):5.0f} MB (bound 600)")
                _, first, _ = render(client, msgspec.convert(eight_bars(folder / "out"), Render))
                print(f"eight bars then: first stem after {first:.1f} s")
        finally:
            stop_engine()


if __name__ == "__main__":
    main()
