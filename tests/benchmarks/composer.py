"""Would a musician keep these parts? `python -m tests.benchmarks.composer [--sources book,freedoom] [--count N]`.

One table on held-out material: the truth, anchors, and ours; then where ours beats the anchors and comes near the
truth, and where it does not. Two tasks. Fill: a quarter of each stream's bars is hidden, both sides are visible
(columns NLL to smg: pairwise, against the hidden truth). Grow: two bars a label and the fills are given (all other
columns: of whole songs). Rows "ours": the parts model alone, the whole band of a request, the band without constraints.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import torch

from engine.compose import Writers
from engine.diffusion.parts import PartsModel
from engine.grooves import book
from engine.lelm.plan import PlanModel
from engine.training.evaluate import given_around, given_seeds
from engine.training.songs import HELD_OUT, make_song
from tests.benchmarks import composer_mma, composer_referee
from tests.benchmarks.composer_figures import Figures, Kept, combine, table
from tests.benchmarks.composer_material import held_out_pieces
from tests.benchmarks.composer_measures import MUSICAL, Answer, Histograms, Notes, found_notes, histograms
from tests.benchmarks.composer_nats import MIXTURES, anchor_nats, model_nats
from tests.benchmarks.composer_ours import Harmony, Piece, band_fills, band_grows, model_fills
from tests.benchmarks.composer_rows import (
    cells2answer,
    copy_cells,
    copy_notes,
    count_cells,
    label_bar,
    other_song,
    previous_bar,
    truth,
    unigram,
)
from tests.benchmarks.composer_verdict import verdict

TRAINING_SONGS = 36
Write = Callable[[Piece, np.ndarray, int], Notes]


@dataclass
class Bench:
    """Models, material and what is hidden in each task."""

    pieces: Sequence[Piece]
    model: PartsModel
    writers: Writers
    fill: list[np.ndarray] = field(default_factory=list)
    grow: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def load(cls, pieces: Sequence[Piece], weights: Path | None) -> Bench:
        """With the shipped models, or other weights for the parts."""
        model = PartsModel.load(weights)
        return cls(pieces, model, Writers(PlanModel.load(), model))

    def __post_init__(self) -> None:
        self.fill = [~given_around(p.song, np.random.default_rng((7, p.number))) for p in self.pieces]
        self.grow = [~given_seeds(p.song) for p in self.pieces]
        seen = tuple(g for g in book() if g.name not in HELD_OUT)
        self.counts = count_cells([make_song(i, seen, 5) for i in range(TRAINING_SONGS)], self.model.vocabulary)

    def rows(self) -> dict[str, tuple[Write, Write]]:
        """How each row writes: (fill, grow)."""
        words = self.model.vocabulary
        others = [p.song for p in self.pieces]

        def rng(seed: int) -> np.random.Generator:
            return np.random.default_rng((11, seed))

        def both(write: Write) -> tuple[Write, Write]:
            return write, write

        return {
            "truth": both(lambda p, h, i: truth(p.song, h)),
            "copy previous bar": both(lambda p, h, i: copy_notes(p.song, h, previous_bar(p.song, h))),
            "copy previous, on the chords": both(
                lambda p, h, i: cells2answer(p.song, h, copy_cells(p.song, h, previous_bar(p.song, h), words), words)
            ),
            "copy the label's bar, on the chords": both(
                lambda p, h, i: cells2answer(p.song, h, copy_cells(p.song, h, label_bar(p.song, h), words), words)
            ),
            "shuffled other song": both(lambda p, h, i: other_song(p.song, h, others, rng(i))),
            "unigram": both(lambda p, h, i: unigram(p.song, h, self.counts, words, rng(i))),
            "MMA on the chords": both(lambda p, h, i: composer_mma.arrange(p)),
            "ours: parts model": both(lambda p, h, i: model_fills(self.model, p.song, h, i)),
            "ours: band": self._band("safe"),
            "ours: band, free": self._band("free"),
        }

    def _band(self, harmony: Harmony) -> tuple[Write, Write]:
        return (
            lambda p, h, i: band_fills(self.writers, p, h, i, harmony),
            lambda p, h, i: band_grows(self.writers, p, h, i, harmony),
        )

    def figures(self, number: int, fill: Write, grow: Write, *, ours: bool) -> Figures:
        """A row's figures on one piece. Raises `NoMma`."""
        piece, holes, gaps = self.pieces[number], self.fill[number], self.grow[number]
        song = piece.song
        filled = Answer(song.canvas, holes, fill(piece, holes, piece.number))
        grown = Answer(song.canvas, gaps, grow(piece, gaps, piece.number))
        if ours:
            nats = np.repeat(model_nats(self.model, song, holes, piece.number)[:, None], len(MIXTURES), axis=1)
        else:
            nats = anchor_nats(song, holes, filled.notes, self.counts, self.model.vocabulary)
        return Figures(
            nats.tolist(),
            {s: found.tolist() for s, found in found_notes(filled).items()},
            {} if composer_referee.why_absent() else dict(composer_referee.judge(filled)),
            {name: measure(grown) for name, measure in MUSICAL.items()},
            _lists(histograms(song.canvas, grown.notes)),
            _lists(histograms(song.canvas, song.canvas.notes)),
        )


