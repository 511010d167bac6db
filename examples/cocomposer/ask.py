"""What the examples beside this file share: a small song as a request, MIDI to give along, and asking the engine."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mido

from bridge.arrangement import Arrangement, ContextTrack, MetreAt, Section
from bridge.client import Client
from bridge.messages import Done, Project, Render, StemWanted

Hits = Sequence[tuple[float, float, int]]
"""(start beat, length in beats, MIDI pitch)."""


def small_song(
    folder: Path,
    name: str,
    sections: Sequence[tuple[str, str, int]],
    stems: Sequence[str | StemWanted],
    *,
    bpm: float = 104.0,
    metre: tuple[int, int] = (4, 4),
    tracks: Sequence[ContextTrack] = (),
    arrangement: dict[str, Any] | None = None,
    **more: Any,
) -> Render:
    """A request with sections (name, label, bars) one after the other; results go under `folder`."""
    bar = metre[0] * 4 / metre[1]
    placed: list[Section] = []
    for title, label, bars in sections:
        start = placed[-1].end if placed else 0.0
        placed.append(Section(title, label, start, start + bars * bar))
    end = placed[-1].end
    return Render(
        job=f"{name}-{uuid.uuid4().hex[:8]}",
        project=Project(name=name, root=str(folder), out=str(folder)),
        arrangement=Arrangement(
            sample_rate=48000,
            clock=((0.0, 0.0), (end, end * 60 / bpm)),
            metres=(MetreAt(0.0, *metre),),
            sections=tuple(placed),
            tracks=tuple(tracks),
            **(arrangement or {}),
        ),
        stems=tuple(StemWanted(stem) if isinstance(stem, str) else stem for stem in stems),
        **more,
    )


def write_midi(path: Path, hits: Hits, *, drums: bool = False) -> str:
    """A MIDI file of one track. Gives its path."""
    events = [(start, "note_on", pitch) for start, _, pitch in hits]
    events += [(start + length, "note_off", pitch) for start, length, pitch in hits]
    track, now = mido.MidiTrack(), 0
    for beat, kind, pitch in sorted(events):
        at = round(beat * 480)
        track.append(mido.Message(kind, channel=9 if drums else 0, note=pitch, velocity=88, time=at - now))
        now = at
    mido.MidiFile(ticks_per_beat=480, tracks=[track]).save(path)
    return str(path)


def run(build: Callable[..., Render]) -> None:
    """Renders what `build` makes of the command line (OUT_FOLDER and more words), and prints where the take lies and
    what the band says of it."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "cocomposer-out").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    request = build(folder, *sys.argv[2:])
    with Client.connect(start=True, roots=[folder]) as client:
        *_, last = client.request(request)
    if not isinstance(last, Done):
        sys.exit(str(last))
    print(last.manifests[0])
