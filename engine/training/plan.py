"""Trains the plan model: `python -m engine.training.plan --out runs/plan --steps 3000`.

Songs come from the grammar of harmony, the groove book's progressions and, where they are installed, chord charts
(engine/training/sources/charts.py). Two thirds of the examples have given chords (whole labels or a span), so that the
model learns to write around them. Held out: grammar songs whose number is a multiple of 50, and whole collections of
charts. Training stops when the mean loss of both no longer falls.
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
from engine.training.loop import Patience, Schedule, export, half, train, trained
from engine.training.songs import LEVEL_OF
from engine.training.sources import SourceMissing, charts

METRES = ((4, 4), (4, 4), (4, 4), (3, 4), (6, 8), (12, 8), (5, 4), (7, 8))
MODES = ("major", "minor", "dorian", "mixolydian", "lydian", "phrygian", "locrian")
ODDS = (0.34, 0.3, 0.1, 0.1, 0.06, 0.07, 0.03)
FROM_BOOK, FROM_CHART = 0.3, 0.5
WATCHED = {"grammar": 0.5, "charts": 0.5}

PlanSong = tuple[tuple[Slot, ...], tuple[tuple[int, ...], ...], tuple[int, ...]]
"""Slots, their kin, chord codes."""


@lru_cache(maxsize=20_000)
def plan_song(number: int, with_charts: bool = False) -> PlanSong:
    """Song `number`. `with_charts`: half of those that are not held out follow a chart that trains."""
    rng = np.random.default_rng((2, number))
    if with_charts and number % 50 and rng.random() < FROM_CHART:
        pool = charts.charts(unseen=False)
        return chart_song(pool[int(rng.integers(len(pool)))])
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


def chart_song(chart: charts.Chart) -> PlanSong:
    """A chart as a plan; its slash basses are not kept."""
    slots = form2slots(chart.sections, chart.key.mode)
    codes = [NONE if c is None else c for c in chords2codes(chart.chords, slots, chart.key)]
    return slots, both_ways(slots), tuple(codes)


def example(
    song: PlanSong, rng: np.random.Generator, width: int
) -> tuple[list[int], list[list[int]], list[int], list[bool]]:
    """(tokens before, feature rows, codes, which are free) of at most `width` slots of a song."""
    slots, kin, codes = song
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


def batch(songs: Sequence[PlanSong], rng: np.random.Generator, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Padded tensors: tokens [B, S], rows [B, S, F], codes [B, S], free [B, S]."""
    examples = [example(song, rng, width) for song in songs]
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


def has_charts() -> bool:
    """Whether chord charts are installed; says so where they are not."""
    try:
        charts.folder()
    except SourceMissing as missing:
        print(f"left out: {missing}")
        return False
    return True


def unseen_batches(with_charts: bool, count: int = 64) -> dict[str, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """What is held out: songs of the grammar, and charts of held-out collections."""
    out = {"grammar": batch([plan_song(n) for n in held_out_numbers(count)], np.random.default_rng(3), 256)}
    if with_charts:
        pool = charts.charts(unseen=True)
        some = [chart_song(pool[i]) for i in np.linspace(0, len(pool) - 1, count).astype(int)]
        out["charts"] = batch(some, np.random.default_rng(3), 256)
    return out


def on(device: torch.device, data: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A batch on a device."""
    tokens, rows, codes, free = (x.to(device) for x in data)
    return tokens, rows, codes, free


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
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--patience", type=int, default=5, help="measurements without a better one before it stops")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--start", type=Path, help="weights to begin from")
    parser.add_argument("--export", type=Path, help="write the best weights and stop")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    model = PlanModel.load(args.start).train() if args.start else PlanModel()
    if args.export:
        model.load_state_dict(trained(args.out))
        export(model, {"config": model.config_json()}, args.export)
        return
    device = torch.device(args.device)
    model.to(device)
    with_charts = has_charts()
    unseen = {name: on(device, data) for name, data in unseen_batches(with_charts).items()}

    def loss_of(step: int) -> tuple[Tensor, Mapping[str, float]]:
        rng = np.random.default_rng((args.seed, step))
        numbers = [n for n in (int(x) for x in rng.integers(args.songs, size=args.rows)) if n % 50]
        songs = [plan_song(n, with_charts) for n in numbers]
        with half(device):
            return nats(model, on(device, batch(songs, rng, args.width))), {}

    def held_out() -> dict[str, float]:
        model.eval()
        with torch.inference_mode(), half(device):
            return {name: round(float(nats(model, data)), 4) for name, data in unseen.items()}

    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    watched = {name: WATCHED[name] for name in unseen}
    train(
        model,
        loss_of,
        Schedule(args.steps, args.rate),
        args.out,
        every=args.every,
        held_out=held_out,
        patience=Patience(watched, args.patience),
    )


if __name__ == "__main__":
    main()
