"""Would a musician keep these parts? `python -m tests.benchmarks.composer [--sources book,freedoom] [--count N]`.

One table on held-out material: the truth, anchors, and ours; then where ours beats the anchors and comes near the
truth, and where it does not. Two tasks. Fill: a quarter of each stream's bars is hidden, both sides are visible
(columns NLL to smg: pairwise, against the hidden truth). Grow: two bars a label and the fills are given (all other
columns: of whole songs). Rows "ours": the parts model alone, the whole band of a request, the band without constraints.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from engine.compose import Writers
from engine.diffusion.canvas import STREAMS
from engine.diffusion.parts import PartsModel
from engine.grooves import book
from engine.lelm.plan import PlanModel
from engine.training.evaluate import given_around, given_seeds
from engine.training.songs import HELD_OUT, make_song
from tests.benchmarks import composer_mma, composer_referee
from tests.benchmarks.composer_material import held_out_pieces
from tests.benchmarks.composer_measures import MUSICAL, Answer, Notes, f1, found_notes, histograms, overlapping_area
from tests.benchmarks.composer_nats import anchor_nats, model_nats
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
from tests.benchmarks.composer_verdict import Row, verdict

TRAINING_SONGS = 36
Write = Callable[[Piece, np.ndarray, int], Notes]


@dataclass
class Bench:
    """Models, material and what is hidden in each task."""

    pieces: list[Piece]
    model: PartsModel
    writers: Writers
    fill: list[np.ndarray] = field(default_factory=list)
    grow: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fill = [~given_around(p.song, np.random.default_rng((7, i))) for i, p in enumerate(self.pieces)]
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

    def row(self, name: str, fill: Write, grow: Write) -> tuple[Row, str]:
        """Measures of one row over the pieces that it can answer, and a remark on those that it cannot."""
        filled, grown, kept, why = [], [], [], ""
        for i, piece in enumerate(self.pieces):
            try:
                pair = fill(piece, self.fill[i], i), grow(piece, self.grow[i], i)
            except composer_mma.NoMma as problem:
                why = str(problem)
                continue
            filled.append(Answer(piece.song.canvas, self.fill[i], pair[0]))
            grown.append(Answer(piece.song.canvas, self.grow[i], pair[1]))
            kept.append(i)
        if not kept:
            return {}, f"{name}: skipped, {why}"
        left_out = f"{name}: {len(self.pieces) - len(kept)} of {len(self.pieces)} pieces skipped, {why}" if why else ""
        nats = None if name == "truth" else self._nats(name, kept, filled)
        return {"NLL": nats, **pairwise_row(filled), **referee_row(filled), **musical_row(grown)}, left_out

    def _nats(self, name: str, kept: Sequence[int], filled: Sequence[Answer]) -> float:
        notes = sum(float(c[1, 2]) for answer in filled for c in found_notes(answer).values())
        if name.startswith("ours"):
            total = sum(float(model_nats(self.model, self.pieces[i].song, self.fill[i], i).sum()) for i in kept)
        else:
            songs, hidden = [self.pieces[i].song for i in kept], [self.fill[i] for i in kept]
            total = anchor_nats(songs, hidden, [a.notes for a in filled], self.counts, self.model.vocabulary)
        return total / max(notes, 1.0)


def pairwise_row(answers: Sequence[Answer]) -> Row:
    """Against the hidden truth: F1 over all songs' notes, in all and per role."""
    counts = {s: np.sum([found_notes(a)[s] for a in answers], axis=0) for s in STREAMS}
    whole = np.sum(list(counts.values()), axis=0)
    row: Row = {"onset F1": f1(whole[0]), "pitch F1": f1(whole[1])}
    return row | {f"pitch F1 {s}": f1(c[1]) for s, c in counts.items()}


def referee_row(answers: Sequence[Answer]) -> Row:
    """The referee's means over songs; empty where it is not installed."""
    if composer_referee.why_absent():
        return {}
    judged = [composer_referee.judge(a) for a in answers]
    return {name: float(np.mean([j[name] for j in judged])) for name in judged[0]}


def musical_row(answers: Sequence[Answer]) -> Row:
    """Means over songs, and the overlap of all songs' histograms with the truth's."""
    row: Row = {}
    for name, measure in MUSICAL.items():
        values = [value for answer in answers if (value := measure(answer)) is not None]
        row[name] = float(np.mean(values)) if values else None
    mine = histograms(answers)
    true = histograms([Answer(a.canvas, a.hidden, a.canvas.notes) for a in answers])
    return row | {f"OA {feature}": overlapping_area(mine[feature], true[feature]) for feature in true}


def table(rows: Mapping[str, Row]) -> str:
    """One line per row; F1 per role is left to the verdict."""
    columns = [c for c in next(iter(rows.values())) if not c.startswith("pitch F1 ")]
    widths = [max(6, len(c)) for c in columns]
    lines = [f"{'':36}" + " ".join(f"{c:>{w}}" for c, w in zip(columns, widths, strict=True))]
    for name, row in rows.items():
        cells = (
            f"{row[c]:>{w}.2f}" if row.get(c) is not None else f"{'-':>{w}}"
            for c, w in zip(columns, widths, strict=True)
        )
        lines.append(f"{name:36}" + " ".join(cells))
    return "\n".join(lines)


def main() -> None:
    """Prints the table and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", default="book,freedoom,mma,tunes")
    parser.add_argument("--count", type=int, default=8, help="songs of each source")
    parser.add_argument("--weights", type=Path, help="weights of the parts model other than the shipped ones")
    parser.add_argument("--only", default="", help="rows to measure (part of a name, commas between), and the truth")
    parser.add_argument("--json", type=Path, help="write all figures there, too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    pieces, remarks = held_out_pieces(args.sources.split(","), args.count)
    model = PartsModel.load(args.weights)
    bench = Bench(pieces, model, Writers(PlanModel.load(), model))
    wanted = [name for name in args.only.split(",") if name]
    rows: dict[str, Row] = {}
    for name, (fill, grow) in bench.rows().items():
        if not wanted or name == "truth" or any(part in name for part in wanted):
            row, remark = bench.row(name, fill, grow)
            rows |= {name: row} if row else {}
            remarks += [remark] if remark else []
    absent = composer_referee.why_absent()
    remarks += [f"no referee: {absent} (pip install 'stembridge[bench]')"] if absent else []
    print(f"{len(pieces)} held-out songs: " + ", ".join(f"{p.source} {p.song.groove}" for p in pieces))
    print("\n".join([table(rows), *remarks, *verdict(rows)]))
    if args.json:
        args.json.write_text(json.dumps({"rows": rows, "remarks": remarks}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
