"""The delay pattern: codebook q runs `delays[q]` steps behind the sequence.

Sequence step 0 is all `special`; at step s >= 1 codebook q holds code t = s - 1 - delays[q] where 0 <= t < T, else
`special`. T codes make 1 + T + max(delays) steps. After SongGeneration's (LeVo's) published pattern.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def steps_for(frames: int, delays: Sequence[int]) -> int:
    """Sequence steps that `frames` codes take."""
    return 1 + frames + max(delays)


def delay(codes: Tensor, delays: Sequence[int], special: int) -> tuple[Tensor, Tensor]:
    """Codes [B, K, T] -> sequence [B, K, S] and the mask [K, S] of steps that hold a code."""
    rows, streams, frames = codes.shape
    steps = steps_for(frames, delays)
    sequence = torch.full((rows, streams, steps), special, dtype=codes.dtype)
    mask = code_steps(frames, delays)
    for q, d in enumerate(delays):
        sequence[:, q, 1 + d : 1 + d + frames] = codes[:, q]
    return sequence, mask


def code_steps(frames: int, delays: Sequence[int]) -> Tensor:
    """Mask [K, S]: where the sequence holds a code rather than the special token."""
    at = torch.arange(steps_for(frames, delays))[None] - 1 - torch.tensor(list(delays))[:, None]
    return (at >= 0) & (at < frames)


def undelay(sequence: Tensor, frames: int, delays: Sequence[int]) -> Tensor:
    """Sequence [B, K, S] -> codes [B, K, T]."""
    return torch.stack([sequence[:, q, 1 + d : 1 + d + frames] for q, d in enumerate(delays)], 1)
