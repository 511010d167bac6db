"""Command that made `sounds/band.sf3`: `python -m engine.sampler.subset FONT OUT` keeps the presets that the table
plays.

Presets, instruments and samples are carried over unchanged (a Vorbis sample is copied, not decoded), so every kept
preset sounds exactly as in the whole font.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.sampler.catalogue import shipped_presets
from engine.sampler.soundfont import cut, open_soundfont

COMMENT = "Presets of {name}, unchanged, kept by stembridge. {comment}"


def main() -> None:
    """Writes the subset and says how large it is."""
    parser = argparse.ArgumentParser(description="Keep the presets of a SoundFont that the instrument table plays.")
    parser.add_argument("font", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    font = open_soundfont(args.font)
    presets = shipped_presets()
    name, comment = (font.info.get(k, b"").rstrip(b"\0").decode("latin-1") for k in ("INAM", "ICMT"))
    data = cut(font, presets, COMMENT.format(name=name, comment=comment))
    args.out.write_bytes(data)
    print(f"{len(presets)} presets, {len(data) / 1e6:.1f} MB -> {args.out}")


if __name__ == "__main__":
    main()
