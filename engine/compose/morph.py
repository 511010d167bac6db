"""From what stands to what is new, as far as a strength says: 0 is the same notes, 1 the new ones.

Every bar has two steps: a small change of what stands, then the new bar. A strength takes so many of all steps, ends of
phrases first, the first bars of phrases last; what a weaker strength changes, a stronger one changes too, and no step
brings a bar nearer to what stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.compose.measure import bar_notes, overlap
from engine.compose.pitches import no_overlaps
from engine.compose.song import Song
from engine.compose.vary import vary_bar
from engine.score import Note

EARLY_CHANGES = (3, 1, 2, 0)
"""Places in a phrase of four bars, those that change first in front."""
HUNDREDTHS = 100
"""Places in a bar are compared on hundredths of a beat."""


@dataclass(frozen=True)
class Morphed:
    """The notes of the whole part, and the bars that stand as they were, or nearly so."""

    notes: tuple[Note, ...]
    standing: frozenset[int]


def morph(
    song: Song, kind: str, title: str, old: Sequence[Note], new: Sequence[Note], rows: frozenset[int], strength: float
) -> Morphed:
    """`old` in the bars `rows` on its way to `new` (both whole parts, sorted by start); other bars are `new`'s. `kind`:
    the stream, or "percussion"."""
    bars = [bar_notes(new, bar.bar) for bar in song.bars]
    before = {row: bar_notes(old, song.bars[row].bar) for row in rows}
    if strength <= 0.0:
        for row in rows:
            bars[row] = before[row]
        return Morphed(tuple(n for bar in bars for n in bar), rows)
    rng = song.draw("strength", title)
    order = sorted(rows)
    order = [order[int(k)] for k in rng.permutation(len(order))]
    order.sort(key=lambda row: EARLY_CHANGES.index(song.bars[row].position % 4))
    steps = max(round(strength * 2 * len(order)), 1)
    slight, whole = frozenset(order[:steps]), frozenset(order[: max(steps - len(order), 0)])
    for row in rows - whole:
        bars[row] = _slightly(song, kind, title, row, before[row], bars[row]) if row in slight else before[row]
    return Morphed(no_overlaps([n for bar in bars for n in bar]), rows - whole)


def distance(song: Song, old: Sequence[Note], new: Sequence[Note], rows: Sequence[int]) -> float:
    """How far `new` is from `old`, 0 (the same) to 1 (nothing in common): strikes that only one of them has, as a share
    of all, mean over the bars `rows`."""
    pairs = [(_outline(old, song, row), _outline(new, song, row)) for row in rows]
    return sum(1.0 - overlap(a, b) for a, b in pairs) / len(pairs) if pairs else 0.0


def _slightly(
    song: Song, kind: str, title: str, row: int, old: tuple[Note, ...], new: tuple[Note, ...]
) -> tuple[Note, ...]:
    """The bar with one small change; as it was where that would be further away than the new one."""
    bar = song.bars[row]
    rng = song.draw("slightly", title, row)
    steps = song.groove.steps_per_quarter
    changed = vary_bar(kind, old, bar.bar, song.near(bar), song.key_at(bar), rng, steps=steps)
    near = overlap(_set(old, bar.bar.start), _set(changed, bar.bar.start))
    far = overlap(_set(old, bar.bar.start), _set(new, bar.bar.start))
    return changed if near >= far else old


def _outline(notes: Sequence[Note], song: Song, row: int) -> frozenset[tuple[int, int]]:
    bar = song.bars[row].bar
    return _set(bar_notes(notes, bar), bar.start)


def _set(notes: Sequence[Note], start: float) -> frozenset[tuple[int, int]]:
    return frozenset((round((n.start - start) * HUNDREDTHS), n.pitch) for n in notes)
