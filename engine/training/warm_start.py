"""Begins a training from weights of another vocabulary: what both know is copied, new tokens are composed.

A token's row (in the cells' embedding and in the token head) is fitted as a sum over what old tokens are made of
(`sharing.made_of`); a token that the old vocabulary lacks begins as the sum of what it is made of. Everything else
of the network must have the same shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from engine.diffusion.canvas import STREAMS
from engine.diffusion.network import PartsNet, StreamHead
from engine.diffusion.parts import PartsModel
from engine.diffusion.vocabulary import FIRST, LINES, Vocabulary
from engine.training.sharing import counts, made_of

RIDGE = 1.0
RARE = 2.0
"""Logits by which a token that no training song holds is less likely than what it is made of says."""


@torch.no_grad()
def carry_over(
    net: PartsNet, vocabulary: Vocabulary, old: PartsModel, absent: Sequence[Tensor] | None = None
) -> dict[str, int]:
    """Fills `net` (for `vocabulary`) with the weights of `old`. Returns per stream how many of its tokens are new.
    `absent` [size] per stream: tokens that no training song holds; they are composed too.

    Raises RuntimeError where the two networks differ in more than their vocabularies.
    """
    mine, theirs = net.state_dict(), old.net.state_dict()
    by_token = {f"cells.{s}.weight" for s in range(len(STREAMS))}
    by_token |= {f"heads.{s}.token.{kind}" for s in range(len(STREAMS)) for kind in ("weight", "bias")}
    net.load_state_dict({name: mine[name] if name in by_token else theirs[name] for name in mine})
    new: dict[str, int] = {}
    for s, stream in enumerate(STREAMS):
        known = kept_rows(vocabulary, old.vocabulary, stream)
        if absent is not None:
            known = [None if gone else k for k, gone in zip(known, absent[s].tolist(), strict=True)]
        before, after = made_of(old.vocabulary, stream), made_of(vocabulary, stream)
        features = counts([*before, *after])
        fit = features[: len(before)], features[len(before) :]
        table, head = cast(nn.Embedding, net.cells[s]).weight, cast(StreamHead, net.heads[s]).token
        cells, size = theirs[f"cells.{s}.weight"], len(before)
        table[:FIRST] = cells[:FIRST]
        table[FIRST : FIRST + len(after)] = composed(fit, cells[FIRST : FIRST + size], known)
        table[FIRST + len(after) :] = cells[FIRST + size :]
        head.weight[:] = composed(fit, theirs[f"heads.{s}.token.weight"], known)
        head.bias[:] = composed(fit, theirs[f"heads.{s}.token.bias"][:, None], known)[:, 0]
        new[stream] = sum(k is None for k in known)
    return new


@torch.no_grad()
def completed(model: PartsModel, absent: Sequence[Tensor]) -> PartsModel:
    """The model for its completed vocabulary, as it is exported: it reads more than it was trained on, and what is
    `absent` from the training songs [size per stream] it writes rarely."""
    vocabulary = model.vocabulary.completed()
    shape = replace(model.net.shape, sizes=tuple(vocabulary.sizes[s] for s in STREAMS))
    net = PartsNet(shape)
    carry_over(net, vocabulary, model)
    for head, gone in zip(net.heads, absent, strict=True):
        bias = cast(StreamHead, head).token.bias
        bias[: len(gone)][gone] -= RARE
        bias[len(gone) :] -= RARE
    return PartsModel(net, vocabulary)


def kept_rows(vocabulary: Vocabulary, old: Vocabulary, stream: str) -> list[int | None]:
    """For each onset token of `vocabulary` its number in `old`, None where it is not there."""
    if stream == "drums":
        at = {hits: i for i, hits in enumerate(old.drums)}
        return [at.get(hits) for hits in vocabulary.drums]
    theirs: Sequence[object] = old.tones[stream] if stream in LINES else old.shapes[stream]
    mine: Sequence[object] = vocabulary.tones[stream] if stream in LINES else vocabulary.shapes[stream]
    place = {thing: i for i, thing in enumerate(theirs)}
    rows = [(place.get(thing), v) for thing in mine for v in range(3)]
    return [None if i is None else 3 * i + v for i, v in rows]


def composed(fit: tuple[Tensor, Tensor], rows: Tensor, known: Sequence[int | None]) -> Tensor:
    """New rows [new tokens, W]: old ones where known, else features @ ridge regression of the old `rows` [old, W]."""
    old, new = fit
    gram = old.T @ old + RIDGE * torch.eye(old.shape[1])
    out: Tensor = new @ torch.linalg.solve(gram, old.T @ rows)
    for i, k in enumerate(known):
        if k is not None:
            out[i] = rows[k]
    return out
