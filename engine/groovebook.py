"""`python -m engine.groovebook`: lists, plays and draws grooves, adds the user's own (`stembridge grooves` asks).

The request is one JSON object in the first argument, the answer one JSON object on standard output; an error has the
keys `error` (code), `message`, `field` and `hint`, and the exit code 2.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.errors import RequestError
from engine.answering import answer
from engine.grooves import Groove, draw, groove, library
from engine.grooves.picture import draw_file

Answer = dict[str, Any]


def list_grooves(request: Answer) -> Answer:
    """Every groove of the book and of the user, and the user's files that cannot be used."""
    known = library()
    rows = [{**groove2row(g), "own": g.name in known.own} for g in known.grooves]
    return {"grooves": rows, "damaged": [str(problem) for problem in known.damaged]}


def groove2row(groove: Groove) -> Answer:
    """What a list says of a groove. `versions` counts its bass lines and voicings, `ideas` its chord ideas."""
    return {
        "name": groove.name,
        "title": groove.title,
        "metre": groove.metre,
        "feel": groove.feel,
        "bpm": [groove.bpm_low, groove.bpm_high],
        "tags": list(groove.tags),
        "versions": 1 + len(groove.alternatives),
        "fills": [f.name for f in groove.fills],
        "ideas": len(groove.progressions),
    }


def play_groove(request: Answer) -> Answer:
    """Writes all levels of `name` to `out`: a WAV through the sampler, or a MIDI file."""
    from engine.rehearsal import groove2rehearsal, play_file, rehearsal2midi

    found, out = groove(request["name"]), Path(request["out"])
    bpm = request.get("bpm")
    if bpm is not None and not 20 <= bpm <= 400:
        raise RequestError("groove.bpm", f"{bpm:g} is no tempo.", field="bpm", hint="From 20 to 400.")
    kind = out.suffix.lower()
    if kind == ".mid":
        rehearsal = groove2rehearsal(found, bpm, times=2)
        rehearsal2midi(rehearsal, out)
        return {"out": str(out), "seconds": rehearsal.clock.beat2second(rehearsal.score.sections[-1].end)}
    if kind != ".wav":
        raise RequestError("groove.sound", f"{out.name} is neither .wav nor .mid.", field="out")
    return {"out": str(out), "seconds": play_file(found, out, bpm)}


def draw_groove(request: Answer) -> Answer:
    """`name` as a picture in `out`, or as text: all levels, or only `level`."""
    found = groove(request["name"])
    if request.get("out"):
        draw_file(found, Path(request["out"]))
        return {"out": request["out"]}
    fills = [f"fill {i + 1}" for i in range(len(found.fills))]
    levels = [request["level"]] if request.get("level") else ["intro", "verse", "chorus", "bridge", *fills, "ending"]
    return {"text": "\n".join(draw(found, level) for level in levels)}


def add_groove(request: Answer) -> Answer:
    """Reads a MIDI file into the user's folder."""
    from engine.groove_maker import add_file

    return add_file(request)


VERBS: dict[str, Callable[[Answer], Answer]] = {
    "list": list_grooves,
    "play": play_groove,
    "draw": draw_groove,
    "add": add_groove,
}


if __name__ == "__main__":
    sys.exit(answer(VERBS, "groove.file"))
