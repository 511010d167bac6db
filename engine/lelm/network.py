"""LeLM: a main transformer over the first token stream, a sub-transformer over the others in parallel.

The main transformer sees only stream 0. The sub-transformer is fed, per step, with mlp(cat[sum of the other streams'
embeddings, main hidden state]), and predicts all other streams at once. With one stream there is no sub-transformer:
that is our plan model (and SongGeneration's v2-fast). Architecture after SongGeneration 2 (LeVo); parameters carry the
names of its published state dict.

Conventions: tokens [B, K, S] int64, already delayed (`pattern.delay`); codes 0..code_size-1, `eos` = code_size,
`special` = code_size + 1 (not begun, past the end). Logits [B, K, S, code_size + 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.llama import Cache, Llama, LlamaShape


@dataclass(frozen=True, slots=True)
class LeLMConfig:
    """Sizes of a LeLM. `delays` has one entry per stream; `sub_layers` counts only when there is more than one."""

    code_size: int
    dim: int
    inner: int
    heads: int
    layers: int
    sub_layers: int = 0
    theta: float = 500_000.0
    sub_theta: float = 500_000.0
    delays: tuple[int, ...] = (0,)

    @property
    def streams(self) -> int:
        """Number of token streams K."""
        return len(self.delays)

    @property
    def eos(self) -> int:
        """The end token, which heads can predict."""
        return self.code_size

    @property
    def special(self) -> int:
        """The token of steps that hold no code; never predicted."""
        return self.code_size + 1

    @property
    def main_shape(self) -> LlamaShape:
        """Shape of the main transformer."""
        return LlamaShape(self.dim, self.inner, self.heads, self.layers, self.theta)

    @property
    def sub_shape(self) -> LlamaShape:
        """Shape of the sub-transformer."""
        return LlamaShape(self.dim, self.inner, self.heads, self.sub_layers, self.sub_theta)


SONGGENERATION_V2_LARGE = LeLMConfig(16_384, 2048, 11_008, 16, 36, 12, 5e5, 5e5, (0, 250, 250))
"""The published v2-large configuration (SongGeneration 2)."""


@dataclass(frozen=True, slots=True)
class LeLMCache:
    """The static key-value caches of one decoding run."""

    main: Cache
    sub: Cache | None


class _Stack(nn.Module):
    """A Llama under the name `model`, and its head where it has one."""

    def __init__(self, shape: LlamaShape, heads_out: int | None) -> None:
        super().__init__()
        self.model = Llama(shape)
        if heads_out is not None:
            self.lm_head = nn.Linear(shape.dim, heads_out, bias=False)


class LeLM(nn.Module):
    """The network. `forward` serves training (no cache) and decoding (cache, prefix on the first call)."""

    def __init__(self, config: LeLMConfig) -> None:
        super().__init__()
        self.config = config
        rows, out, dim = config.code_size + 2, config.code_size + 1, config.dim
        self.emb = nn.ModuleList([nn.Embedding(rows, dim)])
        self.transformer = _Stack(config.main_shape, out)
        if config.streams > 1:
            others = range(1, config.streams)
            self.layer2_emb = nn.ModuleDict({str(k): nn.Embedding(rows, dim) for k in others})
            self.mlp = nn.Sequential(nn.Linear(2 * dim, dim), nn.GELU(), nn.Linear(dim, dim))
            self.transformer2 = _Stack(config.sub_shape, None)
            self.linears = nn.ModuleList([nn.Linear(dim, out, bias=False) for _ in others])

    def new_cache(self, rows: int, positions: int) -> LeLMCache:
        """An empty cache for `rows` rows and at most `positions` positions, prefix included."""
        dtype = self.transformer.lm_head.weight.dtype
        sub = Cache(self.config.sub_shape, rows, positions, dtype) if self.config.streams > 1 else None
        return LeLMCache(Cache(self.config.main_shape, rows, positions, dtype), sub)

    def forward(
        self,
        tokens: Tensor,
        *,
        prefix: tuple[Tensor, Tensor] | None = None,
        conditions: Tensor | None = None,
        cache: LeLMCache | None = None,
    ) -> Tensor:
        """Logits [B, K, S, code_size + 1] of the step after each of `tokens` [B, K, S].

        `prefix` is a pair of embeddings [B, L, D] put before streams 0 and 1.. (first call only); its positions give
        no logits. `conditions` [B, S, D] is added to stream 0's embeddings: what is known about each step.
        """
        steps = tokens.shape[2]
        first = self.emb[0](tokens[:, 0])
        if conditions is not None:
            first = first + conditions
        if prefix is not None:
            first = torch.cat((prefix[0], first), 1)
        hidden = self.transformer.model(first, None if cache is None else cache.main)
        logits = [self.transformer.lm_head(hidden[:, -steps:])]
        if self.config.streams > 1:
            rest = torch.stack([self.layer2_emb[str(k)](tokens[:, k]) for k in range(1, self.config.streams)]).sum(0)
            if prefix is not None:
                rest = torch.cat((prefix[1], rest), 1)
            second = self.mlp(torch.cat((rest, hidden), -1))
            hidden = self.transformer2.model(second, None if cache is None else cache.sub)
            logits += [head(hidden[:, -steps:]) for head in self.linears]
        return torch.stack(logits, 1)


def guide(logits: Tensor, coefficient: float) -> Tensor:
    """Classifier-free guidance: logits [2B, ...], conditional first -> null + c * (conditional - null) [B, ...]."""
    conditional, null = logits.chunk(2)
    return null + coefficient * (conditional - null)
