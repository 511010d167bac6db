"""Llama blocks: the one transformer that LeLM (causal, cached) and the parts model (bidirectional) are made of.

RMSNorm before attention and MLP, rotary positions in the rotate-half form, SiLU-gated MLP, no biases: the published
Llama layout, with its parameter names, so that official state dicts load. Written here because importing
`transformers` costs more than the engine's whole start-up budget; a test holds it to `transformers.LlamaModel`.

Conventions: B rows, S positions, D width, H heads, E = D / H. Attention runs in the tensors' own dtype,
norms in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """Sizes of a stack. `theta` is the rotary base; `causal` False lets every position see every other."""

    dim: int
    inner: int
    heads: int
    layers: int
    theta: float = 10_000.0
    causal: bool = True
    eps: float = 1e-5


class Cache:
    """Keys and values of all layers, [layers, B, H, positions, E], allocated once. `length` positions are filled."""

    def __init__(self, shape: LlamaShape, rows: int, positions: int, dtype: torch.dtype = torch.float32) -> None:
        size = (shape.layers, rows, shape.heads, positions, shape.dim // shape.heads)
        self.keys = torch.zeros(size, dtype=dtype)
        self.values = torch.zeros(size, dtype=dtype)
        self.length = 0


class RMSNorm(nn.Module):
    """x / rms(x) * weight, statistics in float32."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), (x.shape[-1],), self.weight.float(), self.eps).to(x.dtype)


class Attention(nn.Module):
    """Multi-head attention with rotary positions."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.heads, self.causal = shape.heads, shape.causal
        self.q_proj = nn.Linear(shape.dim, shape.dim, bias=False)
        self.k_proj = nn.Linear(shape.dim, shape.dim, bias=False)
        self.v_proj = nn.Linear(shape.dim, shape.dim, bias=False)
        self.o_proj = nn.Linear(shape.dim, shape.dim, bias=False)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], cache: Cache | None, layer: int) -> Tensor:
        rows, length, dim = x.shape
        q, k, v = (
            p(x).view(rows, length, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, *turn), rotate(k, *turn)
        if cache is not None:
            start = cache.length
            cache.keys[layer, :, :, start : start + length] = k
            cache.values[layer, :, :, start : start + length] = v
            k = cache.keys[layer, :, :, : start + length]
            v = cache.values[layer, :, :, : start + length]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal and length > 1)
        return cast(Tensor, self.o_proj(y.transpose(1, 2).reshape(rows, length, dim)))


class GatedMLP(nn.Module):
    """down(silu(gate(x)) * up(x))."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.dim, shape.inner, bias=False)
        self.up_proj = nn.Linear(shape.dim, shape.inner, bias=False)
        self.down_proj = nn.Linear(shape.inner, shape.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x)))


class Block(nn.Module):
    """Attention and MLP, each on the normed stream and added to it."""

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = GatedMLP(shape)
        self.input_layernorm = RMSNorm(shape.dim, shape.eps)
        self.post_attention_layernorm = RMSNorm(shape.dim, shape.eps)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], cache: Cache | None, layer: int) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), turn, cache, layer)
        return cast(Tensor, x + self.mlp(self.post_attention_layernorm(x)))


class Llama(nn.Module):
    """A stack of blocks over embeddings [B, S, D], normed at the end.

    With a `Cache` the S positions follow the cached ones. A longer run than one position is only allowed on an empty
    cache (the prompt); after that one position at a time, as decoding does.
    """

    def __init__(self, shape: LlamaShape) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.ModuleList([Block(shape) for _ in range(shape.layers)])
        self.norm = RMSNorm(shape.dim, shape.eps)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        start = 0 if cache is None else cache.length
        if start and x.shape[1] > 1:
            raise ValueError("after the prompt a cached stack takes one position at a time")
        turn = rotary(start, x.shape[1], self.shape, x.dtype)
        for layer, block in enumerate(self.layers):
            x = block(x, turn, cache, layer)
        if cache is not None:
            cache.length += x.shape[1]
        return cast(Tensor, self.norm(x))


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs torch on one thread for a while.

    The composing models are so small that a second thread gains nothing, and where another program (the DAW) holds a
    core the threads wait for each other at every operation: a song took 60 s instead of 3. It also makes results
    independent of the machine's number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def rotary(start: int, length: int, shape: LlamaShape, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines [S, E] of positions start..start+length, computed in float32."""
    half = shape.dim // shape.heads // 2
    rates = shape.theta ** (-torch.arange(half, dtype=torch.float32) / half)
    angles = torch.arange(start, start + length, dtype=torch.float32)[:, None] * rates
    angles = torch.cat((angles, angles), -1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns [B, H, S, E] by the angles of its positions (first half pairs with second half)."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin
