"""What every step is told beside the cells: its place, chord and section; and which other steps it may look up.

The lookups ("recall") are aligned: the same place in the bar one, two and four bars before and after in the section,
in the previous and next section of the same label, and the most frequent visible cell at this place among all bars of
the label, or among those at the same bar of a four-bar phrase. They carry most of what keeps a groove a groove.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.arrangement import LABELS, MODES
from engine.diffusion.canvas import STREAMS, Canvas
from engine.diffusion.vocabulary import FIRST
from engine.score import QUALITIES

QUALITY_NAMES = tuple(QUALITIES)
PLACES = 64
BARS_SEEN = 15
DENSITIES = 8
UNKNOWN = DENSITIES
BAR_SHIFTS = (-1, 1, -2, 2, -4, 4)
ROLES = len(BAR_SHIFTS) + 4
"""Lookups per cell: bar shifts, previous and next section of the label, usual cell of the label, of the phrase bar."""

FEATURES: dict[str, int] = {
    "place": 2 * PLACES,
    "bar_steps": PLACES + 1,
    "root": 13,
    "quality": len(QUALITY_NAMES) + 1,
    "mode": len(MODES),
    "until_change": 17,
    "next_root": 13,
    "next_quality": len(QUALITY_NAMES) + 1,
    "pitch_class": 13,
    "slash": 13,
    "label": len(LABELS) + 1,
    "next_label": len(LABELS) + 1,
    "bar": BARS_SEEN + 1,
    "phrase_bar": 4,
    "left": 8,
    "energy": 8,
    "repeat": 4,
    **{f"density_{s}": DENSITIES + 1 for s in STREAMS},
}
"""Feature tables of a step and their sizes."""


@dataclass(frozen=True)
class Context:
    """`rows` [T, features]; `looks` [T, 8]: steps looked up by shift and section, -1 for none; `usual` and `phrase`
    [T]: group numbers for the usual cell; `label_of` [T] a number per label."""

    rows: NDArray[np.int16]
    looks: NDArray[np.int32]
    usual: NDArray[np.int32]
    phrase: NDArray[np.int32]
    label_of: NDArray[np.int16]


def canvas2context(canvas: Canvas) -> Context:
    """Context of every step; densities are unknown (`with_density` fills them in)."""
    grid, sections = canvas.grid, canvas.sections
    T = grid.steps
    in_bar = np.arange(T) - grid.first[grid.bar]
    bar_steps = np.diff(grid.first)[grid.bar]
    first_bar = np.concatenate(([0], np.cumsum([len(s.bars) for s in sections]))).astype(np.int64)
    bar_in = grid.bar - first_bar[grid.section]
    left = first_bar[grid.section + 1] - 1 - grid.bar
    labels = [LABELS.index(s.label) if s.label in LABELS else len(LABELS) for s in sections]
    after = [*labels[1:], len(LABELS)]
    seen: dict[int, int] = {}
    repeats = []
    for label in labels:
        repeats.append(min(seen.get(label, 0), 3))
        seen[label] = seen.get(label, 0) + 1
    sec = grid.section
    energy = np.array([min(int(s.energy * 8), 7) for s in sections], dtype=np.int64)
    rows = [
        np.minimum(in_bar, PLACES - 1) + PLACES * (canvas.steps_per_quarter == 3),
        np.minimum(bar_steps, PLACES),
        *_chord_rows(canvas),
        np.array(labels)[sec],
        np.array(after)[sec],
        np.minimum(bar_in, BARS_SEEN),
        bar_in % 4,
        np.minimum(left, 7),
        energy[sec],
        np.array(repeats)[sec],
        *[np.full(T, UNKNOWN)] * len(STREAMS),
    ]
    label_of = np.array(labels, dtype=np.int64)[sec]
    group = label_of * 1024 + np.minimum(in_bar, 1023)
    return Context(
        np.stack(rows, 1).astype(np.int16),
        _looks(canvas, in_bar, bar_in, first_bar, labels),
        group.astype(np.int32),
        (group * 4 + bar_in % 4).astype(np.int32),
        label_of.astype(np.int16),
    )


def with_density(context: Context, cells: NDArray[np.int16], visible: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Rows with each stream's density, the share of onsets among the label's visible cells; unknown where a label shows
    fewer than four."""
    rows = context.rows.copy()
    onset = (cells >= FIRST) & visible
    for label in np.unique(context.label_of):
        where = context.label_of == label
        shown = visible[where].sum(0)
        rate = onset[where].sum(0) / np.maximum(shown, 1)
        bins = np.where(shown < 4, UNKNOWN, np.minimum(np.ceil(np.sqrt(rate) * (DENSITIES - 1)), DENSITIES - 1))
        rows[where, -len(STREAMS) :] = bins.astype(np.int16)
    return rows


