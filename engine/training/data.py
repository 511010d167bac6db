"""Builds the corpus: `python -m engine.training.data --songs 4000 --out runs/corpus.npz`.

The vocabulary comes from all grooves of the book, since it is only a notation; which grooves the weights have seen is
decided when training starts.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from engine.diffusion.vocabulary import Vocabulary
from engine.grooves import book
from engine.training.corpus import Corpus, collect_vocabulary, load_corpus, save_corpus, song2arrays
from engine.training.songs import make_song


def build(count: int, seed: int, vocabulary: Vocabulary | None = None) -> Corpus:
    """`count` songs, the grooves taking turns; their own vocabulary, or a given one, of which the nearest is taken."""
    grooves = book()
    songs = [make_song(i, grooves, seed) for i in range(count)]
    vocabulary = vocabulary or collect_vocabulary(songs)
    return Corpus(tuple(song2arrays(s, vocabulary) for s in songs), tuple(s.groove for s in songs), vocabulary)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/corpus.npz"))
    parser.add_argument("--vocabulary", type=Path, help="corpus whose vocabulary is kept, to train on with other songs")
    args = parser.parse_args()
    corpus = build(args.songs, args.seed, load_corpus(args.vocabulary).vocabulary if args.vocabulary else None)
    save_corpus(args.out, corpus)
    steps = sum(s.steps for s in corpus.songs)
    print(f"{len(corpus.songs)} songs, {steps} steps, {len(Counter(corpus.grooves))} grooves")
    print(f"onset tokens: {corpus.vocabulary.sizes}")


if __name__ == "__main__":
    main()
