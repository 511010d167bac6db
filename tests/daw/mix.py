"""What an exported mix proves about where sounds lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray


@dataclass(frozen=True)
class Placed:
    """A sound [samples, channels] and the sample of the project at which it begins."""

    audio: NDArray[np.float64]
    at: int

    @classmethod
    def read(cls, path: str | Path, at: int, cut: int = 0) -> Placed:
        """A file whose first `cut` samples do not sound; what is left begins at `at`."""
        audio, _ = soundfile.read(path, always_2d=True)
        return cls(audio[cut:], at)


def residual(mix: NDArray[np.float64], sounds: Sequence[Placed], late: int | None = None) -> float:
    """Largest sample that is left of the mix [samples, 2] when each sound is taken out where it claims to lie, at the
    gain that fits best (least squares, each channel alone). Sound `late` is looked for one sample after its place."""
    worst = 0.0
    for channel in range(2):
        placed = np.zeros((len(sounds), len(mix)))
        for i, sound in enumerate(sounds):
            at = sound.at + (i == late)
            part = sound.audio[: len(mix) - at, channel % sound.audio.shape[1]]
            placed[i, at : at + len(part)] = part
        gains, *_ = np.linalg.lstsq(placed @ placed.T, placed @ mix[:, channel], rcond=None)
        worst = max(worst, float(np.abs(mix[:, channel] - gains @ placed).max()))
    return worst


def check_mix(mix: NDArray[np.float64], sounds: Sequence[Placed]) -> None:
    """The mix is these sounds and nothing else, and none of them lies one sample later."""
    assert residual(mix, sounds) < 1e-5
    for i in range(len(sounds)):
        assert residual(mix, sounds, late=i) > 1e-4, "one sample too late must show"
