"""Tokens that share something share weights while training: a drum combination is the sum of its hits, a voicing of its
tones, a melody token of form, octave and loudness, each beside a row of its own.

So a combination that occurs in few songs, or only in grooves never trained on, still means something. Embeddings and
token heads are parametrised as own row + features @ weights; `fold` turns them into plain rows for export.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from engine.diffusion.canvas import STREAMS
from engine.diffusion.network import PartsNet, StreamHead
from engine.diffusion.vocabulary import FIRST, LINES, Vocabulary


class Shared(nn.Module):
    """rows -> rows + features @ weights; `features` [rows, F] is fixed, the weights begin at zero."""

    def __init__(self, features: Tensor, width: int) -> None:
        super().__init__()
        self.register_buffer("features", features, persistent=False)
        self.weights = nn.Parameter(torch.zeros(features.shape[1], width))

    def forward(self, rows: Tensor) -> Tensor:
        """Parametrisation of a weight [rows, width]."""
        return rows + cast(Tensor, self.features) @ self.weights


def token_features(vocabulary: Vocabulary, stream: str) -> Tensor:
    """Counts of what each onset token of a stream is made of, [tokens, F]."""
    return counts(made_of(vocabulary, stream))


def made_of(vocabulary: Vocabulary, stream: str) -> list[list[object]]:
    """What each onset token of a stream is made of."""
    if stream == "drums":
        return [[x for hit in hits for x in (hit[0], hit)] for hits in vocabulary.drums]
    if stream in LINES:
        return [[("form", f), ("place", p), ("level", v)] for f, p in vocabulary.tones[stream] for v in range(3)]
    return [
        [*(x for tone in shape for x in (("form", tone[0]), tone)), ("level", v), ("tones", len(shape))]
        for shape in vocabulary.shapes[stream]
        for v in range(3)
    ]


def counts(made_of: Iterable[list[object]]) -> Tensor:
    """One column per distinct thing, in the order of their names."""
    rows = list(made_of)
    column = {name: i for i, name in enumerate(sorted({repr(x) for row in rows for x in row}))}
    out = torch.zeros(len(rows), len(column))
    for i, row in enumerate(rows):
        for x in row:
            out[i, column[repr(x)]] += 1.0
    return out


def share(net: PartsNet, vocabulary: Vocabulary) -> None:
    """Parametrises a network's token embeddings and token heads, changing nothing yet."""
    for s, stream in enumerate(STREAMS):
        features = token_features(vocabulary, stream)
        table, head = cast(nn.Embedding, net.cells[s]), cast(StreamHead, net.heads[s])
        padded = torch.zeros(table.num_embeddings, features.shape[1])
        padded[FIRST : FIRST + len(features)] = features
        parametrize.register_parametrization(table, "weight", Shared(padded, table.embedding_dim))
        parametrize.register_parametrization(head.token, "weight", Shared(features, head.token.in_features))


def fold(net: PartsNet) -> None:
    """Turns the parametrised weights into plain ones of the same values."""
    for s in range(len(STREAMS)):
        for module in (net.cells[s], cast(StreamHead, net.heads[s]).token):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
