"""The parts model: fills every cell of a canvas that is not given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from engine.diffusion.canvas import STREAMS, Canvas
from engine.diffusion.network import PartsNet, PartsShape
from engine.diffusion.sampling import Unmasking, unmask
from engine.diffusion.tokens import notes2tokens, tokens2notes
from engine.diffusion.vocabulary import FIRST, Vocabulary
from engine.llama import one_thread
from engine.report import Tick
from engine.score import Note
from engine.shipped import check_weights

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "parts-2.safetensors"
FROM_NOTHING = 5.0
"""Jitter of the unmasking order where no note is given: random order."""


class PartsModel:
    """The network with the vocabulary that its tokens come from."""

    def __init__(self, net: PartsNet, vocabulary: Vocabulary) -> None:
        self.net = net
        self.vocabulary = vocabulary

    @classmethod
    def load(cls, path: Path | None = None) -> PartsModel:
        """The shipped weights, or those of `path` (safetensors with shape and vocabulary in its metadata)."""
        check_weights(path or WEIGHTS)
        with safe_open(path or WEIGHTS, framework="pt") as file:
            meta = file.metadata()
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        fields = json.loads(meta["shape"])
        with torch.device("meta"):
            net = PartsNet(PartsShape(**{**fields, "sizes": tuple(fields["sizes"])}))
        net.load_state_dict(state, assign=True)
        return cls(net.eval(), Vocabulary.from_json(json.loads(meta["vocabulary"])))

    def metadata(self) -> dict[str, str]:
        """What a weight file says beside the tensors."""
        return {"shape": json.dumps(asdict(self.net.shape)), "vocabulary": json.dumps(self.vocabulary.to_json())}


def fill_parts(
    model: PartsModel,
    canvas: Canvas,
    *,
    steps: int = 12,
    seed: int,
    tick: Tick = lambda fraction: None,
    how: Unmasking | None = None,
) -> Canvas:
    """The canvas with every cell written that is not given. Given notes come back untouched, as do notes outside all
    bars; `given` stays as it was. Same model, canvas, steps and seed: same notes.

    Raises what `tick` raises (`JobCancelled`), at the next diffusion step.
    """
    return fill_parts_often(model, canvas, steps=steps, seeds=(seed,), tick=tick, how=how)[0]


def fill_parts_often(
    model: PartsModel,
    canvas: Canvas,
    *,
    steps: int = 12,
    seeds: Sequence[int],
    tick: Tick = lambda fraction: None,
    how: Unmasking | None = None,
) -> list[Canvas]:
    """`fill_parts` for several seeds: each is, to the bit, what it would be alone, and together they cost less, since
    they begin with one look at the same canvas."""
    kept = given_notes(canvas)
    start = replace(canvas, notes=kept)
    hidden = ~canvas.given[canvas.grid.bar]
    if not hidden.any():
        return [start] * len(seeds)
    cells = notes2tokens(start, model.vocabulary)
    if how is None:
        seeded = bool(((cells >= FIRST) & ~hidden).any())
        how = Unmasking() if seeded else Unmasking(jitter=FROM_NOTHING)
    with one_thread():
        rows = unmask(model.net, start, cells, hidden, steps=steps, seeds=seeds, how=how, tick=tick)
    out = []
    for written in rows:
        new = tokens2notes(written, start, model.vocabulary)
        merged = {s: tuple(sorted((*kept[s], *new[s]), key=lambda n: (n.start, n.pitch))) for s in STREAMS}
        out.append(replace(canvas, notes=merged))
    return out


def given_notes(canvas: Canvas) -> dict[str, tuple[Note, ...]]:
    """The notes that stay: those whose nearest step lies in a given bar, and those outside all bars."""
    out: dict[str, tuple[Note, ...]] = {}
    for s, stream in enumerate(STREAMS):
        keep = []
        for note in canvas.notes.get(stream, ()):
            step = canvas.grid.beat2step(note.start)
            bar = None if step is None or step >= canvas.grid.steps else int(canvas.grid.bar[step])
            if bar is None or bool(np.asarray(canvas.given)[bar, s]):
                keep.append(note)
        out[stream] = tuple(keep)
    return out
