"""Stems on their way through a renderer: their pieces, what came of each, what the others play beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bridge.handover.manifest import Painted
from bridge.messages import ModelRow
from engine.conform import Fitted, Target, Window
from engine.rendering import Audio, Renderer, Stretch, Task
from engine.report import Tick
from engine.score import Part
from engine.stems import StemMaker

MOVED_MS = 2.0
"""A stem that was moved by more than this says so: less is within what is promised of every stem, and what the measure
itself may be wrong by. `Painted.warp_ms` tells every move."""


@dataclass(eq=False)
class Piece:
    """A window of a stem on its way. `answer` None while it waits or is out. `ahead`: its first try is rendered and
    kept already."""

    window: Window
    stretch: Stretch
    task: Task
    target: Target | None
    tries: int = 0
    ahead: bool = False
    answer: Fitted | None = None
    refused: list[str] = field(default_factory=list)


@dataclass(eq=False)
class StemInWork:
    """A stem on its way."""

    part: Part
    row: ModelRow
    renderer: Renderer
    ringing: int
    instrument: str
    pieces: list[Piece]
    failed: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def waiting(self) -> list[Piece]:
        """Pieces that are still to be rendered; none where one has failed for good."""
        return [] if self.failed else [p for p in self.pieces if p.answer is None]


class Band:
    """The sum of all stems of a take, as far as it is known before they are rendered: what an edit keeps, else the
    guides. Made when it is first wanted."""

    def __init__(self, stems: StemMaker) -> None:
        self._stems = stems
        self._sum: Audio | None = None

    def without(self, part: Part, guide: Audio, tick: Tick) -> Audio:
        """The band but for one part, whose `guide` is known; float32 [2, samples]."""
        if self._sum is None:
            self._sum = np.zeros((2, self._stems.frame.samples), np.float32)
            for other in self._stems.score.parts:
                self._sum += self._part(other, tick)
        own = self._kept(part)
        return np.asarray(self._sum - (guide[:, : self._sum.shape[1]] if own is None else own))

    def _part(self, part: Part, tick: Tick) -> Audio:
        kept = self._kept(part)
        if kept is not None:
            return kept
        if not part.notes:
            return np.zeros((2, self._stems.frame.samples), np.float32)
        return self._stems.guide(part, 0, tick)

    def _kept(self, part: Part) -> Audio | None:
        old = self._stems.edited(part)
        return None if old is None else self._stems.before(old)[0]


def next_batch(working: Sequence[StemInWork], busy: Sequence[Piece]) -> list[tuple[StemInWork, Piece]]:
    """The next stretches for one renderer, first come first served, as many as it renders at once beside those that
    are rendered already; `busy` ones are out or being judged."""
    ready = [(stem, piece) for stem in working for piece in stem.waiting if piece not in busy]
    if not ready:
        return []
    renderer = ready[0][0].renderer
    rows = [row for row in ready if row[0].renderer is renderer]
    to_do = [row for row in rows if not row[1].ahead][: max(renderer.batch, 1)]
    return [row for row in rows if row[1].ahead or row in to_do]


def stem2painted(stem: StemInWork, *, used: bool) -> Painted:
    """How the stem was made, for the manifest: the worst of its windows."""
    asked = [piece for piece in stem.pieces if piece.tries]
    answers = [piece.answer for piece in asked if piece.answer is not None]
    return Painted(
        renderer=stem.row.name,
        weights=stem.renderer.weights,
        licence=stem.renderer.licence,
        used=used,
        tasks=tuple(dict.fromkeys(piece.task for piece in asked)),
        seeds=tuple(piece.stretch.seed for piece in asked),
        tries=max((piece.tries for piece in asked), default=0),
        before_ms=_worst([a.before_ms for a in answers]),
        after_ms=_worst([a.after_ms for a in answers]),
        warp_ms=round(max((a.warp_ms for a in answers), default=0.0), 2),
        cents=max((round(a.cents, 1) for a in answers if a.cents is not None), key=abs, default=None),
        gain_db=max((round(a.gain_db, 2) for a in answers), key=abs, default=0.0),
        refused=tuple(text for piece in asked for text in piece.refused),
    )


def _worst(rows: Sequence[tuple[float, float] | None]) -> tuple[float, float] | None:
    """Greatest median and greatest 99th percentile of those that were measured."""
    known = [row for row in rows if row is not None]
    if not known:
        return None
    return round(max(row[0] for row in known), 2), round(max(row[1] for row in known), 2)


def painted2repairs(painted: Painted) -> tuple[str, ...]:
    """What the musician should know was done to the rendering."""
    return (f"moved onto the grid by up to {painted.warp_ms:.0f} ms",) if painted.warp_ms > MOVED_MS else ()
