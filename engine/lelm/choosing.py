"""From guided logits to a song's next code: penalty, forbidden codes, and one draw whose chance is laid out beforehand.

A draw is argmax(p / e) with e from an exponential distribution: what `torch.multinomial` does for one sample. Because e
belongs to the step and not to the way it is reached, decoding in blocks or in batches draws the same codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

PENALTY = 1.1
MAIN_SALT, SUB_SALT = 1, 2


@dataclass(frozen=True, slots=True)
class SongSampling:
    """The published values. `temperature` 0 is greedy. `top_k` holds for codebook 0, the others then take their best
    code; `top_p` above 0 takes its place and holds for all; with neither, all are drawn from all codes. The
    `penalty_window` last codes of a codebook are made less likely; 0 turns that off."""

    temperature: float = 0.8
    top_k: int = 5000
    top_p: float = 0.0
    guidance: float = 1.5
    penalty_window: int = 50

    @property
    def sub_is_best(self) -> bool:
        """Whether codebooks 1 and 2 need no chance."""
        return self.temperature == 0.0 or (self.top_p == 0.0 and self.top_k > 0)


class Chance(Protocol):
    """Exponential numbers of a song's steps, asked in order of steps."""

    def main(self, step: int) -> Tensor:
        """[1, V] for codebook 0."""

    def sub(self, step: int) -> Tensor:
        """[2, V] for codebooks 1 and 2."""


class SeededChance:
    """Numbers from a seed, one stream for codebook 0 and one for the others, drawn on the device."""

    def __init__(self, seed: int, codes: int, device: str) -> None:
        self._size, self._device = codes, device
        self._main, self._sub = (
            torch.Generator(device).manual_seed((seed * 4 + salt) % (1 << 63)) for salt in (MAIN_SALT, SUB_SALT)
        )

    def main(self, step: int) -> Tensor:
        return torch.empty(1, self._size, device=self._device).exponential_(generator=self._main)

    def sub(self, step: int) -> Tensor:
        return torch.empty(2, self._size, device=self._device).exponential_(generator=self._sub)


def penalise(logits: Tensor, recent: Tensor, code_size: int) -> Tensor:
    """logits [K, V] with each code that `recent` [K, n] holds divided by 1.1, whatever its sign; end and special
    tokens are left alone. In place; reads nothing back from the device."""
    at = recent.clamp(max=code_size)
    factor = torch.where(recent < code_size, PENALTY, 1.0)
    return logits.scatter_(1, at, logits.gather(1, at) / factor)


def choose(logits: Tensor, sampling: SongSampling, chance: Tensor | None, top_k: int) -> Tensor:
    """Codes [K] from logits [K, V] float32; `chance` [K, V] unless greedy."""
    if chance is None:
        return logits.argmax(-1)
    p = torch.softmax(logits / sampling.temperature, -1)
    if sampling.top_p > 0.0:
        ranked, order = p.sort(-1, descending=True)
        ranked = ranked.masked_fill(ranked.cumsum(-1) - ranked > sampling.top_p, 0.0)
        best = (ranked / ranked.sum(-1, keepdim=True) / chance).argmax(-1, keepdim=True)
        return order.gather(-1, best)[:, 0]
    if top_k:
        least = p.topk(min(top_k, p.shape[-1]), -1).values[:, -1:]
        p = p * (p >= least)
        p = p / p.sum(-1, keepdim=True)
    return (p / chance).argmax(-1)
