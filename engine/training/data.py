"""Builds the training set: `python -m engine.training.data --out runs/corpus.npz --card engine/training/DATA.md`.

Songs come from the groove book, from what is installed of the other sources (engine/training/sources), and, set apart
by name (engine/training/heldout.py), from what is held out. Drum combinations and voicings of the book's held-out
grooves are in the vocabulary, since the product plays the book; those of other held-out material are not. Prints a
line for every source and measures what the tokens keep of what is held out.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from engine.diffusion.canvas import STREAMS
from engine.diffusion.vocabulary import Vocabulary
from engine.grooves import book
from engine.training.corpus import Corpus, collect_vocabulary, load_corpus, save_corpus, song2arrays
from engine.training.heldout import SOURCES, held_out, is_held_out
from engine.training.roundtrip import Scores, round_trip
from engine.training.songs import HELD_OUT, Song, make_song
from engine.training.sources import Origin, SourceMissing, charts, freedoom, mma, tunes

BOOK = Path(__file__).resolve().parent.parent / "grooves" / "book"


@dataclass(frozen=True)
class Amounts:
    """Songs to make: by the groove book, by MMA, on folk tunes; versions of each of Freedoom's pieces; of each
    source for judging."""

    book: int = 700
    mma: int = 270
    tunes: int = 150
    freedoom: int = 4
    held_out: int = 12


@dataclass(frozen=True)
class Built:
    """A corpus and what is told about it: its sources, those that are missing, round trips of what is held out."""

    corpus: Corpus
    origins: tuple[Origin, ...]
    missing: tuple[str, ...]
    kept: dict[str, Scores]
    seconds: float


def build(
    amounts: Amounts, seed: int, vocabulary: Vocabulary | None = None, say: Callable[[str], None] = print
) -> Built:
    """The corpus; `vocabulary`: a given one, of which the nearest token is taken, instead of the songs' own."""
    begun = time.monotonic()
    origins, missing = read_origins(say)
    there = {o.name for o in origins}
    known = charts.charts(unseen=False) if "charts" in there else ()
    train = [g for g in book() if g.name not in HELD_OUT]
    makers: dict[str, Callable[[], list[Song]]] = {
        "book": lambda: [make_song(i, tuple(train), seed, charts=known) for i in range(amounts.book)],
        "mma": lambda: list(mma.songs(amounts.mma, unseen=False, charts=known, seed=seed)),
        "tunes": lambda: list(islice(tunes.songs(4 * amounts.tunes, unseen=False, seed=seed), amounts.tunes)),
        "freedoom": lambda: list(freedoom.songs(amounts.freedoom, unseen=False, seed=seed)),
    }
    songs: list[Song] = []
    unseen: dict[str, tuple[Song, ...]] = {}
    for source in SOURCES:
        if source in there:
            made = makers[source]()
            unseen[source] = held_out(source, amounts.held_out)
            say(f"{source}: {len(made)} songs, {len(unseen[source])} held out, {time.monotonic() - begun:.0f} s")
            songs += made
    vocabulary = vocabulary or collect_vocabulary([*songs, *unseen["book"]])
    full = vocabulary.completed()
    kept = {source: round_trip([s.canvas for s in row], full) for source, row in unseen.items()}
    kept["all"] = round_trip([s.canvas for row in unseen.values() for s in row], full)
    every = [*songs, *(s for row in unseen.values() for s in row)]
    arrays = tuple(song2arrays(s, vocabulary) for s in every)
    return Built(Corpus(arrays, tuple(s.groove for s in every), vocabulary), origins, missing, kept,
                 time.monotonic() - begun)  # fmt: skip


def read_origins(say: Callable[[str], None] = print) -> tuple[tuple[Origin, ...], tuple[str, ...]]:
    """What is installed, and a line for each source that is not."""
    files = sorted(BOOK.glob("*.groove"))
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest()
    found = [Origin("book", "in this package", "Apache-2.0, ours", "grooves x chords x forms x keys, with variations, "
                    "mash-ups, fills, endings", len(files), digest, HELD_OUT)]  # fmt: skip
    missing: list[str] = []
    for source in (charts, freedoom, mma, tunes):
        try:
            found.append(source.origin())
        except SourceMissing as error:
            missing.append(str(error))
            say(f"left out: {error}")
    return tuple(found), tuple(missing)


def card(built: Built, amounts: Amounts, seed: int) -> str:
    """The data card, Markdown."""
    corpus = built.corpus
    steps = dict.fromkeys(SOURCES, 0)
    counts, kept_apart, onsets = dict(steps), dict(steps), dict(steps)
    for song, name in zip(corpus.songs, corpus.grooves, strict=True):
        source = name.split("/")[0] if "/" in name else "book"
        if is_held_out(name):
            kept_apart[source] += 1
            continue
        counts[source] += 1
        steps[source] += song.steps
        onsets[source] += int((song.cells >= 2).sum())
    lines = [
        "# Data card",
        "",
        "Written by `python -m engine.training.data`; do not edit. Nothing of these sources is in the package but the "
        "groove book: the others are read, where installed, when a training set is built.",
        "",
        f"Seed {seed}; {len(corpus.songs)} songs; onset tokens {corpus.vocabulary.sizes}.",
        "",
        "| source | where | licence | what becomes of it | files | SHA-256 over all |",
        "|---|---|---|---|---|---|",
        *(f"| {o.name} | {o.package} | {o.licence} | {o.use} | {o.files} | `{o.digest}` |" for o in built.origins),
        "",
        *(f"Not installed when this card was written: {line}" for line in built.missing),
        "| songs by | training songs | steps | onsets | held-out songs |",
        "|---|---|---|---|---|",
        *(f"| {s} | {counts[s]} | {steps[s]} | {onsets[s]} | {kept_apart[s]} |" for s in SOURCES if s in built.kept),
        "",
        "Held out by source, never trained on:",
        "",
        *(f"- {o.name}: {', '.join(o.held_out)}" for o in built.origins),
        "",
        "What the tokens keep of held-out music (notes to cells and back; F1 of onsets / of onsets with pitch; truth "
        "is every note of the stream, at the grid's steps):",
        "",
        "| source | " + " | ".join(STREAMS) + " |",
        "|---|" + "---|" * len(STREAMS),
    ]
    for source, scores in built.kept.items():
        cells = ("{:.3f} / {:.3f}".format(*scores[s]) if s in scores else "-" for s in STREAMS)
        lines.append(f"| {source} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in vars(Amounts()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/corpus.npz"))
    parser.add_argument("--card", type=Path, help="write the data card here")
    parser.add_argument("--vocabulary", type=Path, help="corpus whose vocabulary is kept, to train on with other songs")
    args = parser.parse_args(arguments)
    amounts = Amounts(args.book, args.mma, args.tunes, args.freedoom, args.held_out)
    built = build(amounts, args.seed, load_corpus(args.vocabulary).vocabulary if args.vocabulary else None)
    save_corpus(args.out, built.corpus)
    steps = np.array([s.steps for s in built.corpus.songs])
    print(
        f"{len(steps)} songs, {steps.sum()} steps, {built.seconds:.0f} s; onset tokens {built.corpus.vocabulary.sizes}"
    )
    for source, scores in built.kept.items():
        print(source, "kept by the tokens:", scores)
    if args.card:
        args.card.write_text(card(built, amounts, args.seed), encoding="utf-8")


if __name__ == "__main__":
    main()
