"""Command that made `sounds/oneshots`: `python -m engine.sampler.oneshots FOLDER` over the samples of an unpacked
sample package.

Each file that a kit names is read, cut at its onset (the first sample within 30 dB of the peak, 0.1 ms before it kept),
cut at its end where it has faded by 66 dB (4 s at most, 20 ms fade), set to a peak of -1 dBFS and written as 16-bit
FLAC at 44.1 kHz.
"""

from __future__ import annotations

import argparse
import tomllib
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
    fade = min(int(FADE_SECONDS * rate), len(cut))
    cut[len(cut) - fade :] *= np.linspace(1, 0, fade)[:, None]
    return cut.astype(np.float32)


def needed() -> list[str]:
    """Names of the samples that the kits play."""
    names: set[str] = set()
    for path in KITS.glob("*.toml"):
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        names.update(sample for piece in raw["piece"].values() for sample, _ in piece["layers"])
    return sorted(names)


def main() -> None:
    """Writes every one-shot that the kits need; fails on a missing file."""
    parser = argparse.ArgumentParser(description="Trim and normalise the drum kits' one-shots.")
    parser.add_argument("folder", type=Path, help="folder with the source FLAC files")
    folder: Path = parser.parse_args().folder
    ONESHOTS.mkdir(parents=True, exist_ok=True)
    for name in needed():
        audio, rate = soundfile.read(folder / f"{name}.flac", dtype="float32", always_2d=True)
        audio = soxr.resample(audio, rate, RATE, quality="VHQ") if rate != RATE else audio
        soundfile.write(ONESHOTS / f"{name}.flac", trim(audio, RATE), RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
