"""Songs of random codes for the tiny renderer, and its pieces joined."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from engine.diffusion.songgeneration.renderer import Kind, Piece
from engine.rendering import Audio

WINDOW = 120
OVERLAP = WINDOW // 4
LENGTH = 250
"""Codes of a song of three windows, the last one not full."""


def random_codes(frames: int, seed: int = 1) -> Tensor:
    """int64 [3, frames]."""
    return torch.randint(0, 16384, (3, frames), generator=torch.Generator().manual_seed(seed))


def join(pieces: Iterable[Piece]) -> dict[Kind, Audio]:
    """Pieces as whole renders; they must follow each other."""
    whole: dict[Kind, list[Audio]] = {}
    start = 0
    for piece in pieces:
        assert piece.start == start
        assert len({audio.shape for audio in piece.audio.values()}) == 1
        for kind, audio in piece.audio.items():
            assert audio.dtype == np.float32
            whole.setdefault(kind, []).append(audio)
            start = piece.start + audio.shape[1]
    return {kind: np.concatenate(parts, 1) for kind, parts in whole.items()}


def apart(one: Audio, other: Audio) -> float:
    """The largest difference."""
    assert one.shape == other.shape
    return float(np.abs(one - other).max())
