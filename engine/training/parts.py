"""Trains the parts model: `python -m engine.training.parts --corpus runs/corpus.npz --out runs/parts --steps 4000`.

Stops and resumes anywhere (same bits); `--export FILE` writes the best weights; `--start FILE` begins from exported
weights, whatever their vocabulary. What is held out (engine/training/heldout.py) is never trained on; per source two
losses are measured on it: with two seed bars per label given, and with everything hidden. Training stops when their sum
(`WATCHED`) no longer falls.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parametrize

from engine.diffusion.canvas import STREAMS
from engine.diffusion.context import recall, with_density
from engine.diffusion.network import PartsNet, PartsShape
from engine.diffusion.parts import PartsModel
from engine.training.corpus import Corpus, SongArrays, load_corpus
from engine.training.heldout import is_held_out
from engine.training.loop import Patience, Schedule, export, half, train, trained
from engine.training.masks import by_kind, draw_mask, seeds
from engine.training.sharing import fold, share
from engine.training.warm_start import carry_over, completed

TOKEN_WEIGHTS = (1.5, 1.5, 2.0, 2.0, 1.5, 2.0)
"""Token loss per stream: sparse streams count more."""
WATCHED = {"seeds": 1.0, "all": 0.25}
HALF_WINDOWS = 0.25
CORRUPTED, DOUBTED = 0.25, 0.04
"""Share of the examples in which so many of the visible cells are swapped for others of the stream, and as many sound
ones are asked for too: the network learns to doubt what it sees."""


class Batches:
    """Training examples by number: songs, windows and masks drawn from (seed, step) alone."""

    def __init__(self, corpus: Corpus, shape: PartsShape, *, rows: int, seed: int) -> None:
        self.corpus, self.shape, self.rows, self.seed = corpus, shape, rows, seed
        self.masks = np.array(shape.masks, dtype=np.int16)
        self.long = [i for i, s in enumerate(corpus.songs) if s.steps >= shape.window]
        self.short = [i for i, s in enumerate(corpus.songs) if s.steps >= shape.window // 2]

    def absent(self) -> list[Tensor]:
        """Per stream, which onset tokens [size] none of the songs holds."""
        out = []
        for s, size in enumerate(self.shape.sizes):
            counts = sum(np.bincount(np.maximum(x.cells[:, s] - 1, 0), minlength=size + 1) for x in self.corpus.songs)
            out.append(torch.from_numpy(np.asarray(counts)[1:] == 0))
        return out

    def example(
        self,
        song: SongArrays,
        hidden: np.ndarray,
        first: int,
        width: int,
        *,
        density: bool,
        doubt: np.random.Generator | None = None,
    ) -> tuple[np.ndarray, ...]:
        """(shown cells, recalled cells, feature rows, whole cells, cells asked for) of steps first..first+width. With
        `doubt` some visible cells are wrong (`corrupt`)."""
        span = slice(first, first + width)
        rows = with_density(song.context, song.cells, ~hidden) if density else song.context.rows
        seen, asked = (song.cells, hidden) if doubt is None else corrupt(song.cells, hidden, doubt)
        shown = np.where(hidden, self.masks, seen)
        looked = recall(song.context, seen, ~hidden, self.masks, span)
        return shown[span], looked, rows[span], song.cells[span], asked[span]

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """Tensors of training step `step`. One batch in four has windows of half the width and twice the rows, so that
        short songs come in too."""
        rng = np.random.default_rng((self.seed, step))
        narrow = not self.long or rng.random() < HALF_WINDOWS
        width, rows = (self.shape.window // 2, 2 * self.rows) if narrow else (self.shape.window, self.rows)
        pool = self.short if narrow else self.long
        examples: list[tuple[np.ndarray, ...]] = []
        while len(examples) < rows:
            song = self.corpus.songs[pool[int(rng.integers(len(pool)))]]
            hidden = draw_mask(song, rng)
            first = int(rng.integers(song.steps - width + 1))
            if hidden[first : first + width].any():
                density, doubt = bool(rng.random() < 0.6), rng if rng.random() < CORRUPTED else None
                examples.append(self.example(song, hidden, first, width, density=density, doubt=doubt))
        return stack(examples)


def corrupt(cells: np.ndarray, hidden: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(cells of which a few visible ones are another step's; cells that are asked for: the hidden ones, the wrong ones
    and as many right ones)."""
    wrong = ~hidden & (rng.random(cells.shape) < DOUBTED)
    other = np.take_along_axis(cells, rng.integers(len(cells), size=cells.shape), 0)
    right = ~hidden & (rng.random(cells.shape) < DOUBTED)
    return np.where(wrong, other, cells), hidden | wrong | right


def stack(examples: list[tuple[np.ndarray, ...]]) -> tuple[Tensor, ...]:
    """Examples as tensors [B, ...]: int64, the last one bool."""
    *cells, hidden = (np.stack(column) for column in zip(*examples, strict=True))
    return (*(torch.from_numpy(c.astype(np.int64)) for c in cells), torch.from_numpy(hidden))


