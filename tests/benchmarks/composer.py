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
    NoAnswer,
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

TRAINING_SONGS = 24
ROWS = (
    "truth", "copy previous bar", "copy previous, on the chords", "copy the label's bar, on the chords",
    "shuffled other song", "unigram", "MMA on the chords", "ours: parts model", "ours: band", "ours: band, free",
)  # fmt: skip
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

    def ways(self, row: str) -> tuple[Write, Write]:
        """How a row of `ROWS` writes: (fill, grow)."""
        words, others = self.model.vocabulary, [p.song for p in self.pieces]

        def rng(seed: int) -> np.random.Generator:
            return np.random.default_rng((11, seed))

        alike: dict[str, Write] = {
            "truth": lambda p, h, i: truth(p.song, h),
            "copy previous bar": lambda p, h, i: copy_notes(p.song, h, previous_bar(p.song, h)),
            "copy previous, on the chords": lambda p, h, i: cells2answer(
                p.song, h, copy_cells(p.song, h, previous_bar(p.song, h), words), words
            ),
            "copy the label's bar, on the chords": lambda p, h, i: cells2answer(
                p.song, h, copy_cells(p.song, h, label_bar(p.song, h), words), words
            ),
            "shuffled other song": lambda p, h, i: other_song(p.song, h, others, rng(i)),
            "unigram": lambda p, h, i: unigram(p.song, h, self.counts, words, rng(i)),
            "MMA on the chords": lambda p, h, i: composer_mma.arrange(p),
            "ours: parts model": lambda p, h, i: model_fills(self.model, p.song, h, i),
        }
        if row in alike:
            return alike[row], alike[row]
        return self._band("free" if row.endswith("free") else "safe")

    def _band(self, harmony: Harmony) -> tuple[Write, Write]:
        return (
            lambda p, h, i: band_fills(self.writers, p, h, i, harmony),
            lambda p, h, i: band_grows(self.writers, p, h, i, harmony),
        )

    def figures(self, number: int, fill: Write, grow: Write, *, ours: bool) -> Figures:
        """A row's figures on one piece. Raises `NoAnswer`."""
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
    parser.add_argument("--most", type=int, default=10**6, help="songs to measure now; 0: what --kept holds")
    args = parser.parse_args()
    torch.set_num_threads(1)
    sources, wanted = args.sources.split(","), [name for name in args.only.split(",") if name]
    pieces, remarks = held_out_pieces(sources, args.count) if args.most else ([], [])
    rows_of_songs = measure_all(pieces, args.weights, wanted, args.kept, args.most)
    if args.kept is not None and not args.most:
        rows_of_songs = [read_kept(f, wanted) for s in sources for f in sorted(args.kept.glob(f"{s}-*.json"))]
    found, said = gather(rows_of_songs)
    rows = {name: combine(name, figures) for name, figures in found.items() if figures}
    absent = composer_referee.why_absent()
    remarks += [*said, *([f"no referee: {absent} (pip install 'stembridge[bench]')"] if absent else [])]
    print(f"{len(rows_of_songs)} held-out songs of {', '.join(sources)}")
    print("\n".join([table(rows), *remarks, *verdict(rows)]))


def measure_all(
    pieces: Sequence[Piece], weights: Path | None, wanted: Sequence[str], kept: Path | None, most: int
) -> list[Kept]:
    """Figures of the wanted rows for every piece; what `kept` holds is not measured again, and for at most `most`
    pieces anything is."""
    bench: Bench | None = None
    out: list[Kept] = []
    fresh = 0
    for number, piece in enumerate(pieces):
        file = None if kept is None else kept / f"{piece.source}-{piece.number}.json"
        rows: Kept = {} if file is None else read_kept(file, ())
        missing = [name for name in ROWS if name not in rows and _is_wanted(name, wanted)]
        if missing and fresh == most:
            continue
        if missing:
            fresh += 1
            bench = bench or Bench.load(pieces, weights)
            for name in missing:
                try:
                    rows[name] = bench.figures(number, *bench.ways(name), ours=name.startswith("ours"))
                except NoAnswer as problem:
                    rows[name] = str(problem)
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(msgspec.json.encode(rows))
        out.append({name: rows[name] for name in ROWS if name in rows and _is_wanted(name, wanted)})
    return out


def read_kept(file: Path, wanted: Sequence[str]) -> Kept:
    """The wanted rows that a file of `--kept` holds; none where there is no file."""
    rows: Kept = msgspec.json.decode(file.read_bytes(), type=Kept) if file.is_file() else {}
    return {name: rows[name] for name in ROWS if name in rows and _is_wanted(name, wanted)}


def gather(songs: Sequence[Kept]) -> tuple[dict[str, list[Figures]], list[str]]:
    """Figures of every row over the songs, and a remark on every row that songs lack."""
    found: dict[str, list[Figures]] = {}
    said = []
    for name in ROWS:
        cells = [song[name] for song in songs if name in song]
        found[name] = [cell for cell in cells if isinstance(cell, Figures)]
        why = sorted({cell for cell in cells if isinstance(cell, str)})
        if cells and len(found[name]) < len(songs):
            said.append(f"{name}: {len(songs) - len(found[name])} of {len(songs)} songs left out{_because(why)}")
    return found, said


def _because(why: Sequence[str]) -> str:
    return f" ({'; '.join(why)})" if why else ""


def _is_wanted(name: str, wanted: Sequence[str]) -> bool:
    return name == "truth" or not wanted or any(part in name for part in wanted)


if __name__ == "__main__":
    main()
