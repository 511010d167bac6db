"""A band for chords that you name: ninths, slash chords, a dorian key that nobody has to say.

python examples/cocomposer/chords.py OUT_FOLDER ["Am9 D9 | Am9/G D9/F#"]

The command line has it, too: stembridge render SONG.mid --chords "Am9 D9 | Am9/G D9/F#"
"""

from __future__ import annotations

from pathlib import Path

from ask import run, small_song

from bridge.commands.controls import text2chords
from bridge.messages import Render


def build(folder: Path, chords: str = "Am9 D9 | Am9/G D9/F#") -> Render:
    """The request; `chords` of a bar share it, the bars between "|" go round."""
    form = (("Verse", "verse", 4), ("Chorus", "chorus", 4))
    stems = ("drums", "bass", "keys", "pad", "lead")
    open_song = small_song(folder, "chords", form, stems, style="neo-soul", bpm=88)
    named = {"chords": text2chords(chords, open_song)}
    return small_song(folder, "chords", form, stems, style="neo-soul", bpm=88, arrangement=named)


if __name__ == "__main__":
    run(build)
