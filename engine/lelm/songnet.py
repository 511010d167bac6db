"""A song model on its device: two fused transformers, embeddings and heads, and the prefixes they have read.

The main transformer sees codebook 0 alone; the sub-transformer sees its hidden states and codebooks 1 and 2. Guidance
is linear, and so are the heads: they are given the guided hidden state, one row instead of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.lelm.checkpoint import SongTensors
from engine.lelm.conditions import Prefix
from engine.lelm.fused import FusedStack
from engine.lelm.products import activations, make_product
from engine.report import Tick


@dataclass(frozen=True, slots=True)
class ReadPrefix:
    """Keys and values of one row's prefix, [2, 1, H, L, E] for each layer of both transformers."""

    main: list[Tensor]
    sub: list[Tensor]

    @property
    def length(self) -> int:
        """Positions."""
        return int(self.sub[0].shape[3])

    def behind_main(self) -> ReadPrefix:
        """What is still needed when the main transformer has its own."""
        return ReadPrefix([], self.sub)

    def waiting(self) -> ReadPrefix:
        """The same in the computer's memory, to be kept for later songs."""
        return ReadPrefix([kv.cpu() for kv in self.main], [kv.cpu() for kv in self.sub])


class SongNet:
    """Everything that is read at each step. `kind` is one of `products.KINDS`."""

    def __init__(
        self,
        tensors: SongTensors,
        positions: int,
        kind: str = "float32",
        device: str = "cpu",
        tick: Tick = lambda fraction: None,
    ) -> None:
        """`positions`: the longest sequence, prefix included. `tick` is called before each layer is loaded."""
        moved, layers = count(), tensors.lelm.layers + tensors.lelm.sub_layers

        def step() -> None:
            tick(next(moved) / layers)

        self.config, self.device, self.kind = tensors.lelm, device, kind
        self.dtype = activations(kind, device)
        w = tensors.network
        self.main = FusedStack(self.config.main_shape, w, "transformer.model", positions, kind, device, step)
        self.sub = FusedStack(self.config.sub_shape, w, "transformer2.model", positions, kind, device, step)
        self.emb, self.emb1, self.emb2 = (
            w[name].to(device, self.dtype) for name in ("emb.0.weight", "layer2_emb.1.weight", "layer2_emb.2.weight")
        )
        self.head = make_product([w["transformer.lm_head.weight"]], kind, device)
        self.heads = make_product([w["linears.0.weight"], w["linears.1.weight"]], kind, device)
        self.join = make_product([w["mlp.0.weight"]], kind, device), w["mlp.0.bias"].to(device, self.dtype)
        self.joined = make_product([w["mlp.2.weight"]], kind, device), w["mlp.2.bias"].to(device, self.dtype)

    @property
    def step_bytes(self) -> tuple[int, int]:
        """Bytes of weights read by a main step and by a sub step."""
        joins = self.join[0].nbytes + self.joined[0].nbytes
        return self.main.nbytes + self.head.nbytes, self.sub.nbytes + self.heads.nbytes + joins

    def mix(self, x2: Tensor, hidden: Tensor) -> Tensor:
        """Input of the sub-transformer [..., D] from other codebooks' embeddings and main hidden states."""
        shape = hidden.shape
        both = torch.cat((x2, hidden), -1).reshape(-1, 2 * shape[-1])
        product, bias = self.join
        inner = F.gelu(product(both) + bias)
        product, bias = self.joined
        return (product(inner) + bias).view(shape)

    def others(self, codes: Tensor) -> Tensor:
        """Embeddings [..., D] of codebooks 1 and 2, codes [2, ...]."""
        return F.embedding(codes[0], self.emb1) + F.embedding(codes[1], self.emb2)

    def read(self, prefix: Prefix) -> ReadPrefix:
        """Runs one row's prefix through both transformers."""
        first, second = (x.to(self.device, self.dtype) for x in prefix)
        length = first.shape[1]
        main, sub = self.main.new_cache(1, length), self.sub.new_cache(1, length)
        hidden = self.main.run(first, main, 0)
        self.sub.run(self.mix(second, hidden), sub, 0)
        return ReadPrefix(main.kept, sub.kept)


def guided(hidden: Tensor, guidance: float) -> Tensor:
    """Hidden states [rows, ..., D], the conditional row first -> [1, ..., D] steered away from the null row."""
    if hidden.shape[0] == 1:
        return hidden
    conditional, null = torch.split(hidden.float(), 1)
    return (null + guidance * (conditional - null)).to(hidden.dtype)
