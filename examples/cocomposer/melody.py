"""A band for a melody: chords are written to it, the lead answers in its gaps, the rest stays below it.

python examples/cocomposer/melody.py OUT_FOLDER
"""

from __future__ import annotations

from pathlib import Path

from ask import run, small_song, write_midi

from bridge.arrangement import ContextTrack
from bridge.messages import Render

PHRASES = ((67, 64, 67, 72), (69, 65, 69, 72), (71, 67, 71, 74), (72, 67, 64, 60))
"""Broken chords of C, F, G and C, a pitch a beat; the last beat of a bar is left for an answer."""


def build(folder: Path) -> Render:
    """The request."""
    tune = [
        (4.0 * bar + beat, 0.9, pitch)
        for bar in range(8)
        for beat, pitch in enumerate(PHRASES[bar % 4])
        if beat < 3
    ]  # fmt: skip
    mine = ContextTrack("My tune", role="vocals", midi=write_midi(folder / "tune.mid", tune))
    form = (("Verse", "verse", 4), ("Chorus", "chorus", 4))
    return small_song(folder, "melody", form, ("drums", "bass", "keys", "lead"), tracks=(mine,), style="pop")


if __name__ == "__main__":
    run(build)
