"""A stack's step as one recorded CUDA graph for each reach: a GPU replays it without waiting for Python.

`FusedStack.step` has shapes there that depend on nothing but the rows and the reach, so what is recorded once serves
every later step. Elsewhere than on CUDA the step is run as it is, on the same fixed buffers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.lelm.caches import Cache
from engine.lelm.fused import FusedStack

WARM_UPS = 2
"""Runs before a recording, as CUDA graphs need for lazily made handles."""


class Replay:
    """Steps of one stack over one cache."""

    def __init__(self, stack: FusedStack, cache: Cache, rows: int) -> None:
        self.stack, self.cache = stack, cache
        self.x = torch.zeros(rows, stack.shape.dim, dtype=stack.dtype, device=stack.device)
        self.at = torch.zeros(rows, dtype=torch.int64, device=stack.device)
        self._recorded: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}

    def __call__(self, x: Tensor, at: Tensor, reach: int) -> Tensor:
        """As `FusedStack.step`. The result's memory is used again by the next call."""
        self.x.copy_(x)
        self.at.copy_(at)
        if not self.stack.device.startswith("cuda"):
            return self.stack.step(self.x, self.cache, self.at, reach)
        if reach not in self._recorded:
            self._recorded[reach] = self._record(reach)
        graph, hidden = self._recorded[reach]
        graph.replay()
        return hidden

    def _record(self, reach: int) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        # A step writes its own place in the cache alone, so that running it again changes nothing.
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                self.stack.step(self.x, self.cache, self.at, reach)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            hidden = self.stack.step(self.x, self.cache, self.at, reach)
        return graph, hidden