def held_out_loss(net: PartsNet, batches: Batches, kind: str, count: int = 24) -> dict[str, float]:
    """Nats per hidden cell, per stream and in all, of `count` fixed windows of the corpus, hidden in one way."""
    net.eval()
    device = next(net.parameters()).device
    sums = torch.zeros(len(STREAMS), 3)
    with torch.inference_mode(), half(device):
        for n in range(0, count, 8):
            examples: list[tuple[np.ndarray, ...]] = []
            for i in range(n, min(n + 8, count)):
                rng = np.random.default_rng((77, i))
                song = batches.corpus.songs[batches.long[i % len(batches.long)]]
                hidden = seeds(song, 2, fills=True) if kind == "seeds" else by_kind(kind, song, rng)
                hidden &= ~song.resting
                first = int(rng.integers(song.steps - batches.shape.window + 1))
                examples.append(batches.example(song, hidden, first, batches.shape.window, density=True))
            _, report = net.loss([x.to(device) for x in stack(examples)], TOKEN_WEIGHTS)
            sums += report.cpu()
    per_stream = sums[:, :2].sum(1) / sums[:, 2].clamp(min=1)
    out = {f"{kind}_{s}": round(float(v), 4) for s, v in zip(STREAMS, per_stream, strict=True)}
    return {f"{kind}": round(float(sums[:, :2].sum() / sums[:, 2].sum().clamp(min=1)), 4), **out}


def by_source(corpus: Corpus) -> dict[str, Corpus]:
    """What is held out, by source: "book" for grooves, else what stands before the slash."""
    names = [n for n in sorted(set(corpus.grooves)) if is_held_out(n)]
    sources = sorted({n.split("/")[0] if "/" in n else "book" for n in names})
    return {s: corpus.only([n for n in names if (n.split("/")[0] if "/" in n else "book") == s]) for s in sources}


def measure(net: PartsNet, unseen: Mapping[str, Batches], count: int) -> dict[str, float]:
    """Held-out losses: "seeds" and "all" in the mean of the sources, and each source's own, per stream."""
    out: dict[str, float] = {}
    for kind in WATCHED:
        means = []
        for source, batches in unseen.items():
            losses = held_out_loss(net, batches, kind, count)
            means.append(losses[kind])
            out |= {f"{source}_{name}": value for name, value in losses.items()}
        out[kind] = round(sum(means) / max(len(means), 1), 4)
    return out


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
    parser.add_argument("--windows", type=int, default=8, help="held-out windows per source and kind")
    parser.add_argument("--patience", type=int, default=5, help="measurements without a better one before it stops")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--start", type=Path, help="weights to begin from")
    parser.add_argument("--export", type=Path, help="write the best weights and stop")
    args = parser.parse_args()
    corpus = load_corpus(args.corpus)
    torch.manual_seed(args.seed)
    device = torch.device(args.device)
    shape = PartsShape(tuple(corpus.vocabulary.sizes[s] for s in STREAMS), layers=args.layers)
    net = PartsNet(shape)
    batches = Batches(
        corpus.without([n for n in corpus.grooves if is_held_out(n)]), shape, rows=args.rows, seed=args.seed
    )
    absent = batches.absent()
    if args.start:
        print("new tokens:", carry_over(net, corpus.vocabulary, PartsModel.load(args.start), absent))
    share(net, corpus.vocabulary)
    if args.export:
        net.load_state_dict(trained(args.out))
        fold(net)
        full = completed(PartsModel(net, corpus.vocabulary), absent)
        export(full.net, full.metadata(), args.export)
        return
    net.to(device)
    absent = [x.to(device) for x in absent]
    kept_apart = {s: Batches(c, shape, rows=args.rows, seed=args.seed) for s, c in by_source(corpus).items()}
    unseen = {s: b for s, b in kept_apart.items() if b.long}

    def loss_of(step: int) -> tuple[Tensor, Mapping[str, float]]:
        with half(device), parametrize.cached():
            loss, report = net.loss([x.to(device) for x in batches.batch(step)], TOKEN_WEIGHTS, absent)
        nats = (report[:, :2].sum(1) / report[:, 2].clamp(min=1)).tolist()
        return loss, {f"nats_{s}": round(v, 4) for s, v in zip(STREAMS, nats, strict=True)}

    print(f"{sum(p.numel() for p in net.parameters()):,} parameters on {device}; tokens that no song holds: "
          f"{[int(x.sum()) for x in absent]}")  # fmt: skip
    train(
        net,
        loss_of,
        Schedule(args.steps, args.rate),
        args.out,
        every=args.every,
        held_out=lambda: measure(net, unseen, args.windows),
        patience=Patience(WATCHED, args.patience),
    )


if __name__ == "__main__":
    main()
