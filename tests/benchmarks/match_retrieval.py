"""`python -m tests.benchmarks.match_retrieval --kept FILE [--sounds A:B] [--clips A:B]`: is a song found again?

One song is brought to each of twenty references (held-out sounds, or real clips); of every result: is the nearest of
the references' other halves the one it was asked for? Chance is one in twenty. Four measures say what is near:

* all distances: those of `match_measures` together, each divided by its mean (spectrum, width, dynamics, loudness,
  judge);
* judge: the judge's embedding alone, by cosine;
* judge, centred: less the mean of the songs and the mean of the references. One song's own music is in all of its
  results, and no reference has it; what all references have in common says nothing of one of them. No label is used,
  but all twenty must be there;
* judge, CSLS: less how near each one is to its five nearest anyway (Conneau and others, "Word translation without
  parallel data", 2018), for an embedding in which a few references are near to everything.

Rows: ours; oracle, the song in the reference's very sound (held-out sounds), or the clip's own other half: what the
measure itself can find. About 15 s of CPU a reference, so it can run in pieces: `--kept` holds what all of them
measured, and every run reports all of it; a file that `tests.benchmarks.match` kept can be reported as well (0:0).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.match import Studio, piece
from tests.benchmarks.match_kept import Numbers, Tried, keep, read
from tests.benchmarks.match_material import RATE, held_out_sounds, real_clips
from tests.benchmarks.match_measures import distances, measure
from tests.benchmarks.musicnn_judge import why_absent

Floats = NDArray[np.float64]
REFERENCES = 20
NEAREST = 5
ROWS = ("guide", "static", "ours", "oracle")


def share_found(away: Floats) -> float:
    """Share of songs whose nearest reference is their own, of distances [songs, references]."""
    return float((away.argmin(axis=1) == np.arange(len(away))).mean())


def centred(songs: Floats, references: Floats) -> Floats:
    """[songs, references]: 1 - cosine of embeddings [n, any] without their sets' means."""
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (songs, references)]
    a, b = (unit - unit.mean(axis=0) for unit in units)
    a, b = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in (a, b))
    return np.asarray(1.0 - a @ b.T)


def without_hubs(away: Floats, nearest: int = NEAREST) -> Floats:
    """Distances [songs, references] less the mean distance of each song, and of each reference, to its nearest."""
    songs = np.sort(away, axis=1)[:, :nearest].mean(axis=1, keepdims=True)
    references = np.sort(away, axis=0)[:nearest].mean(axis=0, keepdims=True)
    return np.asarray(2 * away - songs - references)


def rates(tried: Sequence[Tried], row: str) -> dict[str, float]:
    """Measure -> share of a row's songs that are found."""
    songs, judged = [t.rows[row].measured() for t in tried], [t.judged.measured() for t in tried]
    every = np.array([[distances(song, other) for other in judged] for song in songs])
    embedded = [np.array([m.embedding for m in rows]) for rows in (songs, judged)]
    return {
        "all distances": share_found((every / every.mean(axis=(0, 1))).sum(axis=2)),
        "judge": share_found(every[..., 0]),
        "judge, centred": share_found(centred(*embedded)),
        "judge, CSLS": share_found(without_hubs(every[..., 0])),
    }


def report(tried: Sequence[Tried]) -> None:
    """Prints a table for each set."""
    for title in dict.fromkeys(t.set for t in tried):
        rows = [t for t in tried if t.set == title]
        print(f"{title}: the nearest of {len(rows)} is its own (chance {1 / len(rows):.0%})")
        for name in ROWS:
            if all(name in t.rows for t in rows):
                found = rates(rows, name)
                print(f"  {name:8}" + "".join(f"{measure}: {value:>4.0%}   " for measure, value in found.items()))


def main() -> None:
    """Measures what is asked for and reports what is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=piece, default=slice(0, 0), help="which of twenty held-out sounds, A:B")
    parser.add_argument("--clips", type=piece, default=slice(0, 0), help="which of twenty real clips, A:B")
    parser.add_argument("--kept", type=Path, required=True, help="a JSON file that keeps what was measured")
    options = parser.parse_args()
    if why := why_absent():
        raise SystemExit(f"the judge is {why}")
    wanted = [
        *(("held-out sounds", clip) for clip in held_out_sounds(REFERENCES, options.sounds)),
        *(("real clips", clip) for clip in real_clips(REFERENCES, options.clips)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder)) if wanted else None
        for title, clip in wanted:
            assert studio is not None
            sounds = {"ours": studio.match(clip).mix, "oracle": clip.given if clip.truth is None else clip.truth}
            rows = {name: Numbers.of(studio.measure(sound)) for name, sound in sounds.items()}
            keep(options.kept, [Tried(title, clip.name, Numbers.of(measure(clip.judged, RATE)), rows, [])])
            print(clip.name, flush=True)
    report(read(options.kept).tried)


if __name__ == "__main__":
    main()
