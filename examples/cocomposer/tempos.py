"""From 60 to 200 bpm: where a style would race, it is played in half time; where it would crawl, in double time.

python examples/cocomposer/tempos.py OUT_FOLDER [BPM] [STYLE]
"""

from __future__ import annotations

from pathlib import Path

from ask import run, small_song

from bridge.messages import Render


def build(folder: Path, bpm: str = "200", style: str = "soul") -> Render:
    """The request."""
    form = (("Verse", "verse", 4), ("Chorus", "chorus", 4))
    return small_song(folder, "tempos", form, ("drums", "bass", "keys", "arp", "lead"), bpm=float(bpm), style=style)


if __name__ == "__main__":
    run(build)
