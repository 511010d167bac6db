"""Which cells are hidden from the parts model in training: the situations in which it will be used.

seeds (a few bars of each label are given, fills perhaps too), bars and spans, whole tracks, single cells, everything,
one bar. Half of them are partly written already, as in the middle of unmasking. Rests of streams that a section leaves
out are mostly given, as a composer gives them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.diffusion.canvas import STREAMS
from engine.training.corpus import SongArrays

KINDS = {"seeds": 0.34, "bars": 0.24, "tracks": 0.14, "cells": 0.12, "all": 0.08, "bar": 0.08}


def draw_mask(song: SongArrays, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Hidden cells [T, 6] of one training example."""
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    hidden = by_kind(kind, song, rng)
    if rng.random() < 0.5:
        hidden &= rng.random(hidden.shape) < rng.random()
    if rng.random() < 0.7:
        hidden &= ~song.resting
    return hidden


def by_kind(kind: str, song: SongArrays, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The hidden cells of a kind of situation."""
    T, bars = song.steps, int(song.bar[-1]) + 1
    shape = (T, len(STREAMS))
    if kind == "seeds":
        return seeds(song, int(rng.choice((1, 2, 2, 4))), fills=bool(rng.random() < 0.6), rng=rng)
    if kind == "bars":
        share = rng.random()
        if rng.random() < 0.5:
            width = int(rng.integers(1, 9))
            block = rng.random((bars // width + 1, len(STREAMS))) < share
            return np.asarray(np.repeat(block, width, 0)[song.bar])
        return np.asarray((rng.random((bars, 1)) < share).repeat(len(STREAMS), 1)[song.bar])
    if kind == "tracks":
        tracks = rng.random(len(STREAMS)) < rng.uniform(0.2, 0.8)
        tracks[int(rng.integers(len(STREAMS)))] = True
        where = rng.random(int(song.section.max()) + 1) < rng.choice((0.5, 1.0))
        return np.asarray(tracks[None] & where[song.section][:, None])
    if kind == "cells":
        return rng.random(shape) < rng.random()
    if kind == "bar":
        first = int(rng.integers(bars))
        inside = (song.bar >= first) & (song.bar < first + int(rng.integers(1, 5)))
        return np.asarray(inside[:, None] & (rng.random(len(STREAMS)) < 0.7))
    return np.ones(shape, dtype=bool)


def seeds(song: SongArrays, count: int, *, fills: bool, rng: np.random.Generator | None = None) -> NDArray[np.bool_]:
    """All hidden but the first `count` bars of the first section of each label (and fill bars, where asked).

    With `rng` one stream in eight has no seeds, and one label in five none at all.
    """
    hidden = np.ones((song.steps, len(STREAMS)), dtype=bool)
    done: set[int] = set()
    for section in range(int(song.section.max()) + 1):
        inside = song.section == section
        label = int(song.context.label_of[np.flatnonzero(inside)[0]])
        if label in done:
            continue
        done.add(label)
        if rng is not None and rng.random() < 0.2:
            continue
        begin = int(song.bar[inside].min())
        shown = inside & (song.bar < begin + count)
        streams = np.ones(len(STREAMS), dtype=bool) if rng is None else rng.random(len(STREAMS)) > 0.125
        hidden &= ~(shown[:, None] & streams[None])
    if fills:
        hidden &= ~song.fill[:, None]
    return hidden
