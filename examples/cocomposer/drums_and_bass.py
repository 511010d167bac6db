"""A bass for a drum groove of yours, or drums for a bass of yours: kick and bass meet.

python examples/cocomposer/drums_and_bass.py OUT_FOLDER [bass|drums]
"""

from __future__ import annotations

from pathlib import Path

from ask import run, small_song, write_midi

from bridge.arrangement import ContextTrack, KeyAt
from bridge.messages import Render

KICKS = (0.0, 0.75, 2.5, 3.25)
BASS = ((0.0, 40), (1.5, 40), (2.25, 43), (3.5, 38))


def build(folder: Path, wanted: str = "bass") -> Render:
    """The request for the part that is `wanted`, to the other one as a MIDI file."""
    hits = [*((k, 0.2, 36) for k in KICKS), *((k, 0.2, 38) for k in (1.0, 3.0)), *((i / 2, 0.2, 42) for i in range(8))]
    line = [(at, 0.5, pitch) for at, pitch in BASS]
    given = "drums" if wanted == "bass" else "bass"
    bar = hits if given == "drums" else line
    whole = [(4.0 * k + at, length, pitch) for k in range(8) for at, length, pitch in bar]
    midi = write_midi(folder / f"{given}.mid", whole, drums=given == "drums")
    mine = ContextTrack(f"My {given}", role=given, midi=midi)
    key = {"keys": (KeyAt(0.0, "E", "minor"),)}
    form = (("Verse", "verse", 4), ("Chorus", "chorus", 4))
    return small_song(folder, f"{wanted}-for-{given}", form, (wanted,), tracks=(mine,), arrangement=key, style="rock")


if __name__ == "__main__":
    run(build)