def _lists(counts: Histograms) -> dict[str, dict[str, list[float]]]:
    return {feature: {s: row.tolist() for s, row in rows.items()} for feature, rows in counts.items()}


def main() -> None:
    """Prints the table and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", default="book,freedoom,mma,tunes")
    parser.add_argument("--count", type=int, default=8, help="songs of each source")
    parser.add_argument("--weights", type=Path, help="weights of the parts model other than the shipped ones")
    parser.add_argument("--only", default="", help="rows to measure (part of a name, commas between), and the truth")
    parser.add_argument("--kept", type=Path, help="folder of figures by song: what is there is not measured again")
    parser.add_argument("--most", type=int, default=10**6, help="songs to measure now (the others come from --kept)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    pieces, remarks = held_out_pieces(args.sources.split(","), args.count)
    wanted = [name for name in args.only.split(",") if name]
    found, said = measure_all(pieces, args.weights, wanted, args.kept, args.most)
    rows = {name: combine(name, figures) for name, figures in found.items() if figures}
    absent = composer_referee.why_absent()
    remarks += [*said, *([f"no referee: {absent} (pip install 'stembridge[bench]')"] if absent else [])]
    print(f"{len(next(iter(found.values())))} held-out songs of {', '.join(dict.fromkeys(p.source for p in pieces))}")
    print("\n".join([table(rows), *remarks, *verdict(rows)]))


def measure_all(
    pieces: Sequence[Piece], weights: Path | None, wanted: Sequence[str], kept: Path | None, most: int
) -> tuple[dict[str, list[Figures]], list[str]]:
    """Figures of every row over the pieces, and remarks on what could not be measured."""
    bench: Bench | None = None
    found: dict[str, list[Figures]] = {}
    left_out: dict[str, str] = {}
    fresh = 0
    for number, piece in enumerate(pieces):
        file = None if kept is None else kept / f"{piece.source}-{piece.number}.json"
        rows = msgspec.json.decode(file.read_bytes(), type=Kept) if file is not None and file.is_file() else None
        if rows is None:
            if fresh == most:
                continue
            fresh += 1
            bench = bench or Bench.load(pieces, weights)
            rows = {}
            for name, (fill, grow) in bench.rows().items():
                if wanted and name != "truth" and not any(part in name for part in wanted):
                    continue
                try:
                    rows[name] = bench.figures(number, fill, grow, ours=name.startswith("ours"))
                except composer_mma.NoMma as problem:
                    rows[name] = str(problem)
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(msgspec.json.encode(rows))
        for name, figures in rows.items():
            found.setdefault(name, [])
            if isinstance(figures, str):
                left_out[name] = figures
            else:
                found[name].append(figures)
    songs = max(map(len, found.values()), default=0)
    return found, [f"{n}: {songs - len(found[n])} of {songs} songs left out ({why})" for n, why in left_out.items()]


if __name__ == "__main__":
    main()
