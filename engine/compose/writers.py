"""The trained models as the composer uses them.

Either may be absent: then form rules alone write, and the score says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from engine.compose.harmony import PLAN_DRAWS, Plan
from engine.compose.song import Song
from engine.diffusion.canvas import STREAMS, Canvas
from engine.report import Tick
from engine.score import Chord, FormSection, Key, Note

if TYPE_CHECKING:
    from engine.diffusion.parts import PartsModel
    from engine.lelm.plan import PlanModel

STEPS = 12
"""Diffusion steps, as many as the shipped weights were judged with (engine/weights/README.md)."""
SHORT_BARS, SHORT_DRAWS = 16, 2
"""Short requests take the better of two draws."""
MAX_SEED = 1 << 63


@dataclass(frozen=True)
class Writers:
    """The plan model (chords) and the parts model (notes), or None where a model is not there."""

    plan: PlanModel | None = None
    parts: PartsModel | None = None


def plan_of(writers: Writers, tick: Tick) -> Plan | None:
    """The plan model as a function of sections, key, chords that stand, and a seed."""
    model = writers.plan
    if model is None:
        return None
    from engine.lelm.plan import write_plan

    begun = count()

    def plan(form: Sequence[FormSection], key: Key, stands: Sequence[Chord], seed: int) -> tuple[Chord, ...]:
        done = next(begun)

        def share(fraction: float) -> None:
            tick(min((done + fraction) / PLAN_DRAWS, 1.0))

        return write_plan(model, tuple(form), key, tuple(stands), seed=seed % MAX_SEED, tick=share)

    return plan


def write_canvas(
    writers: Writers,
    song: Song,
    notes: Mapping[str, Sequence[Note]],
    given: Mapping[str, frozenset[int]],
    seed: int,
    tick: Tick,
) -> list[dict[str, tuple[Note, ...]]]:
    """Versions of the whole canvas by the parts model, none without it. `given`: per stream the rows that stand."""
    model = writers.parts
    fixed = np.ones((len(song.bars), len(STREAMS)), dtype=np.bool_)
    for s, stream in enumerate(STREAMS):
        for row, bar in enumerate(song.bars):
            fixed[row, s] = stream not in bar.streams or row in given.get(stream, frozenset())
    if model is None or fixed.all():
        return []
    from engine.diffusion.parts import fill_parts

    canvas = Canvas(
        sections=song.form,
        chords=song.chords,
        key=song.key,
        steps_per_quarter=song.groove.steps_per_quarter,
        notes={s: tuple(notes.get(s, ())) for s in STREAMS},
        given=fixed,
    )
    draws = SHORT_DRAWS if int((~fixed).any(axis=1).sum()) <= SHORT_BARS else 1
    versions = []
    for k in range(draws):

        def share(fraction: float, done: int = k) -> None:
            tick((done + fraction) / draws)

        filled = fill_parts(model, canvas, steps=STEPS, seed=(seed * SHORT_DRAWS + k) % MAX_SEED, tick=share)
        versions.append({s: tuple(filled.notes.get(s, ())) for s in STREAMS})
    return versions
