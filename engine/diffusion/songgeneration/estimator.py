"""The flow's network: a bidirectional transformer that says, frame by frame, where noise shall move to.

Blocks of attention and MLP whose norms are scaled, shifted and gated by the flow's time. Positions come twice: a table
added to the input, and rotary pairs of neighbouring channels in attention. A frame's channels are its embedding:
`mask | latents already known | condition | latents in the making`, and the velocity is the last of the output's.

The solver's times are known before it starts, so everything that depends on them alone is worked out once for each
(`modulate`), with a norm's own weights multiplied in. All frames are valid: there is no attention mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

ROTARY_BASE = 10_000.0
TIME_BASE = 10_000.0
TIME_SCALE = 1000.0
NORM_EPS = 1e-5


@dataclass(frozen=True)
class EstimatorShape:
    """Sizes. `inner`: of the MLP; `positions`: longest window in frames; `times`: width of a time's embedding;
    `out`: how many of the output's last channels are the velocity."""

    width: int
    inner: int
    layers: int
    heads: int
    positions: int
    times: int
    out: int


@dataclass(frozen=True)
class BlockModulation:
    """A block at one time: both norms' weight and bias, and both gates; each [width]."""

    attention_norm: tuple[Tensor, Tensor]
    attention_gate: Tensor
    mlp_norm: tuple[Tensor, Tensor]
    mlp_gate: Tensor


@dataclass(frozen=True)
class Modulation:
    """The network at one time."""

    blocks: tuple[BlockModulation, ...]
    final_norm: tuple[Tensor, Tensor]


class Table(nn.Module):
    """A vector for each place. (torch's own draws its first values, which on the meta device costs seconds.)"""

    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(places, width))


class Projection(nn.Module):
    """A linear layer whose weight is [in, out], as GPT-2 keeps it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] of any precision -> [..., out] in the weight's."""
        flat = x.to(self.weight.dtype).reshape(-1, x.shape[-1])
        return torch.addmm(self.bias, flat, self.weight).view(*x.shape[:-1], -1)


