"""A Llama stack laid out for writing songs: joined projections, static caches, few operations per step.

Same mathematics and published names as `engine.llama` (a test holds it to that); q, k, v are one product, gate and up
another. Two ways to go on: `run` takes S positions that all rows share (prompts, single songs, blocks to verify),
`step` one position per row, each at its own place, with shapes that never change: what a CUDA graph can replay.

Conventions: B rows, S positions, D width, H heads, E = D / H. Keys and values are kept by `engine.lelm.caches`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.lelm.caches import Apart, Cache, Whole, new_cache
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

    def new_cache(self, rows: int, positions: int, prefix: int = 0) -> Whole | Apart:
        """Empty keys and values for `positions` positions, `prefix` of which are filled from what was read before."""
        c = self.shape
        return new_cache(c.layers, rows, c.heads, c.dim // c.heads, positions, self.dtype, self.device, prefix)

    def run(self, x: Tensor, cache: Cache, start: int) -> Tensor:
        """Positions start .. start + S of every row: embeddings [B, S, D] -> normed hidden states [B, S, D]."""
        rows, length, dim = x.shape
        stop = start + length
        turn = self.cos[start:stop, None, None], self.sin[start:stop, None, None]
        heads, half = self.shape.heads, dim // self.shape.heads // 2
        x = x.reshape(rows * length, dim).to(self.dtype)
        for n, layer in enumerate(self.layers):
            qkv = layer.qkv(self._normed(x, layer.before_attention)).view(rows, length, 3, heads, -1)
            qk = qkv[:, :, :2]
            qk = torch.addcmul(qk * turn[0], qk.roll(half, -1), turn[1]).transpose(1, 3)
            y = cache.run(n, qk[:, :, 0], qk[:, :, 1], qkv[:, :, 2].transpose(1, 2), start)
            x = layer.out(y.transpose(1, 2).reshape(rows * length, dim), x)
            x = self._mlp(layer, x)
        return self._normed(x, self.norm).view(rows, length, dim)

    def step(self, x: Tensor, cache: Cache, at: Tensor, reach: int) -> Tensor:
        """One position of each row: embeddings [B, D], places `at` [B] int64 -> normed hidden states [B, D].

        Looks at the cache's first `reach` positions, those behind a row's place hidden.
        """
        rows, dim = x.shape
        heads, half = self.shape.heads, dim // self.shape.heads // 2
        turn = self.cos[at][:, None, None], self.sin[at][:, None, None]
        view = cache.view(at, reach)
        x = x.to(self.dtype)
        for n, layer in enumerate(self.layers):
            qkv = layer.qkv(self._normed(x, layer.before_attention)).view(rows, 3, heads, -1)
            qk = qkv[:, :2]
            qk = torch.addcmul(qk * turn[0], qk.roll(half, -1), turn[1])
            y = cache.step(n, qk[:, 0], qk[:, 1], qkv[:, 2], view)
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
