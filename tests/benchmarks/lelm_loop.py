"""The published decoding loop's structure, written again from its description, as the benchmark's other side.

Eager modules with separate projections; keys and values of every layer regrown by concatenation at each step; both
transformers at each step, the second's unused head included; guidance rows through every head; penalty, end flags and
writing in Python with values read back at each step. Works on the same `LeLM` weights as ours.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.lelm.network import LeLM
from engine.lelm.pattern import code_steps, steps_for, undelay
from engine.llama import Block, Llama, LlamaShape

Past = list[tuple[Tensor, Tensor] | None]


def norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm operation by operation, in float32."""
    dtype, x = x.dtype, x.to(torch.float32)
    x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return weight * x.to(dtype)


def half_turned(x: Tensor) -> Tensor:
    """The other half of each head, its sign changed."""
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)


class Tables:
    """Cosines and sines of all positions."""

    def __init__(self, shape: LlamaShape, positions: int) -> None:
        width = shape.dim // shape.heads
        rates = 1.0 / (shape.theta ** (torch.arange(0, width, 2).float() / width))
        angles = torch.einsum("i,j->ij", torch.arange(positions).float(), rates)
        both = torch.cat((angles, angles), dim=-1)
        self.cos, self.sin = both.cos()[None, None], both.sin()[None, None]

    def at(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 1, S, E] of position ids [B, S]."""
        cos, sin = self.cos.squeeze(1).squeeze(0), self.sin.squeeze(1).squeeze(0)
        return cos[places].unsqueeze(1), sin[places].unsqueeze(1)


def causal_mask(rows: int, length: int, before: int) -> Tensor:
    """[B, 1, S, before + S] of zeros and least numbers: causal, and an attention mask of ones expanded onto it."""
    least = torch.finfo(torch.float32).min
    mask = torch.full((length, length), least)
    at = torch.arange(length)
    mask.masked_fill_(at < (at + 1).view(length, 1), 0)
    mask = torch.cat([torch.zeros(length, before), mask], dim=-1)[None, None].expand(rows, 1, length, before + length)
    ones = torch.ones(rows, before + length)[:, None, None, :].expand(rows, 1, length, before + length)
    away = 1.0 - ones
    return away.masked_fill(away.to(torch.bool), least) + mask


def attend(block: Block, x: Tensor, tables: Tables, places: Tensor, mask: Tensor, past: Past, n: int) -> Tensor:
    """Attention of one layer; regrows the layer's keys and values."""
    attention = block.self_attn
    rows, length, dim = x.shape
    heads, width = attention.heads, dim // attention.heads
    q = attention.q_proj(x).view(rows, length, heads, width).transpose(1, 2)
    k = attention.k_proj(x).view(rows, length, heads, width).transpose(1, 2)
    v = attention.v_proj(x).view(rows, length, heads, width).transpose(1, 2)
    cos, sin = tables.at(places)
    q, k = (q * cos) + (half_turned(q) * sin), (k * cos) + (half_turned(k) * sin)
    grown = past[n]
    if grown is not None:
        k, v = torch.cat([grown[0], k], dim=2), torch.cat([grown[1], v], dim=2)
    past[n] = (k, v)
    weights = torch.matmul(q, k.transpose(2, 3)) / width**0.5 + mask
    weights = torch.max(weights, torch.tensor(torch.finfo(weights.dtype).min))
    weights = F.softmax(weights, dim=-1, dtype=torch.float32).to(q.dtype)
    y = torch.matmul(weights, v).transpose(1, 2).reshape(rows, length, dim)
    result: Tensor = attention.o_proj(y)
    return result


def transformer(stack: Llama, x: Tensor, tables: Tables, past: Past) -> Tensor:
    """One transformer over new positions."""
    rows, length, _ = x.shape
    grown = past[0]
    before = 0 if grown is None else grown[0].shape[2]
    places = torch.arange(before, before + length).unsqueeze(0).view(-1, length)
    mask = causal_mask(rows, length, before)
    eps = stack.shape.eps
    for n, block in enumerate(stack.layers):
        assert isinstance(block, Block)
        x = x + attend(block, norm(x, block.input_layernorm.weight, eps), tables, places, mask, past, n)
        h, mlp = norm(x, block.post_attention_layernorm.weight, eps), block.mlp
        x = x + mlp.down_proj(F.silu(mlp.gate_proj(h)) * mlp.up_proj(h))
    return norm(x, stack.norm.weight, eps)


def penalise(logits: Tensor, pool: list[Tensor], window: int, code_size: int) -> None:
    """Divides the logits [1, K, V] of codes that the last columns hold by 1.1, codebook by codebook."""
    recent = torch.stack(pool[-window:], -1)
    for q in range(logits.shape[1]):
        seen = torch.bincount(torch.unique(recent[0, q]))
        known = min(seen.shape[0], code_size)
        logits[0, q, :known] /= 1.1 ** seen[:known]


@torch.no_grad()
def published_loop(
    net: LeLM, prefix: tuple[Tensor, Tensor], frames: int, unused_head: Tensor, guidance: float = 1.5, window: int = 50
) -> Iterator[Tensor]:
    """Greedy codes [1, 3, frames] as far as they are written, after each step; the first step reads the prefix.

    `prefix` holds the conditional and the null row, [2, L, D] for each transformer; `unused_head` [V, D] stands for
    the second transformer's.
    """
    config = net.config
    steps, valid = steps_for(frames, config.delays), code_steps(frames, config.delays)
    positions = steps + prefix[0].shape[1]
    tables = Tables(config.main_shape, positions), Tables(config.sub_shape, positions)
    past: tuple[Past, Past] = ([None] * config.layers, [None] * config.sub_layers)
    sequence = torch.full((1, config.streams, steps), -1, dtype=torch.long)
    sequence[..., 0] = config.special
    is_end = torch.zeros(1, config.streams, dtype=torch.bool)
    pool: list[Tensor] = []
    for step in range(1, steps):
        tokens = torch.cat([sequence[..., step - 1 : step]] * 2, dim=0)
        x1 = net.emb[0](tokens[:, 0])
        x2 = sum(net.layer2_emb[str(k)](tokens[:, k]) for k in range(1, config.streams))
        assert isinstance(x2, Tensor)
        if step == 1:
            x1, x2 = torch.cat([prefix[0], x1], 1), torch.cat([prefix[1], x2], 1)
        h1 = transformer(net.transformer.model, x1, tables[0], past[0])
        first = net.transformer.lm_head(h1).float()
        h2 = transformer(net.transformer2.model, net.mlp(torch.cat([x2, h1], dim=-1)), tables[1], past[1])
        F.linear(h2, unused_head).float()
        logits = torch.stack([first, *(head(h2).float() for head in net.linears)], dim=1)[:, :, -1]
        conditional, null = torch.split(logits, 1, dim=0)
        logits = null + guidance * (conditional - null)
        if pool:
            penalise(logits, pool, window, config.code_size)
        token = torch.argmax(logits, dim=-1)
        token[~valid[None, :, step]] = config.special
        token[is_end] = config.special
        is_end |= token == config.eos
        sequence[..., step] = token
        pool.append(token)
        ended = bool(is_end.all())
        yield undelay(sequence.where(sequence >= 0, torch.tensor(config.special)), frames, config.delays)
        if ended:
            break