class Attention(nn.Module):
    """Every frame attends to every frame."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = Projection(width, 3 * width)
        self.c_proj = Projection(width, width)

    def forward(self, x: Tensor, rotary: Tensor) -> Tensor:
        """x [B, T, width], rotary [2, T, width / heads / 2] -> [B, T, width]."""
        rows, frames, width = x.shape
        q, k, v = self.c_attn(x).view(rows, frames, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(_turn(q, rotary), _turn(k, rotary), v)
        out: Tensor = self.c_proj(mixed.transpose(1, 2).reshape(rows, frames, width))
        return out


class Mlp(nn.Module):
    """Two projections around GELU's tanh form."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.c_fc = Projection(width, inner)
        self.c_proj = Projection(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] -> the same."""
        out: Tensor = self.c_proj(functional.gelu(self.c_fc(x), approximate="tanh"))
        return out


class Block(nn.Module):
    """Attention and MLP; the residual stream stays in float32 whatever the matrices are in."""

    def __init__(self, shape: EstimatorShape) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(shape.width, eps=NORM_EPS)
        self.attn = Attention(shape.width, shape.heads)
        self.ln_2 = nn.LayerNorm(shape.width, eps=NORM_EPS)
        self.mlp = Mlp(shape.width, shape.inner)
        self.scale_shift_table = nn.Parameter(torch.empty(6, shape.width))

    def forward(self, hidden: Tensor, rotary: Tensor, at: BlockModulation) -> Tensor:
        """hidden float32 [B, T, width] -> the same."""
        mixed = self.attn(_norm(hidden, at.attention_norm), rotary)
        hidden = torch.addcmul(hidden, mixed.float(), at.attention_gate)
        return torch.addcmul(hidden, self.mlp(_norm(hidden, at.mlp_norm)).float(), at.mlp_gate)

    def modulate(self, modulation: Tensor) -> BlockModulation:
        """modulation [6, width] of a time: shift, scale, gate of attention, then of the MLP."""
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.scale_shift_table + modulation
        return BlockModulation(_into(self.ln_1, scale, shift), gate, _into(self.ln_2, mlp_scale, mlp_shift), mlp_gate)


class TimestepEmbedder(nn.Module):
    """A time's embedding through two layers."""

    def __init__(self, times: int, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(times, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, embedded: Tensor) -> Tensor:
        """[S, times] -> [S, width]."""
        out: Tensor = self.linear_2(functional.silu(self.linear_1(embedded)))
        return out


class TimeModulation(nn.Module):
    """`adaln_single` of the checkpoint: a time as its embedding and as the modulation that all blocks share."""

    def __init__(self, times: int, width: int) -> None:
        super().__init__()
        self.emb = nn.ModuleDict({"timestep_embedder": TimestepEmbedder(times, width)})
        self.linear = nn.Linear(width, 6 * width)

    def forward(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """[S, times] -> [S, width] and [S, 6, width]."""
        inner = self.emb["timestep_embedder"](embedded)
        return inner, self.linear(functional.silu(inner)).view(len(embedded), 6, -1)


class Estimator(nn.Module):
    """State names are the checkpoint's, without its unused token table `wte`."""

    def __init__(self, shape: EstimatorShape) -> None:
        super().__init__()
        self.shape = shape
        self.wpe = Table(shape.positions, shape.width)
        self.h = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.ln_f = nn.LayerNorm(shape.width, eps=NORM_EPS)
        self.scale_shift_table = nn.Parameter(torch.empty(2, shape.width))
        self.proj_out = nn.Linear(shape.width, shape.width)
        self.adaln_single = TimeModulation(shape.times, shape.width)

    def halve(self, dtype: torch.dtype) -> None:
        """Puts the matrices of attention and MLP, nearly all of the weights, at another precision."""
        for block in self.h:
            for part in block.modules():
                if isinstance(part, Projection):
                    part.to(dtype)

    def modulate(self, times: Sequence[float]) -> list[Modulation]:
        """What depends on the flow's times (0 noise, 1 sound) alone."""
        inner, shared = self.adaln_single(embed_times(torch.tensor(times), self.shape.times).to(self.wpe.weight.device))
        return [self._modulation(e, m) for e, m in zip(inner, shared, strict=True)]

    def _modulation(self, inner: Tensor, shared: Tensor) -> Modulation:
        shift, scale = self.scale_shift_table + inner
        blocks = tuple(block.modulate(shared) for block in self.h if isinstance(block, Block))
        return Modulation(blocks, _into(self.ln_f, scale, shift))

    def rotary(self, frames: int) -> Tensor:
        """Cosines and sines of the first positions' turns: [2, frames, width / heads / 2]."""
        half = self.shape.width // self.shape.heads // 2
        rates = ROTARY_BASE ** (-torch.arange(half, dtype=torch.float32) / half)
        angles = torch.arange(frames, dtype=torch.float32)[:, None] * rates
        return torch.stack([angles.cos(), angles.sin()]).to(self.wpe.weight.device)

    def forward(self, frames: Tensor, rotary: Tensor, at: Modulation) -> Tensor:
        """Frames float32 [B, T, width], positions added -> velocity float32 [B, T, out]."""
        hidden = frames
        for block, modulation in zip(self.h, at.blocks, strict=True):
            hidden = block(hidden, rotary, modulation)
        hidden = _norm(hidden, at.final_norm)
        out = self.shape.out
        return functional.linear(hidden, self.proj_out.weight[-out:], self.proj_out.bias[-out:])


def embed_times(times: Tensor, width: int) -> Tensor:
    """Times [S] -> cosines, then sines, of them at `width / 2` rates each: [S, width]."""
    half = width // 2
    rates = torch.exp(-math.log(TIME_BASE) * torch.arange(half, dtype=torch.float32) / half)
    angles = times[:, None] * rates * TIME_SCALE
    return torch.cat([angles.cos(), angles.sin()], -1)


def _norm(x: Tensor, weights: tuple[Tensor, Tensor]) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], *weights, NORM_EPS)


def _into(norm: nn.LayerNorm, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """norm(x) * (1 + scale) + shift as the weight and bias of one norm."""
    return norm.weight * (1 + scale), norm.bias * (1 + scale) + shift


def _turn(x: Tensor, rotary: Tensor) -> Tensor:
    """[B, heads, T, size], neighbouring channels turned as pairs in float32."""
    real, imaginary = x.float().reshape(*x.shape[:-1], -1, 2).unbind(-1)
    cos, sin = rotary
    turned = torch.stack([real * cos - imaginary * sin, real * sin + imaginary * cos], -1)
    return turned.flatten(-2).to(x.dtype)
