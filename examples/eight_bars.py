"""Eight bars from Python: build a request, send it to the engine (started if none runs), print what comes back.

python examples/eight_bars.py [OUT_FOLDER]
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

from bridge.arrangement import Arrangement, KeyAt, Section
from bridge.client import Client
from bridge.messages import Done, Failed, Progress, Project, Render, StemReady, StemWanted
from bridge.timeline import Clock

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "eight-bars").resolve()

clock = Clock.steady(bpm=104, beats=32)
request = Render(
    job=f"eight-bars-{uuid.uuid4().hex[:8]}",
    project=Project(name="Eight bars", out=str(OUT)),
    arrangement=Arrangement(
        sample_rate=48000,
        clock=tuple(zip(clock.beats, clock.seconds, strict=True)),
        keys=(KeyAt(0, "E", "minor"),),
        sections=(Section("Verse", "verse", 0, 16), Section("Chorus", "chorus", 16, 32)),
    ),
    stems=tuple(StemWanted(role) for role in ("drums", "bass", "guitar")),
    style="funk, tight",
    seed=5,
)

with Client.connect(start=True, roots=[OUT]) as client:
    for event in client.request(request):
        match event:
            case Progress():
                print(f"{event.fraction:4.0%} {event.stage}")
            case StemReady():
                print(f"stem {event.stem}: {event.samples} samples from sample {event.start_sample}, {event.checks}")
            case Done():
                print(f"done in {event.seconds:.1f} s: {event.manifests[0]}")
            case Failed():
                sys.exit(f"{event.field} {event.message} {event.hint}")
