"""A row's figures on one song, how those of many songs make a row, and how rows make the table.

Counts are added and then made to rates (F1, NLL, overlapping areas); rates of one song are averaged over songs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from engine.diffusion.canvas import STREAMS
from tests.benchmarks.composer_measures import FEATURES, f1, overlapping_area
from tests.benchmarks.composer_nats import best_mixtures
from tests.benchmarks.composer_verdict import Row

Counts = dict[str, dict[str, list[float]]]


class Figures(msgspec.Struct, frozen=True):
    """`nats` [6, mixtures] of the hidden cells; `found` per stream [2, 3] (`found_notes`); the referee's and the
    musical figures; histograms of the answer and of the truth."""

    nats: list[list[float]]
    found: dict[str, list[list[float]]]
    referee: dict[str, float]
    musical: dict[str, float | None]
    mine: Counts
    true: Counts


Kept = dict[str, Figures | str]
"""Rows of a song; a text says why a row has no figures."""


def combine(name: str, songs: Sequence[Figures]) -> Row:
    """The row of many songs. The truth has no NLL."""
    counts = {s: np.sum([song.found[s] for song in songs], axis=0) for s in STREAMS}
    whole = np.sum(list(counts.values()), axis=0)
    nats = best_mixtures(np.sum([song.nats for song in songs], axis=0))
    row: Row = {
        "NLL": None if name == "truth" else nats / max(float(whole[1, 2]), 1.0),
        "onset F1": f1(whole[0]),
        "pitch F1": f1(whole[1]),
        **{f"pitch F1 {s}": f1(c[1]) for s, c in counts.items()},
    }
    for column in songs[0].referee:
        row[column] = float(np.mean([song.referee[column] for song in songs]))
    for column in songs[0].musical:
        values = [value for song in songs if (value := song.musical[column]) is not None]
        row[column] = float(np.mean(values)) if values else None
    for feature in FEATURES:
        mine, true = (
            {s: np.sum([np.array(side[feature][s]) for side in sides], axis=0) for s in STREAMS}
            for sides in ([song.mine for song in songs], [song.true for song in songs])
        )
        row[f"OA {feature}"] = overlapping_area(mine, true)
    return row


def table(rows: Mapping[str, Row]) -> str:
    """One line per row; F1 per role is left to the verdict."""
    columns = [c for c in next(iter(rows.values())) if not c.startswith("pitch F1 ")]
    widths = [max(6, len(c)) for c in columns]
    lines = [f"{'':36}" + " ".join(f"{c:>{w}}" for c, w in zip(columns, widths, strict=True))]
    for name, row in rows.items():
        cells = (
            f"{row[c]:>{w}.2f}" if row.get(c) is not None else f"{'-':>{w}}"
            for c, w in zip(columns, widths, strict=True)
        )
        lines.append(f"{name:36}" + " ".join(cells))
    return "\n".join(lines)
