"""Command that made the shipped fonts: `python -m engine.sampler.compress NAME SOURCE OUT` keeps the presets of SOURCE
that the instrument table plays from the font NAME, and turns 16-bit samples into Ogg Vorbis (SF2 -> SF3).

Presets, instruments, zones and loops are carried over unchanged; samples that are Vorbis already are copied byte for
byte. A Vorbis sample's loop counts from its own start, in samples.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import soundfile

from engine.sampler.catalogue import shipped_presets
from engine.sampler.guard import VORBIS
from engine.sampler.soundfont import SoundFont, cut, open_soundfont, with_samples

COMMENT = "Presets of {name}, kept by stembridge. {comment}"
LEVEL = 0.4
"""libsndfile's compression level: 0 the largest file, 1 the smallest."""


def compress(font: SoundFont) -> bytes:
    """The whole font with every 16-bit sample as Ogg Vorbis of the same length and rate."""
    rows = font.tables["shdr"].copy()
    out = bytearray()
    for index in range(len(rows) - 1):
        row = rows[index : index + 1]
        data = font.sample_bytes(index)
        if not row["type"][0] & VORBIS:
            start = int(row["start"][0])
            for field in ("loop_start", "loop_end"):
                row[field] = max(0, int(row[field][0]) - start)
            data = pcm2vorbis(data, int(row["rate"][0]))
            row["type"] |= VORBIS
        row["start"], row["end"] = len(out), len(out) + len(data)
        out += data
    return with_samples(font, rows, bytes(out))


def pcm2vorbis(data: bytes, rate: int) -> bytes:
    """An Ogg Vorbis stream of 16-bit mono samples. Raises ValueError where it would not have the same length."""
    audio = np.frombuffer(data, "<i2")
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format="OGG", subtype="VORBIS", compression_level=LEVEL)
    file.seek(0)
    if soundfile.info(file).frames != len(audio):
        raise ValueError("the encoder changed the sample's length")
    return file.getvalue()


def main() -> None:
    """Writes the font and says how large it is."""
    parser = argparse.ArgumentParser(description="Keep the presets that the instrument table plays, as SF3.")
    parser.add_argument("name", help="the font's name in the table")
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    source = open_soundfont(args.source)
    presets = shipped_presets(args.name)
    name, comment = (source.info.get(k, b"").rstrip(b"\0").decode("latin-1") for k in ("INAM", "ICMT"))
    args.out.write_bytes(cut(source, presets, COMMENT.format(name=name, comment=comment)))
    args.out.write_bytes(compress(open_soundfont(args.out)))
    print(f"{len(presets)} presets, {args.out.stat().st_size / 1e6:.1f} MB -> {args.out}")


if __name__ == "__main__":
    main()
