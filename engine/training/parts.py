"""Trains the parts model: `python -m engine.training.parts --corpus runs/corpus.npz --out runs/parts --steps 4000`.

Stops and resumes anywhere (same bits); `--export FILE` writes the checkpoint's weights; `--held-out a,b` names grooves
that are never trained on, `--start FILE` begins from exported weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.diffusion.canvas import STREAMS
from engine.diffusion.context import recall, with_density
from engine.diffusion.network import PartsNet, PartsShape
from engine.diffusion.parts import PartsModel
from engine.training.corpus import Corpus, SongArrays, load_corpus
from engine.training.loop import Schedule, export, train
from engine.training.masks import by_kind, draw_mask, seeds
from engine.training.sharing import fold, share
from engine.training.songs import HELD_OUT

TOKEN_WEIGHTS = (1.5, 1.5, 2.0, 2.0, 1.5, 2.0)
"""Token loss per stream: sparse streams count more."""


class Batches:
    """Training examples by number: songs, windows and masks drawn from (seed, step) alone."""

    def __init__(self, corpus: Corpus, shape: PartsShape, *, rows: int, seed: int) -> None:
        self.corpus, self.shape, self.rows, self.seed = corpus, shape, rows, seed
        self.masks = np.array(shape.masks, dtype=np.int16)
        self.long = [i for i, s in enumerate(corpus.songs) if s.steps >= shape.window]

    def example(
        self, song: SongArrays, hidden: np.ndarray, first: int, width: int, *, density: bool
    ) -> tuple[np.ndarray, ...]:
        """(shown cells, recalled cells, feature rows, whole cells, hidden) of steps first..first+width."""
        span = slice(first, first + width)
        rows = with_density(song.context, song.cells, ~hidden) if density else song.context.rows
        shown = np.where(hidden, self.masks, song.cells)
        looked = recall(song.context, song.cells, ~hidden, self.masks, span)
        return shown[span], looked, rows[span], song.cells[span], hidden[span]

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """Tensors of training step `step`. One batch in six has windows of half the width and twice the rows."""
        rng = np.random.default_rng((self.seed, step))
        half = rng.random() < 1 / 6
        width, rows = (self.shape.window // 2, 2 * self.rows) if half else (self.shape.window, self.rows)
        examples: list[tuple[np.ndarray, ...]] = []
        while len(examples) < rows:
            song = self.corpus.songs[self.long[int(rng.integers(len(self.long)))]]
            hidden = draw_mask(song, rng)
            first = int(rng.integers(song.steps - width + 1))
            if hidden[first : first + width].any():
                examples.append(self.example(song, hidden, first, width, density=bool(rng.random() < 0.6)))
        return stack(examples)


def stack(examples: list[tuple[np.ndarray, ...]]) -> tuple[Tensor, ...]:
    """Examples as tensors [B, ...]: int64, the last one bool."""
    *cells, hidden = (np.stack(column) for column in zip(*examples, strict=True))
    return (*(torch.from_numpy(c.astype(np.int64)) for c in cells), torch.from_numpy(hidden))


def held_out_loss(net: PartsNet, batches: Batches, kind: str, count: int = 24) -> dict[str, float]:
    """Nats per hidden cell, per stream and in all, of `count` fixed windows of the corpus, hidden in one way."""
    net.eval()
    sums = torch.zeros(len(STREAMS), 3)
    with torch.inference_mode():
        for n in range(0, count, 8):
            examples: list[tuple[np.ndarray, ...]] = []
            for i in range(n, min(n + 8, count)):
                rng = np.random.default_rng((77, i))
                song = batches.corpus.songs[batches.long[i % len(batches.long)]]
                hidden = seeds(song, 2, fills=True) if kind == "seeds" else by_kind(kind, song, rng)
                hidden &= ~song.resting
                first = int(rng.integers(song.steps - batches.shape.window + 1))
                examples.append(batches.example(song, hidden, first, batches.shape.window, density=True))
            _, report = net.loss(stack(examples), TOKEN_WEIGHTS)
            sums += report
    per_stream = sums[:, :2].sum(1) / sums[:, 2].clamp(min=1)
    out = {f"{kind}_{s}": round(float(v), 4) for s, v in zip(STREAMS, per_stream, strict=True)}
    return {f"{kind}": round(float(sums[:, :2].sum() / sums[:, 2].sum().clamp(min=1)), 4), **out}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, default=Path("runs/corpus.npz"))
    parser.add_argument("--out", type=Path, default=Path("runs/parts"))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--held-out", default=",".join(HELD_OUT))
    parser.add_argument("--start", type=Path, help="weights to begin from")
    parser.add_argument("--export", type=Path, help="write the checkpoint's weights and stop")
    args = parser.parse_args()
    corpus = load_corpus(args.corpus)
    torch.manual_seed(args.seed)
    shape = PartsShape(tuple(corpus.vocabulary.sizes[s] for s in STREAMS), layers=args.layers)
    net = PartsNet(shape)
    if args.start:
        net.load_state_dict(PartsModel.load(args.start).net.state_dict())
    share(net, corpus.vocabulary)
    if args.export:
        net.load_state_dict(torch.load(args.out / "checkpoint.pt", weights_only=True)["average"])
        fold(net)
        export(net, PartsModel(net, corpus.vocabulary).metadata(), args.export)
        return
    names = [n for n in args.held_out.split(",") if n]
    batches = Batches(corpus.without(names), shape, rows=args.rows, seed=args.seed)
    unseen = Batches(corpus.only(names), shape, rows=args.rows, seed=args.seed)

    def loss_of(step: int) -> tuple[Tensor, Mapping[str, float]]:
        loss, _ = net.loss(batches.batch(step), TOKEN_WEIGHTS)
        return loss, {}

    def held_out() -> dict[str, float]:
        return {**held_out_loss(net, unseen, "seeds"), **held_out_loss(net, unseen, "all")} if unseen.long else {}

    print(f"{sum(p.numel() for p in net.parameters()):,} parameters")
    train(net, loss_of, Schedule(args.steps, args.rate), args.out, every=args.every, held_out=held_out)


if __name__ == "__main__":
    main()
