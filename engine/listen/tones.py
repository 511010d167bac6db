"""Notes as arrays, and how much of each pitch class sounds in each stretch of time.

Conventions: beats; spans are ascending and touch each other; profiles are [spans, 12] in weighted beats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.score import Part

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Spans = Sequence[tuple[float, float]]

ROLE_WEIGHT = {"lead": 0.2, "vocals": 0.2, "bass": 0.5, "brass": 0.7, "arp": 0.8, "drums": 0.0}
"""How far a role's notes speak for the chord; 1 where not named. Melodies and basses hold passing notes."""
PUSH = 0.5
"""A note struck at most this long before a span's end and held over belongs to the next span (beats)."""
POINTS = 8
BASS_BELOW = 50
INVERSION_WEIGHT = 0.3


@dataclass(frozen=True)
class Tones:
    """Pitched notes of all parts: `start`, `end` [N] beats, `pitch` [N] MIDI, `weight` [N], `bass` [N]: of a bass."""

    start: Floats
    end: Floats
    pitch: Ints
    weight: Floats
    bass: NDArray[np.bool_]


def parts2tones(parts: Sequence[Part]) -> Tones:
    """All notes but the drums', weighted by role and, mildly, by velocity."""
    rows = [
        (n.start, n.end, n.pitch, ROLE_WEIGHT.get(part.role, 1.0) * (n.velocity / 100.0) ** 0.5, part.role == "bass")
        for part in parts
        if part.role != "drums"
        for n in part.notes
    ]
    table = np.array(rows, dtype=float).reshape(-1, 5)
    return Tones(table[:, 0], table[:, 1], table[:, 2].astype(int), table[:, 3], table[:, 4] > 0)


def spread(start: Floats, end: Floats, edges: Floats) -> tuple[Ints, Ints]:
    """(note index, cell index) for every note and every cell [edges[i], edges[i + 1]) that it touches."""
    first = np.clip(np.searchsorted(edges, start, side="right") - 1, 0, len(edges) - 2)
    last = np.clip(np.searchsorted(edges, end, side="left") - 1, 0, len(edges) - 2)
    count = np.maximum(last - first + 1, 0)
    note = np.repeat(np.arange(len(start)), count)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return note, first[note] + offset


def tones2profiles(tones: Tones, spans: Spans) -> Floats:
    """[spans, 12] weighted beats of each pitch class. A note pushed ahead of a span counts for the span that it is
    held into."""
    out = np.zeros((len(spans), 12))
    if not len(spans) or not len(tones.start):
        return out
    starts = np.array([a for a, _ in spans])
    ends = np.array([b for _, b in spans])
    note, span = spread(tones.start, tones.end, np.append(starts, ends[-1]))
    overlap = np.minimum(tones.end[note], ends[span]) - np.maximum(tones.start[note], starts[span])
    pushed = (tones.start[note] >= ends[span] - PUSH) & (tones.end[note] - ends[span] > overlap)
    amount = np.maximum(overlap, 0.0) * tones.weight[note] * np.where(pushed, 0.15, 1.0)
    np.add.at(out, (span, tones.pitch[note] % 12), amount)
    return out


def tones2basses(tones: Tones, spans: Spans) -> Floats:
    """[spans, 12] share of the time in which a pitch class is the lowest; rows sum to at most 1 (silence: 0).

    Where a bass part plays in a span only its notes count. The span's beginning and middle count double. Elsewhere a
    lowest note from D3 up counts little: it is a chord's inversion rather than a bass.
    """
    out = np.zeros((len(spans), 12))
    if not len(spans) or not len(tones.start):
        return out
    grid = np.array([[a + (b - a) * (k + 0.4) / POINTS for k in range(POINTS)] for a, b in spans]).ravel()
    low = _lowest(tones, grid, np.ones(len(tones.start), dtype=bool)).reshape(-1, POINTS)
    deep = _lowest(tones, grid, tones.bass).reshape(-1, POINTS)
    low = np.where((deep < 128).any(axis=1, keepdims=True), deep, low)
    weight = np.ones(POINTS)
    weight[[0, POINTS // 2]] = 2.0
    span, point = np.nonzero(low < 128)
    np.add.at(out, (span, low[span, point] % 12), weight[point])
    out /= np.maximum(out.sum(axis=1, keepdims=True), 1.0)
    high = (deep == 128).all(axis=1) & (np.where(low < 128, low, 0).max(axis=1) >= BASS_BELOW)
    out[high] *= INVERSION_WEIGHT
    return out


def _lowest(tones: Tones, grid: Floats, chosen: NDArray[np.bool_]) -> NDArray[Any]:
    """Lowest pitch of the chosen notes at each beat of the ascending grid; 128 where none sounds."""
    low = np.full(len(grid), 128)
    start, end, pitch = tones.start[chosen], tones.end[chosen], tones.pitch[chosen]
    first, last = np.searchsorted(grid, start), np.searchsorted(grid, end)
    count = last - first
    note = np.repeat(np.arange(len(start)), count)
    point = first[note] + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    np.minimum.at(low, point, pitch[note])
    return low