def recall(
    context: Context,
    cells: NDArray[np.int16],
    visible: NDArray[np.bool_],
    masks: NDArray[np.int16],
    steps: slice,
) -> NDArray[np.int16]:
    """Looked-up cells [S, ROLES, 6] of `steps`. Hidden cells read `masks[s]`, missing ones `masks[s] + 1`."""
    out = np.empty((len(cells), ROLES, len(STREAMS)), dtype=np.int16)
    recall_streams(out, context, np.where(visible, cells, masks), masks, range(len(STREAMS)))
    return out[steps]


def recall_streams(
    out: NDArray[np.int16],
    context: Context,
    shown: NDArray[np.int16],
    masks: NDArray[np.int16],
    streams: Sequence[int],
) -> None:
    """Writes what `streams` recall of the `shown` cells [T, 6] into `out` [T, ROLES, 6]; the other streams stay."""
    which = list(streams)
    for s in which:
        out[:, : context.looks.shape[1], s] = np.where(context.looks < 0, masks[s] + 1, shown[:, s][context.looks])
    for role, group in ((-2, context.usual), (-1, context.phrase)):
        out[:, role, which] = usual_cell(group, shown[:, which], masks[which])


def usual_cell(group: NDArray[np.int32], shown: NDArray[np.int16], masks: NDArray[np.int16]) -> NDArray[np.int16]:
    """The most frequent visible cell of each step's group, per stream (the least id when even); the mask where none."""
    out = np.empty_like(shown)
    _, compact = np.unique(group, return_inverse=True)
    groups = int(compact.max()) + 1
    for s in range(shown.shape[1]):
        width = int(masks[s]) + 1
        keys, counts = np.unique(compact.astype(np.int64) * width + shown[:, s], return_counts=True)
        counts = np.where(keys % width == masks[s], 0, counts)
        order = np.lexsort((-keys, counts))
        best = np.full(groups, masks[s], dtype=np.int16)
        best[keys[order] // width] = (keys[order] % width).astype(np.int16)
        out[:, s] = best[compact]
    return out


def _chord_rows(canvas: Canvas) -> list[NDArray[np.int64]]:
    at, T = canvas.grid.chord, canvas.grid.steps
    tonic = canvas.key.tonic
    roots = np.array([*((c.root - tonic) % 12 for c in canvas.chords), 12], dtype=np.int64)
    names = [QUALITY_NAMES.index(c.quality) for c in canvas.chords]
    kinds = np.array([*names, len(QUALITY_NAMES)], dtype=np.int64)
    pitch_classes = np.array([*(c.root for c in canvas.chords), 12], dtype=np.int64)
    slashes = np.array([*((c.root if c.bass is None else c.bass) - c.root for c in canvas.chords), 12], dtype=np.int64)
    slashes[:-1] %= 12
    changes = np.flatnonzero(np.diff(at)) + 1
    nearest = np.searchsorted(changes, np.arange(T), side="right")
    change = np.append(changes, T)[nearest]
    following = np.where(change < T, at[np.minimum(change, T - 1)], -1)
    step = np.where((roots[at] < 12) & (roots[following] < 12), (roots[following] - roots[at]) % 12, 12)
    return [
        roots[at],
        kinds[at],
        np.full(T, MODES.index(canvas.key.mode)),
        np.minimum(change - np.arange(T), 16),
        step,
        kinds[following],
        pitch_classes[at],
        slashes[at],
    ]


def _looks(
    canvas: Canvas,
    in_bar: NDArray[np.int64],
    bar_in: NDArray[np.int64],
    first_bar: NDArray[np.int64],
    labels: list[int],
) -> NDArray[np.int32]:
    """Aligned steps in other bars: [T, shifts + 2], -1 where there is no such bar or it is too short."""
    grid = canvas.grid
    lengths = np.diff(grid.first)
    owner = np.repeat(np.arange(len(labels)), np.diff(first_bar))

    def aligned(bar: NDArray[np.int64], fits: NDArray[np.bool_]) -> NDArray[np.int64]:
        safe = np.where(fits, bar, 0)
        return np.where(fits & (in_bar < lengths[safe]), grid.first[safe] + in_bar, -1)

    columns = []
    for shift in BAR_SHIFTS:
        bar = grid.bar + shift
        inside = (bar >= 0) & (bar < len(lengths))
        inside &= owner[np.clip(bar, 0, len(lengths) - 1)] == grid.section
        columns.append(aligned(bar, inside))
    for way in (-1, 1):
        other = np.full(len(labels), -1)
        for i, label in enumerate(labels):
            kin = [j for j in range(len(labels)) if labels[j] == label and (j - i) * way > 0]
            other[i] = (max(kin) if way < 0 else min(kin)) if kin else -1
        there = other[grid.section]
        bar = first_bar[np.maximum(there, 0)] + bar_in
        fits = (there >= 0) & (bar < first_bar[np.maximum(there, 0) + 1])
        columns.append(aligned(bar, fits))
    return np.stack(columns, 1).astype(np.int32)
