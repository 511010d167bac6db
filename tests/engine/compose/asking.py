"""The public road without sound: a request as JSON is checked, its tracks are heard, the band composes and performs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import mido
import msgspec

from bridge.messages import Render, encode
from bridge.validate import check_request
from engine.compose import Writers, compose_band, request2form
from engine.diffusion.parts import PartsModel
from engine.lelm.plan import PlanModel
from engine.listen import listen_tracks
from engine.perform import perform
from engine.score import Note, Score

BEAT = 480


@lru_cache(maxsize=1)
def shipped() -> Writers:
    """The models of the package."""
    return Writers(PlanModel.load(), PartsModel.load())


def ask(request: Render, root: Path, *, take: Score | None = None, models: bool = False) -> Score:
    """The performed score of a request after a round through its JSON. `take`: what its scope edits or it continues."""
    roots = [root, *([Path(request.project.root)] if request.project.root else [])]
    checked = check_request(encode(request), roots)
    assert isinstance(checked, Render)
    clock = checked.arrangement.timeline()
    form = request2form(checked.arrangement, clock)
    heard = listen_tracks(checked.arrangement, clock)
    writers = shipped() if models else Writers()
    score = compose_band(checked, clock, form, heard, writers, lambda fraction: None, previous=take)
    return perform(score, clock, score.feel, checked.seed)


def changed(request: Render, **changes: Any) -> Render:
    """The request with other fields; those of the arrangement by their names, too."""
    mine = {k: v for k, v in changes.items() if k in Render.__struct_fields__}
    theirs = {k: v for k, v in changes.items() if k not in mine}
    arrangement = msgspec.structs.replace(request.arrangement, **theirs)
    return msgspec.structs.replace(request, **{"arrangement": arrangement, **mine})


def midi(path: Path, notes: Sequence[Note], *, drums: bool = False) -> str:
    """Writes notes as a MIDI file of one track. Gives its path."""
    track = mido.MidiTrack()
    events = [(round(n.start * BEAT), 1, n.pitch, n.velocity) for n in notes]
    events += [(round(n.end * BEAT), 0, n.pitch, 0) for n in notes]
    now = 0
    for at, on, pitch, velocity in sorted(events):
        kind, channel = ("note_on" if on else "note_off"), 9 if drums else 0
        track.append(mido.Message(kind, channel=channel, note=pitch, velocity=velocity, time=at - now))
        now = at
    mido.MidiFile(ticks_per_beat=BEAT, tracks=[track]).save(path)
    return str(path)


def rock(bars: int, kicks: Sequence[float] = (0.0, 2.0, 2.5), start: float = 0.0) -> list[Note]:
    """Drums of a stranger: eighths, a backbeat and these kicks in every bar of 4/4."""
    hits = [(k, 36) for k in kicks] + [(1.0, 38), (3.0, 38)] + [(i / 2, 42) for i in range(8)]
    return [Note(start + 4 * bar + at, 0.2, pitch, 96) for bar in range(bars) for at, pitch in sorted(hits)]


def outline(notes: Sequence[Note]) -> list[tuple[float, int]]:
    """Starts and pitches."""
    return [(round(n.start, 4), n.pitch) for n in notes]
