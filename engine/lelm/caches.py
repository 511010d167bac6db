"""Keys and values of the positions that rows have gone through: a prefix that they read, and what they wrote behind it.

Two ways to keep them. `Whole`: both in one tensor for each layer, and every look at it of one shape; what a CUDA graph
can replay, and fused attention wants. `Apart`, on a CPU in float32: a prefix is kept once for all rows that begin with
it (the null row's is every song's, takes share their words'), and read once for all of them at a step, in one product;
decoding there is bound by memory. Positions lie next to each other, so that one query's products run along them.

Conventions: B rows, S positions, H heads, E wide. Prefixes [2, 1, H, L, E] (keys, values) for each layer; positions
are counted from the prefix's first. A step's rows stand at places of their own; `reach` is how far any of them looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.lelm.pages import zeros

Kept = list[Tensor]
"""Keys and values [2, rows, H, positions, E] by layer."""
Rows = slice | Tensor


@dataclass(frozen=True, slots=True)
class View:
    """What a step sees: the places [B] that it writes, the reach, and what is hidden of it (None: nothing)."""

    at: Tensor
    reach: int
    mask: Tensor | None
    place: int | None
    """The one place where all rows stand, where that is known and so."""


class Cache(Protocol):
    """Either of them."""

    def fill(self, prefixes: Sequence[Kept]) -> None:
        """Gives each row the prefix that it goes on from."""

    def part(self, rows: slice) -> Cache:
        """The same memory, those rows alone."""

    def run(self, n: int, q: Tensor, k: Tensor, v: Tensor, start: int) -> Tensor:
        """Layer n's attention of positions start .. start + S of every row, [B, H, S, E], which are kept."""

    def view(self, at: Tensor, reach: int) -> View:
        """What one position of each row sees, at places `at` [B] int64 below `reach`."""

    def step(self, n: int, q: Tensor, k: Tensor, v: Tensor, view: View) -> Tensor:
        """Layer n's attention of one position of each row, [B, H, E], which is kept."""


def new_cache(
    layers: int, rows: int, heads: int, width: int, positions: int, dtype: torch.dtype, device: str, prefix: int
) -> Whole | Apart:
    """An empty one for `positions` positions, `prefix` of which are read and not written."""
    if device != "cpu" or dtype != torch.float32:
        return Whole([zeros((2, rows, heads, positions, width), dtype, device) for _ in range(layers)])
    size = (2, rows, heads, width, positions - prefix)
    kept = [zeros(size, dtype, device).transpose(3, 4) for _ in range(layers)]
    return Apart(kept, range(rows), _Prefixes(rows, prefix))


