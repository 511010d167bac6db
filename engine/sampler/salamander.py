"""Command that made `sounds/salamander.sf3`: `python -m engine.sampler.salamander FOLDER OUT` over the recordings of a
grand piano at one velocity, one file a minor third (`C4v10.ogg`).

A softer touch closes a low-pass, since there is one recording of each string; the level follows the velocity.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from engine.sampler.compress import compress
from engine.sampler.fontmaker import Mod, Recording, Region, make_font, timecents
from engine.sampler.soundfont import open_soundfont

NOTES = {"C": 0, "D#": 3, "F#": 6, "A": 9}
CUTOFF, RELEASE = 8, 38
SOFT_CENTS, OPEN_CENTS = 4300, 13500
TOUCH: Mod = (0x0002, CUTOFF, OPEN_CENTS - SOFT_CENTS - 3000, 0, 0)
"""Velocity, linear, opens the filter."""
MAX_SECONDS, FADE_SECONDS = 9.0, 3.0
RELEASE_SECONDS = 0.5


def folder2regions(folder: Path) -> tuple[list[Recording], list[Region]]:
    """The recordings, lowest first, and the keys around each: one below to one above."""
    found = []
    for path in folder.glob("*.ogg"):
        match = re.fullmatch(r"([A-G]#?)(\d)v\d+", path.stem)
        if match:
            found.append((12 * (int(match[2]) + 1) + NOTES[match[1]], path))
    recordings, regions = [], []
    for k, (root, path) in enumerate(sorted(found)):
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        audio = audio[: int(MAX_SECONDS * rate)]
        fade = int(FADE_SECONDS * rate)
        audio[-fade:] *= np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32))[:, None] ** 2
        recordings.append(Recording(path.stem, audio, rate, root))
        keys = (0 if k == 0 else root - 1, 127 if k == len(found) - 1 else root + 1)
        gens = {CUTOFF: SOFT_CENTS + 3000, RELEASE: timecents(RELEASE_SECONDS)}
        regions.append(Region(k, keys, gens=gens, mods=(TOUCH,)))
    return recordings, regions


def main() -> None:
    """Writes the font and says how large it is."""
    parser = argparse.ArgumentParser(description="One recorded grand piano as SF3.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    recordings, regions = folder2regions(args.folder)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.sf2"
        plain.write_bytes(make_font("Concert Piano", recordings, regions))
        args.out.write_bytes(compress(open_soundfont(plain)))
    print(f"{len(recordings)} recordings, {args.out.stat().st_size / 1e6:.1f} MB -> {args.out}")


if __name__ == "__main__":
    main()
