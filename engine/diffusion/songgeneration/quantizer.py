"""Codes and what they stand for: one codebook of 32 numbers a code, projected out to a condition and in from features.

The projections are convolutions of width one with weight normalisation, folded when they are loaded:
`W = g * v / |v|`, the norm taken over a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from engine.diffusion.songgeneration.tensors import Shape, TensorFile, check_tensors

BOOK = "quantizers.0."


@dataclass(frozen=True)
class Codebook:
    """`entries` [codes, size]; `weight`, `bias`: the projection out ([width, size], [width]) or in ([size, width])."""

    entries: Tensor
    weight: Tensor
    bias: Tensor

    def to(self, device: str) -> Codebook:
        """The same on a device."""
        return Codebook(self.entries.to(device), self.weight.to(device), self.bias.to(device))

    def codes2condition(self, codes: Tensor) -> Tensor:
        """int64 [...] -> float32 [..., width]; the entries are taken as they are, not at unit length."""
        return functional.linear(self.entries[codes], self.weight, self.bias)

    def features2codes(self, features: Tensor) -> Tensor:
        """float32 [..., width] -> int64 [...]."""
        return self.nearest(functional.linear(features, self.weight, self.bias))

    def nearest(self, latents: Tensor) -> Tensor:
        """float32 [..., size] -> the codes whose entries point most nearly the same way, int64 [...]."""
        return (functional.normalize(latents, dim=-1) @ functional.normalize(self.entries, dim=-1).T).argmax(-1)


def check_codebook(file: TensorFile, prefix: str) -> tuple[int, int]:
    """(codes, width of the condition) of the codebook under `prefix`. Raises `JobError`."""
    codes, size = file.shape(f"{prefix}{BOOK}codebook.weight", 2)
    width = file.shape(f"{prefix}{BOOK}out_proj.bias", 1)[0]
    wanted: dict[str, Shape] = {"codebook.weight": (codes, size)}
    for name, out, into in (("in_proj", size, width), ("out_proj", width, size)):
        wanted |= {f"{name}.weight_g": (out, 1, 1), f"{name}.weight_v": (out, into, 1), f"{name}.bias": (out,)}
    check_tensors(file, prefix, {BOOK + name: shape for name, shape in wanted.items()}, [BOOK + "stale_counter"])
    return codes, width


def load_codebook(file: TensorFile, prefix: str, projection: str) -> Codebook:
    """The codebook under `prefix` with its `out_proj` or `in_proj`."""
    base = prefix + BOOK
    names = [f"{base}codebook.weight", *(f"{base}{projection}.{part}" for part in ("weight_g", "weight_v", "bias"))]
    entries, gain, direction, bias = file.take(names).values()
    return Codebook(entries, fold_weight_norm(gain, direction)[..., 0], bias)


def fold_weight_norm(gain: Tensor, direction: Tensor) -> Tensor:
    """Weight normalisation over all dimensions but the first, as one weight."""
    size: Tensor = torch.linalg.vector_norm(direction, dim=(1, 2), keepdim=True)
    return direction * (gain / size)
