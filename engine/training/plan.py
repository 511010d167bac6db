"""Trains the plan model: `python -m engine.training.plan --out runs/plan --steps 3000`.

Songs come from the grammar of harmony and the groove book's progressions. Two thirds of the examples have given chords
(whole labels or a span), so that the model learns to write around them. Grammar songs whose number is a multiple of 50
are held out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bridge.timeline import Metre
from engine.grooves import book, groove2chords
from engine.lelm.plan import SIZES, PlanModel
from engine.lelm.slots import NONE, Slot, both_ways, chords2codes, form2slots, slot_features, sound
from engine.score import Key
from engine.training.form import random_form
from engine.training.harmony import song2chords
from engine.training.loop import Schedule, export, train, trained
from engine.training.songs import LEVEL_OF

METRES = ((4, 4), (4, 4), (4, 4), (3, 4), (6, 8), (12, 8), (5, 4), (7, 8))
MODES = ("major", "minor", "dorian", "mixolydian", "lydian", "phrygian", "locrian")
ODDS = (0.34, 0.3, 0.1, 0.1, 0.06, 0.07, 0.03)
FROM_BOOK = 0.3


@lru_cache(maxsize=20_000)
def plan_song(number: int) -> tuple[tuple[Slot, ...], tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Slots, their kin and the chord codes of song `number`."""
    rng = np.random.default_rng((2, number))
    grooves = book()
    groove = grooves[int(rng.integers(len(grooves)))]
    from_book = rng.random() < FROM_BOOK and number % 50
    beats, unit = (groove.beats, groove.unit) if from_book else METRES[int(rng.integers(len(METRES)))]
    sections = random_form(Metre(0.0, beats, unit), rng)
    mode = ("major", "minor")[int(rng.integers(2))] if from_book else str(rng.choice(MODES, p=ODDS))
    key = Key(0, mode)
    if from_book:
        index = int(rng.integers(4))
        parts = [groove2chords(groove, LEVEL_OF[s.label], key, s.bars, index) for s in sections]
        chords = tuple(c for part in parts for c in part)
    else:
        chords = song2chords(sections, key, rng)
    slots = form2slots(sections, mode)
    codes = [NONE if c is None else c for c in chords2codes(chords, slots, key)]
    return slots, both_ways(slots), tuple(codes)


def example(
    number: int, rng: np.random.Generator, width: int
) -> tuple[list[int], list[list[int]], list[int], list[bool]]:
    """(tokens before, feature rows, codes, which are free) of at most `width` slots of a song."""
    slots, kin, codes = plan_song(number)
    given = draw_given(slots, rng)
    rows = []
    known: list[int | None] = [c if g else None for c, g in zip(codes, given, strict=True)]
    whole = sound(codes)
    sounding = [w if g else NONE for w, g in zip(whole, given, strict=True)]
    for i in range(len(slots)):
        rows.append(slot_features(i, slots, kin, known, sounding))
        known[i], sounding[i] = codes[i], whole[i]
    first = int(rng.integers(max(1, len(slots) - width + 1)))
    span = slice(first, first + width)
    before = [SIZES.special, *codes][span]
    free = [not g for g in given]
    return before, rows[span], list(codes[span]), free[span]


def draw_given(slots: Sequence[Slot], rng: np.random.Generator) -> list[bool]:
    """Which slots' chords are given: none, whole labels, or a span."""
    kind = rng.random()
    if kind < 0.4:
        return [False] * len(slots)
    if kind < 0.75:
        labels = {s.place[0] for s in slots}
        chosen = {label for label in sorted(labels) if rng.random() < 0.4}
        return [s.place[0] in chosen for s in slots]
    a, b = sorted(int(x) for x in rng.integers(0, len(slots) + 1, 2))
    return [a <= i < b for i in range(len(slots))]


def batch(numbers: Sequence[int], rng: np.random.Generator, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Padded tensors: tokens [B, S], rows [B, S, F], codes [B, S], free [B, S]."""
    examples = [example(n, rng, width) for n in numbers]
    length = max(len(e[0]) for e in examples)

    def pad(rows: list[list[int]], fill: int) -> Tensor:
        return torch.tensor([row + [fill] * (length - len(row)) for row in rows])

    features = [e[1] + [[0] * len(e[1][0])] * (length - len(e[1])) for e in examples]
    return (
        pad([e[0] for e in examples], 0),
        torch.tensor(features),
        pad([e[2] for e in examples], 0),
        pad([[int(f) for f in e[3]] for e in examples], 0).bool(),
    )


def nats(model: PlanModel, data: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Mean cross-entropy of the free slots."""
    tokens, rows, codes, free = data
    return F.cross_entropy(model(tokens, rows)[free], codes[free])


def held_out_numbers(count: int) -> list[int]:
    """Songs that are never trained on."""
    return [50 * i for i in range(1, count + 1)]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/plan"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--songs", type=int, default=8000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--export", type=Path, help="write the checkpoint's weights and stop")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    model = PlanModel()
    if args.export:
        model.load_state_dict(trained(args.out))
        export(model, {"config": model.config_json()}, args.export)
        return
    unseen = batch(held_out_numbers(64), np.random.default_rng(3), 256)

    def loss_of(step: int) -> tuple[Tensor, Mapping[str, float]]:
        rng = np.random.default_rng((args.seed, step))
        numbers = [n for n in (int(x) for x in rng.integers(args.songs, size=args.rows)) if n % 50]
        return nats(model, batch(numbers, rng, args.width)), {}

    def held_out() -> dict[str, float]:
        model.eval()
        with torch.inference_mode():
            return {"nats": round(float(nats(model, unseen)), 4)}

    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    train(model, loss_of, Schedule(args.steps, args.rate), args.out, held_out=held_out)


if __name__ == "__main__":
    main()
