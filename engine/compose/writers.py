"""The trained models as the composer uses them.

Either may be absent: then form rules alone write, and the score says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from engine.compose.harmony import Plan, Question
from engine.compose.opening import ComingTakes
from engine.compose.song import Song
from engine.diffusion.canvas import STREAMS, Canvas
from engine.report import Tick
from engine.score import Chord, Note
from engine.trace import span

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
    """The plan model (chords) and the parts model (notes), or None where a model is not there. `coming`: takes that are
    written after this one, whose plans may share its batch."""

    plan: PlanModel | None = None
    parts: PartsModel | None = None
    coming: ComingTakes | None = None


def plan_of(writers: Writers, tick: Tick) -> Plan | None:
    """The plan model as a function of a question. What a coming take will ask is answered along with it, as far as the
    batch has room, and kept for that take: it costs nothing, for rows of a batch that nobody wants are decoded too."""
    model, coming = writers.plan, writers.coming
    if model is None:
        return None
    from engine.lelm.plan import BATCH, PlanWish, write_plans
    from engine.lelm.slots import form2slots

    def plan(question: Question) -> Sequence[tuple[Chord, ...]]:
        answered = coming.take(question) if coming is not None else None
        if answered is not None:
            return answered
        asked = [question]
        if coming is not None:
            slots = len(form2slots(question.form, question.key.mode))
            asked += coming.fitting(
                BATCH // len(question.seeds) - 1, lambda other: len(form2slots(other.form, other.key.mode)) == slots
            )
        wishes = [
            PlanWish(q.form, q.key, tuple(c.plain for c in q.stands), seed % MAX_SEED)
            for q in asked
            for seed in q.seeds
        ]
        with span("plan model", plans=len(wishes)):
            plans = iter(write_plans(model, wishes, tick=tick))
        answers = [tuple(islice(plans, len(q.seeds))) for q in asked]
        if coming is not None:
            coming.keep(dict(zip(asked[1:], answers[1:], strict=True)))
        return answers[0]

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
    from engine.diffusion.parts import fill_parts_often

    canvas = Canvas(
        sections=song.form,
        chords=tuple(chord.plain for chord in song.chords),
        key=song.key,
        steps_per_quarter=song.groove.steps_per_quarter,
        notes={s: tuple(notes.get(s, ())) for s in STREAMS},
        given=fixed,
    )
    draws = SHORT_DRAWS if int((~fixed).any(axis=1).sum()) <= SHORT_BARS else 1
    seeds = [(seed * SHORT_DRAWS + k) % MAX_SEED for k in range(draws)]
    with span("parts model", draws=draws):
        versions = fill_parts_often(model, canvas, steps=STEPS, seeds=seeds, tick=tick)
    return [{s: tuple(filled.notes.get(s, ())) for s in STREAMS} for filled in versions]