class Whole:
    """Prefix and song in one tensor."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept

    def fill(self, prefixes: Sequence[Kept]) -> None:
        for row, prefix in enumerate(prefixes):
            for read, kv in zip(prefix, self.kept, strict=True):
                kv[:, row : row + 1, :, : read.shape[3]] = read

    def part(self, rows: slice) -> Whole:
        return Whole([kv[:, rows] for kv in self.kept])

    def run(self, n: int, q: Tensor, k: Tensor, v: Tensor, start: int) -> Tensor:
        stop = start + q.shape[2]
        kv = self.kept[n]
        kv[0, :, :, start:stop], kv[1, :, :, start:stop] = k, v
        return _block(q, kv[:, :, :, :stop], start)

    def view(self, at: Tensor, reach: int) -> View:
        mask = (torch.arange(reach, device=at.device) <= at[:, None])[:, None, None]
        return View(at, reach, mask, None)

    def step(self, n: int, q: Tensor, k: Tensor, v: Tensor, view: View) -> Tensor:
        kv, each = self.kept[n], torch.arange(q.shape[0], device=q.device)
        kv[0][each, :, view.at], kv[1][each, :, view.at] = k, v
        seen = kv[:, :, :, : view.reach]
        return F.scaled_dot_product_attention(q[:, :, None], seen[0], seen[1], view.mask)[:, :, 0]


class Apart:
    """Prefixes of their own, each once."""

    def __init__(self, kept: Kept, rows: range, prefixes: _Prefixes) -> None:
        """`kept`: what the rows wrote; `rows`: their numbers in `prefixes`."""
        self.kept, self._rows, self._prefixes = kept, rows, prefixes

    def fill(self, prefixes: Sequence[Kept]) -> None:
        self._prefixes.put(self._rows, prefixes)

    def part(self, rows: slice) -> Apart:
        return Apart([kv[:, rows] for kv in self.kept], self._rows[rows], self._prefixes)

    def run(self, n: int, q: Tensor, k: Tensor, v: Tensor, start: int) -> Tensor:
        first = start - self._prefixes.length
        stop = first + q.shape[2]
        kv = self.kept[n]
        kv[0, :, :, first:stop], kv[1, :, :, first:stop] = k, v
        if q.shape[2] == 1 and len(self._rows) == len(self._prefixes.of):
            return self._see(n, q[:, :, 0], stop, None)[:, :, None]
        seen = kv[:, :, :, :stop]
        if self._prefixes.length:
            seen = torch.cat((torch.cat([self._prefixes.of[row][n] for row in self._rows], 1), seen), 3)
        return _block(q, seen.contiguous(), start)

    def view(self, at: Tensor, reach: int) -> View:
        # An empty slot stands at its first place.
        at = (at - self._prefixes.length).clamp_(min=0)
        least, most = (int(place) for place in at.aminmax())
        if least == most:
            return View(at, most + 1, None, most)
        hidden = torch.arange(most + 1) > at[:, None]
        return View(at, most + 1, torch.zeros(hidden.shape).masked_fill_(hidden, -torch.inf)[:, None], None)

    def step(self, n: int, q: Tensor, k: Tensor, v: Tensor, view: View) -> Tensor:
        kv = self.kept[n]
        if view.place is None:
            each = torch.arange(q.shape[0])
            kv[0][each, :, view.at], kv[1][each, :, view.at] = k, v
        else:
            kv[0, :, :, view.place], kv[1, :, :, view.place] = k, v
        return self._see(n, q, view.reach, view.mask)

    def _see(self, n: int, q: Tensor, reach: int, mask: Tensor | None) -> Tensor:
        """q [B, H, E] over each row's prefix and what it wrote; `mask` [B, 1, reach] is added to the latter's weights.

        One softmax over both parts, whose products are made apart.
        """
        before, kv = self._prefixes.length, self.kept[n]
        q = q * q.shape[2] ** -0.5
        weights = torch.empty(*q.shape[:2], before + reach)
        own = torch.matmul(q[:, :, None], kv[0, :, :, :reach].transpose(2, 3))[:, :, 0]
        weights[:, :, before:] = own if mask is None else own + mask
        for rows, prefix in self._prefixes.groups:
            keys = prefix[n][0, 0].transpose(1, 2)
            weights[rows, :, :before] = torch.bmm(q[rows].transpose(0, 1), keys).transpose(0, 1)
        weights = weights.softmax(-1)
        y = torch.matmul(weights[:, :, None, before:], kv[1, :, :, :reach])[:, :, 0]
        for rows, prefix in self._prefixes.groups:
            y[rows] += torch.bmm(weights[rows, :, :before].transpose(0, 1), prefix[n][1, 0]).transpose(0, 1)
        return y


class _Prefixes:
    """Which row goes on from which prefix, and the rows of each."""

    def __init__(self, rows: int, length: int) -> None:
        self.of: list[Kept] = [[] for _ in range(rows)]
        self.length = length
        self.groups: list[tuple[Rows, Kept]] = []

    def put(self, rows: range, prefixes: Sequence[Kept]) -> None:
        for row, prefix in zip(rows, prefixes, strict=True):
            self.of[row] = prefix
        together: dict[int, list[int]] = {}
        for row, prefix in enumerate(self.of):
            if prefix:
                together.setdefault(id(prefix), []).append(row)
        self.groups = [(_rows(found), self.of[found[0]]) for found in together.values()]


def _rows(numbers: list[int]) -> Rows:
    """Rows as a slice where they follow each other: no copies."""
    first, last = numbers[0], numbers[-1]
    return slice(first, last + 1) if last - first + 1 == len(numbers) else torch.tensor(numbers)


def _block(q: Tensor, kv: Tensor, start: int) -> Tensor:
    """Positions start .. start + S, q [B, H, S, E], over kv [2, B, H, start + S, E]: each sees those up to itself."""
    length = q.shape[2]
    mask = None
    if start and length > 1:
        mask = torch.ones(length, start + length, dtype=torch.bool, device=q.device).tril(start)
    return F.scaled_dot_product_attention(q, kv[0], kv[1], mask, is_causal=not start and length > 1)
