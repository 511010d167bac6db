"""Infill NLL: how surprising the hidden truth is, in nats per hidden note.

The model: the any-order bound of absorbing diffusion. Of L hidden cells, k drawn ones are hidden and the others shown;
the nats of the k, times L / k, estimate the bound without bias (Hoogeboom et al. 2022). An anchor that writes one
answer becomes a distribution by mixing: with share 1 - e its own cell, with share e the unigram; e is the one that
suits it best on this very material, so anchors look better here than they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from engine.diffusion.canvas import STREAMS
from engine.diffusion.context import canvas2context, recall, with_density
from engine.diffusion.parts import PartsModel
from engine.diffusion.sight import windows
from engine.diffusion.tokens import notes2tokens
from engine.diffusion.vocabulary import Vocabulary
from engine.training.parts import TOKEN_WEIGHTS, stack
from engine.training.songs import Song
from tests.benchmarks.composer_measures import Hidden, Notes

DRAWS = 4
MIXTURES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)


@torch.inference_mode()
def model_nats(model: PartsModel, song: Song, hidden: Hidden, seed: int) -> NDArray[np.float64]:
    """Nats [6] of the hidden cells of each stream, mean of `DRAWS` draws with evenly spread shares."""
    net, canvas = model.net, song.canvas
    cells = notes2tokens(canvas, model.vocabulary)
    all_hidden = hidden[canvas.grid.bar]
    where = np.argwhere(all_hidden)
    context = canvas2context(canvas)
    masks = np.array(net.shape.masks, dtype=np.int16)
    rows = with_density(context, cells, ~all_hidden)
    rng = np.random.default_rng(seed)
    nats = np.zeros(len(STREAMS))
    for n in range(DRAWS):
        k = max(1, round(len(where) * (n + rng.random()) / DRAWS))
        drawn = where[rng.permutation(len(where))[:k]]
        now = np.zeros_like(all_hidden)
        now[drawn[:, 0], drawn[:, 1]] = True
        shown = np.where(now, masks, cells)
        for first, last in windows(len(cells), net.shape.window, shifted=False):
            span = slice(first, last)
            counted = now[span].copy()
            counted[: _seen_before(first, last, len(cells), net.shape.window)] = False
            if not counted.any():
                continue
            looked = recall(context, cells, ~now, masks, span)
            batch = stack([(shown[span], looked, rows[span], cells[span], counted)])
            _, report = net.loss(batch, TOKEN_WEIGHTS)
            nats += report[:, :2].sum(1).numpy() * len(where) / k / DRAWS
    return nats


def _seen_before(first: int, last: int, steps: int, width: int) -> int:
    """Steps at the beginning of a window that the one before has counted: the last window reaches back."""
    return (-steps) % width if last == steps and steps > width and first % width else 0


def anchor_nats(
    song: Song, hidden: Hidden, notes: Notes, counts: Sequence[NDArray[np.float64]], vocabulary: Vocabulary
) -> NDArray[np.float64]:
    """Nats [6, mixtures] of a song's hidden cells for an answer that is written; see `best_mixtures`."""
    aim = notes2tokens(song.canvas, vocabulary)
    written = replace(song.canvas, notes={s: tuple(notes.get(s, ())) for s in STREAMS})
    mine = notes2tokens(written, vocabulary)
    where = hidden[song.canvas.grid.bar]
    nats = np.zeros((len(STREAMS), len(MIXTURES)))
    for s, row in enumerate(counts):
        true, said = aim[where[:, s], s], mine[where[:, s], s]
        share = (row / row.sum())[true]
        nats[s] = [-np.log((1 - e) * (true == said) + e * share).sum() for e in MIXTURES]
    return nats


def best_mixtures(nats: NDArray[np.float64]) -> float:
    """Nats in all of [6, mixtures] summed over songs, every stream by the mixture that suits it best."""
    return float(nats.min(axis=1).sum())
