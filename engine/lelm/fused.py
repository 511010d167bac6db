"""A Llama stack laid out for writing songs: joined projections, static caches, few operations per step.

Same mathematics and published names as `engine.llama` (a test holds it to that); q, k, v are one product, gate and up
another. Two ways to go on: `run` takes S positions that all rows share (prompts, single songs, blocks to verify),
`step` one position per row, each at its own place, with shapes that never change: what a CUDA graph can replay.

Conventions: B rows, S positions, D width, H heads, E = D / H. Caches [2, B, H, positions, E] per layer; on a CPU in
float32 positions lie next to each other in memory, so that one query's products run along them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.lelm.pages import zeros
from engine.lelm.products import Product, activations, make_product
from engine.llama import LlamaShape, rotary


@dataclass(frozen=True, slots=True)
class _Layer:
    before_attention: Tensor
    qkv: Product
    out: Product
    before_mlp: Tensor
    gate_up: Product
    down: Product


class FusedStack:
    """Weights of one transformer on their device, and its tables of rotations."""

    def __init__(
        self,
        shape: LlamaShape,
        weights: Mapping[str, Tensor],
        name: str,
        positions: int,
        kind: str = "float32",
        device: str = "cpu",
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Takes `{name}.layers.N...` and `{name}.norm.weight` out of `weights`; `positions`: the longest sequence.

        `tick` is called before each layer is moved.
        """
        self.shape, self.kind, self.device = shape, kind, device
        self.dtype = activations(kind, device)

        def vector(part: str) -> Tensor:
            return weights[f"{name}.{part}.weight"].to(device, torch.float32)

        def product(*parts: str) -> Product:
            return make_product([weights[f"{name}.{part}.weight"] for part in parts], kind, device)

        def layer(n: int) -> _Layer:
            tick()
            return _Layer(
                vector(f"layers.{n}.input_layernorm"),
                product(*(f"layers.{n}.self_attn.{p}_proj" for p in "qkv")),
                product(f"layers.{n}.self_attn.o_proj"),
                vector(f"layers.{n}.post_attention_layernorm"),
                product(f"layers.{n}.mlp.gate_proj", f"layers.{n}.mlp.up_proj"),
                product(f"layers.{n}.mlp.down_proj"),
            )

        self.layers = [layer(n) for n in range(shape.layers)]
        self.norm = vector("norm")
        cos, sin = rotary(0, positions, shape, torch.float32)
        half = cos.shape[1] // 2
        # rotate-half as a roll by half a head: its first half counts negative.
        signed = torch.cat((-sin[:, :half], sin[:, half:]), 1)
        self.cos, self.sin = cos.to(device, self.dtype), signed.to(device, self.dtype)

    def new_cache(self, rows: int, positions: int) -> list[Tensor]:
        """Empty keys and values, one tensor [2, rows, H, positions, E] for each layer."""
        heads = self.shape.heads
        size = [2, rows, heads, positions, self.shape.dim // heads]
        if self.device != "cpu" or self.dtype != torch.float32:
            return [zeros(size, self.dtype, self.device) for _ in self.layers]
        size[3:] = size[:2:-1]
        return [zeros(size, self.dtype, self.device).transpose(3, 4) for _ in self.layers]

    def run(self, x: Tensor, cache: list[Tensor], start: int) -> Tensor:
        """Positions start .. start + S of every row: embeddings [B, S, D] -> normed hidden states [B, S, D]."""
        rows, length, dim = x.shape
        stop = start + length
        turn = self.cos[start:stop, None, None], self.sin[start:stop, None, None]
        mask = None
        if start and length > 1:
            mask = torch.ones(length, stop, dtype=torch.bool, device=x.device).tril(start)
        heads, half = self.shape.heads, dim // self.shape.heads // 2
        x = x.reshape(rows * length, dim).to(self.dtype)
        for layer, kv in zip(self.layers, cache, strict=True):
            qkv = layer.qkv(self._normed(x, layer.before_attention)).view(rows, length, 3, heads, -1)
            qk = qkv[:, :, :2]
            qk = torch.addcmul(qk * turn[0], qk.roll(half, -1), turn[1]).transpose(1, 3)
            kv[0, :, :, start:stop] = qk[:, :, 1]
            kv[1, :, :, start:stop] = qkv[:, :, 2].transpose(1, 2)
            y = _attention(qk[:, :, 0], kv[:, :, :, :stop], mask)
            x = layer.out(y.transpose(1, 2).reshape(rows * length, dim), x)
            x = self._mlp(layer, x)
        return self._normed(x, self.norm).view(rows, length, dim)

    def step(self, x: Tensor, cache: list[Tensor], at: Tensor, reach: int) -> Tensor:
        """One position of each row: embeddings [B, D], places `at` [B] int64 -> normed hidden states [B, D].

        Looks at the cache's first `reach` positions, those behind a row's place hidden: no shape depends on a place.
        """
        rows, dim = x.shape
        heads, half = self.shape.heads, dim // self.shape.heads // 2
        turn = self.cos[at][:, None, None], self.sin[at][:, None, None]
        each = torch.arange(rows, device=x.device)
        mask = (torch.arange(reach, device=x.device) <= at[:, None])[:, None, None]
        x = x.to(self.dtype)
        for layer, kv in zip(self.layers, cache, strict=True):
            qkv = layer.qkv(self._normed(x, layer.before_attention)).view(rows, 3, heads, -1)
            qk = qkv[:, :2]
            qk = torch.addcmul(qk * turn[0], qk.roll(half, -1), turn[1])
            kv[0][each, :, at] = qk[:, 1]
            kv[1][each, :, at] = qkv[:, 2]
            y = _attention(qk[:, 0, :, None], kv[:, :, :, :reach], mask)
            x = layer.out(y.reshape(rows, dim), x)
            x = self._mlp(layer, x)
        return self._normed(x, self.norm)

    @property
    def nbytes(self) -> int:
        """Bytes of weights that a step reads."""
        return sum(p.nbytes for layer in self.layers for p in (layer.qkv, layer.out, layer.gate_up, layer.down))

    def _mlp(self, layer: _Layer, x: Tensor) -> Tensor:
        gate, up = layer.gate_up(self._normed(x, layer.before_mlp)).chunk(2, -1)
        return layer.down(F.silu(gate) * up, x)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x.float(), (x.shape[-1],), weight, self.shape.eps).to(x.dtype)


def _attention(q: Tensor, kv: Tensor, mask: Tensor | None) -> Tensor:
    """q [B, H, S, E] over kv [2, B, H, P, E] -> [B, H, S, E]. Without a mask one query sees all, several are causal."""
    if kv.stride(4) == 1:
        return F.scaled_dot_product_attention(q, kv[0], kv[1], mask, is_causal=mask is None and q.shape[2] > 1)
    if q.shape[2] > 1:
        k, v = kv.contiguous()
        return F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None)
    weights = torch.matmul(q * q.shape[3] ** -0.5, kv[0].transpose(2, 3))
    if mask is not None:
        weights = weights.masked_fill(~mask, -torch.inf)
    return torch.matmul(weights.softmax(-1), kv[1])
