"""Weight matrices of a song model at the precision that they run in.

`float32`, `bfloat16` and `float16` are plain (float32 on a CPU is packed). `int8` keeps weights as bytes with one scale
for each output, rounded to the nearest, and calculates in 16 bits on a GPU and in bfloat16 products on a CPU: half the
memory of 16 bits, tokens close to but not the same as theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.lelm.pages import joined

KINDS = ("float32", "bfloat16", "float16", "int8")
PLAIN = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PIECE = 1 << 24
"""Weights that are rounded at a time, so that a large matrix needs no float32 copy of itself."""


class Product(Protocol):
    """x [M, K] -> x W^T [M, N], onto `add` [M, N] where given."""

    nbytes: int
    """Bytes that one product reads of its weights."""

    def __call__(self, x: Tensor, add: Tensor | None = None) -> Tensor: ...


def activations(kind: str, device: str) -> torch.dtype:
    """What is calculated with around products of a kind."""
    if kind == "int8":
        return torch.float32 if device == "cpu" else torch.float16
    return PLAIN[kind]


def make_product(parts: Sequence[Tensor], kind: str, device: str) -> Product:
    """The product with weights [N, K] put below each other."""
    if kind == "int8":
        return Rounded(parts, device)
    if kind == "float32" and device == "cpu" and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return Packed(parts)
    return Plain(joined(parts, PLAIN[kind], device))


class Plain:
    """Floating-point weights."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self.nbytes = weight.nbytes

    def __call__(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        return F.linear(x, self.weight) if add is None else torch.addmm(add, x, self.weight.t())


class Packed:
    """float32 weights on a CPU in the order in which oneDNN's product reads them.

    Eight or sixteen rows cost hardly more than two, where a product over plain weights costs twice that; and a row's
    result has the same bits whatever rows it is calculated with.
    """

    def __init__(self, parts: Sequence[Tensor]) -> None:
        whole = torch.cat([part.float() for part in parts])
        self.nbytes = whole.nbytes
        self._weight = torch.ops.mkldnn._reorder_linear_weight(whole, None)

    def __call__(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, None, "none", [], "")
        return y if add is None else y.add_(add)


class Rounded:
    """int8 weights, one scale for each output."""

    def __init__(self, parts: Sequence[Tensor], device: str) -> None:
        rounded = [round_rows(part) for part in parts]
        self.weight = torch.cat([weight for weight, _ in rounded]).to(device)
        self.scale = torch.cat([scale for _, scale in rounded]).to(device)
        self._calculate = torch.bfloat16 if device == "cpu" else torch.float16
        self._small = self.scale.to(self._calculate)
        self.nbytes = self.weight.nbytes + self._small.nbytes

    def __call__(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        if x.device.type == "cpu":
            y = torch._weight_int8pack_mm(x.to(self._calculate), self.weight, self._small).to(x.dtype)
        else:
            y = F.linear(x, self.weight.to(x.dtype)) * self.scale.to(x.dtype)
        return y if add is None else add + y


def round_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [N, K] -> int8 [N, K] and scales [N] float32."""
    out = torch.empty(weight.shape, dtype=torch.int8)
    scales = torch.empty(weight.shape[0])
    rows = max(1, PIECE // weight.shape[1])
    for start in range(0, weight.shape[0], rows):
        piece = weight[start : start + rows].float()
        scale = (piece.abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        scales[start : start + rows] = scale
        out[start : start + rows] = (piece / scale[:, None]).round().to(torch.int8)
    return out, scales
