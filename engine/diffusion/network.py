"""The parts network: a bidirectional transformer over grid steps that predicts every hidden cell.

Each step's six cells, the cells that it recalls (context.py) and its features are summed into one position; Llama
blocks without a causal mask run over windows of steps; per stream a head says rest, hold or onset, and which onset
token. Heads may also point: a recalled cell's class and token get a learnt bonus, so that keeping to the groove is
learnt first.

Conventions: B windows, S steps, 6 streams, R recall roles. Cells as in `vocabulary`, mask = size + 2,
nothing = size + 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.canvas import STREAMS
from engine.diffusion.context import FEATURES, ROLES
from engine.diffusion.vocabulary import FIRST
from engine.llama import Llama, LlamaShape

CLASSES = 3


@dataclass(frozen=True, slots=True)
class PartsShape:
    """Sizes of the network. `sizes`: onset tokens per stream; `window`: steps that see each other."""

    sizes: tuple[int, ...]
    dim: int = 192
    inner: int = 512
    heads: int = 6
    layers: int = 6
    cell: int = 40
    head: int = 112
    window: int = 256

    @property
    def masks(self) -> tuple[int, ...]:
        """The mask's id per stream; one more says "there is no such cell"."""
        return tuple(size + FIRST for size in self.sizes)


class StreamHead(nn.Module):
    """Class and token of one stream's hidden cells, from the step's state and the stream's own recalled cells."""

    def __init__(self, shape: PartsShape, size: int) -> None:
        super().__init__()
        self.size = size
        self.mix = nn.Linear(shape.dim + ROLES * shape.cell, shape.head)
        self.kind = nn.Linear(shape.head, CLASSES)
        self.token = nn.Linear(shape.head, size)
        self.point_kind = nn.Linear(shape.head, ROLES)
        self.point_token = nn.Linear(shape.head, ROLES)

    def forward(self, state: Tensor, recalled: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """state [N, D], embeddings of recalled cells [N, R * C], recalled cells [N, R] -> class logits [N, 3] and the
        hidden layer [N, head] from which `tokens` makes token logits."""
        hidden = F.silu(self.mix(torch.cat((state, recalled), -1)))
        kinds = self.kind(hidden)
        known = cells < FIRST + self.size
        bonus = self.point_kind(hidden) * known
        return kinds.scatter_add(-1, cells.clamp(max=FIRST), bonus), hidden

    def tokens(self, hidden: Tensor, cells: Tensor) -> Tensor:
        """Token logits [N, size] for cells that are onsets."""
        onset = (cells >= FIRST) & (cells < FIRST + self.size)
        bonus = self.point_token(hidden) * onset
        logits: Tensor = self.token(hidden)
        return logits.scatter_add(-1, (cells - FIRST).clamp(0, self.size - 1), bonus)


class PartsNet(nn.Module):
    """See the module's docstring."""

    def __init__(self, shape: PartsShape) -> None:
        super().__init__()
        self.shape = shape
        self.cells = nn.ModuleList([nn.Embedding(size + FIRST + 2, shape.cell) for size in shape.sizes])
        self.own = nn.Linear(len(STREAMS) * shape.cell, shape.dim)
        self.recalled = nn.Linear(ROLES * len(STREAMS) * shape.cell, shape.dim, bias=False)
        self.features = nn.ModuleList([nn.Embedding(rows, shape.dim) for rows in FEATURES.values()])
        self.blocks = Llama(LlamaShape(shape.dim, shape.inner, shape.heads, shape.layers, causal=False))
        self.heads = nn.ModuleList([StreamHead(shape, size) for size in shape.sizes])
        for table in (*self.cells, *self.features):
            nn.init.normal_(cast(nn.Embedding, table).weight, std=0.3 if table in self.cells else 0.1)

    def encode(self, cells: Tensor, recalled: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """cells [B, S, 6], recalled [B, S, R, 6], feature rows [B, S, F] -> states [B, S, D] and the recalled cells'
        embeddings [B, S, R, 6, C]."""
        own = torch.stack([table(cells[..., s]) for s, table in enumerate(self.cells)], -2)
        looked = torch.stack([table(recalled[..., s]) for s, table in enumerate(self.cells)], -2)
        x = self.own(own.flatten(-2)) + self.recalled(looked.flatten(-3))
        x = x + torch.stack([table(rows[..., i]) for i, table in enumerate(self.features)]).sum(0)
        return self.blocks(x), looked

    def loss(
        self, batch: Sequence[Tensor], weights: Sequence[float], absent: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """(training loss, nats [6, 3]: class and token sums and the number of hidden cells per stream).

        `batch`: shown cells, recalled cells, feature rows (as in `encode`), the whole cells [B, S, 6] and which of them
        are hidden and count [B, S, 6]. `weights` scale the token loss per stream. `absent` [size] per stream: onset
        tokens that no training song holds; they stay out of the softmax, or training would teach that they are wrong.
        """
        cells, recalled, rows, truth, hidden = batch
        state, looked = self.encode(cells, recalled, rows)
        total = state.new_zeros(())
        report = torch.zeros(len(STREAMS), 3, device=state.device)
        count = hidden.sum().clamp(min=1)
        for s, head in enumerate(self.heads):
            where = hidden[..., s]
            aim, options = truth[..., s][where], recalled[..., s][where]
            kinds, inner = cast(StreamHead, head)(state[where], looked[..., s, :][where].flatten(-2), options)
            kind_nats = F.cross_entropy(kinds.float(), aim.clamp(max=FIRST), reduction="sum")
            onset = aim >= FIRST
            logits = cast(StreamHead, head).tokens(inner[onset], options[onset])
            if absent is not None:
                logits = logits.masked_fill(absent[s], -1e4)
            token_nats = F.cross_entropy(logits.float(), aim[onset] - FIRST, reduction="sum")
            total = total + (kind_nats + weights[s] * token_nats) / count
            report[s] = torch.stack((kind_nats.detach(), token_nats.detach(), where.sum().float()))
        return total, report

    def predict(self, state: Tensor, looked: Tensor, recalled: Tensor, s: int) -> tuple[Tensor, Tensor]:
        """Class and token logits of stream s for positions [N]: states [N, D], embeddings [N, R, C], cells [N, R]."""
        head = cast(StreamHead, self.heads[s])
        kinds, hidden = head(state, looked.flatten(-2), recalled)
        return kinds, head.tokens(hidden, recalled)
