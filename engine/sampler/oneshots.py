"""Command that made `sounds/oneshots`: `python -m engine.sampler.oneshots FOLDER [FOLDER ...]` over the samples of
unpacked sample packages. A name "PREFIX_STEM" is also looked for as STEM.

Each file that a kit names is read, cut at its onset (the first sample within 30 dB of the peak, 0.1 ms before it kept),
cut at its end where it has faded by 66 dB (4 s at most, 20 ms fade), set to a peak of -1 dBFS and written as 16-bit
FLAC at 44.1 kHz.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from engine.sampler.kit import KITS, ONESHOTS

RATE = 44100
ONSET_LEVEL, END_LEVEL, PEAK = 10 ** (-30 / 20), 10 ** (-66 / 20), 10 ** (-1 / 20)
KEEP_SECONDS, FADE_SECONDS, MAX_SECONDS = 0.0001, 0.02, 4.0


def trim(audio: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """A one-shot [n, channels] from its onset to its end, peak -1 dBFS."""
    level = np.abs(audio).max(axis=1)
    peak = float(level.max())
    first = max(0, int(np.argmax(level >= peak * ONSET_LEVEL)) - int(KEEP_SECONDS * rate))
    last = len(level) - int(np.argmax(level[::-1] >= peak * END_LEVEL))
    cut = audio[first : min(last, first + int(MAX_SECONDS * rate))].astype(np.float64) * (PEAK / peak)
    fade = min(int(FADE_SECONDS * rate), len(cut) // 2)
    cut[len(cut) - fade :] *= np.linspace(1, 0, fade)[:, None]
    return cut.astype(np.float32)


def needed() -> list[str]:
    """Names of the samples that the kits play."""
    names: set[str] = set()
    for path in KITS.glob("*.toml"):
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        names.update(sample for piece in raw["piece"].values() for sample, _ in piece.get("layers", []))
    return sorted(names)


def find(name: str, folders: Sequence[Path]) -> Path:
    """The source file of a one-shot. Raises FileNotFoundError."""
    for folder in folders:
        for stem in (name, name.partition("_")[2]):
            for ending in (".flac", ".wav"):
                if (folder / (stem + ending)).is_file():
                    return folder / (stem + ending)
    raise FileNotFoundError(name)


def main() -> None:
    """Writes the one-shots that the kits need and that are not there yet; fails on a missing file."""
    parser = argparse.ArgumentParser(description="Trim and normalise the drum kits' one-shots.")
    parser.add_argument("folder", type=Path, nargs="+", help="folders with the source FLAC or WAV files")
    folders: list[Path] = parser.parse_args().folder
    ONESHOTS.mkdir(parents=True, exist_ok=True)
    for name in needed():
        if (ONESHOTS / f"{name}.flac").exists():
            continue
        audio, rate = soundfile.read(find(name, folders), dtype="float32", always_2d=True)
        audio = soxr.resample(audio, rate, RATE, quality="VHQ") if rate != RATE else audio
        soundfile.write(ONESHOTS / f"{name}.flac", trim(audio, RATE), RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
