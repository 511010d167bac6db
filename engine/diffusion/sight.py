"""What the parts network sees while a canvas is being written: states of every window that has something hidden.

What is recalled is kept from step to step and brought up to date only for the streams that are being written. A short
stretch (a few bars of one part) is seen through one narrow window.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.diffusion.canvas import STREAMS, Canvas
from engine.diffusion.context import ROLES, canvas2context, recall_streams, with_density
from engine.diffusion.network import PartsNet

MARGIN = 64
"""Steps that are seen on each side of a hidden stretch: four bars of 4/4 at four steps a beat."""

Seen = tuple[Tensor, Tensor, Tensor]
"""States [T, D], recalled embeddings [T, R, 6, C], recalled cells [T, R, 6]. The first two are undefined in windows
without a hidden cell, where nobody asks."""


class Sight:
    """One canvas before the network. `cells` [T, 6] and which of them are `hidden` as they are at first: only those are
    ever written."""

    def __init__(self, net: PartsNet, canvas: Canvas, cells: NDArray[np.int16], hidden: NDArray[np.bool_]) -> None:
        self.net = net
        self.context = canvas2context(canvas)
        self.masks = np.array(net.shape.masks, dtype=np.int16)
        self.rows = torch.from_numpy(with_density(self.context, cells, ~hidden).astype(np.int64))
        self.joins = np.array([canvas.grid.joins(t) for t in range(canvas.grid.steps)], dtype=bool)
        self.recalled = np.empty((len(cells), ROLES, len(STREAMS)), dtype=np.int16)
        shown = np.where(hidden, self.masks, cells)
        recall_streams(self.recalled, self.context, shown, self.masks, range(len(STREAMS)))
        self.written = [s for s in range(len(STREAMS)) if hidden[:, s].any()]

    def again(self) -> Sight:
        """The same canvas from its beginning, for another run."""
        other = object.__new__(Sight)
        other.__dict__.update(self.__dict__)
        other.recalled = self.recalled.copy()
        return other

    def encode(self, cells: NDArray[np.int16], hidden: NDArray[np.bool_], *, shifted: bool) -> Seen:
        """What is seen with so much hidden. `shifted`: windows lie half a width further."""
        visible = np.where(hidden, self.masks, cells)
        recall_streams(self.recalled, self.context, visible, self.masks, self.written)
        shown, recalled = torch.from_numpy(visible.astype(np.int64)), torch.from_numpy(self.recalled.astype(np.int64))
        T, shape = len(shown), self.net.shape
        states = torch.empty(T, shape.dim)
        looked = torch.empty(T, ROLES, len(STREAMS), shape.cell)
        for first, last in windows_over(np.asarray(hidden.any(1)), shape.window, shifted=shifted):
            span = slice(first, last)
            state, seen = self.net.encode(shown[None, span], recalled[None, span], self.rows[None, span])
            states[span], looked[span] = state[0], seen[0]
        return states, looked, recalled


def windows_over(hidden: NDArray[np.bool_], width: int, *, shifted: bool) -> Iterator[tuple[int, int]]:
    """Spans that cover every hidden step [T]: one narrow window about a short stretch, else those of `windows` that
    hold one."""
    at = np.flatnonzero(hidden)
    if not len(at):
        return
    first, last = max(int(at[0]) - MARGIN, 0), min(int(at[-1]) + 1 + MARGIN, len(hidden))
    if last - first <= width:
        yield first, last
        return
    yield from ((a, b) for a, b in windows(len(hidden), width, shifted=shifted) if hidden[a:b].any())


def windows(steps: int, width: int, *, shifted: bool) -> Iterator[tuple[int, int]]:
    """Spans that cover `steps`; every other diffusion step they are shifted by half a width, so that no edge stays."""
    if steps <= width:
        yield 0, steps
        return
    first = 0
    cut = width // 2 if shifted else width
    while first < steps:
        last = min(first + cut, steps)
        start = max(0, min(first, steps - width)) if last == steps else first
        yield start, last
        first, cut = last, width
