"""`python -m tests.benchmarks.match_metric [--sounds N]`: does the metric that chooses agree with the judge?

One song in sounds of a held-out bank (`match_material`), compared with another song in each of these sounds, by the
metric of `engine.match.texture`, by plain statistics (each divided by its spread over these sounds) and by mean band
levels alone. Spearman's rank correlation with the judge's distances over all pairs, and how often the nearest song is
the one in the same sound. About ten seconds of CPU a sound.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from engine.casting import clip2rate
from engine.match.choose import clip2wanted
from engine.match.frames import BANDS
from engine.match.texture import POOL, RATE, distance
from engine.rendering import Clip as Sound
from tests.benchmarks import match_material as material
from tests.benchmarks.musicnn_judge import audio2embedding, why_absent
from tests.benchmarks.musicnn_judge import distance as judge_distance

Floats = NDArray[np.float64]


def compare(songs: Floats, references: Floats, judged: Floats) -> dict[str, tuple[float, float]]:
    """Name of a measure -> (correlation with the judge's distances [songs, references], share of songs whose nearest
    reference is their own), of statistics [sounds, SIZE]."""
    scale = np.concatenate([songs, references]).std(axis=0)
    bands = slice(0, -(-BANDS // POOL))
    measures: dict[str, Callable[[Floats, Floats], float]] = {
        "ours": lambda a, b: distance(a.astype(np.float32), b.astype(np.float32)),
        "plain statistics": lambda a, b: float(np.square((a - b) / scale).mean()),
        "band levels": lambda a, b: float(np.square((a - b)[bands]).mean()),
    }
    found = {}
    for name, measure in measures.items():
        every = np.array([[measure(song, reference) for reference in references] for song in songs])
        own = float((every.argmin(axis=1) == np.arange(len(every))).mean())
        found[name] = (float(spearmanr(every.ravel(), judged.ravel()).statistic), own)
    return found


def texture(audio: NDArray[np.float32]) -> Floats:
    """Statistics [SIZE] of a sound [2, samples] at the material's rate."""
    return clip2wanted(clip2rate(Sound(audio, material.RATE), RATE)).texture.astype(np.float64)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=int, default=20, help="how many held-out sounds")
    options = parser.parse_args()
    if why := why_absent():
        raise SystemExit(f"the judge is {why}")
    clips = [clip for clip in material.held_out_sounds(options.sounds) if clip.truth is not None]
    songs = [clip.truth for clip in clips if clip.truth is not None]
    embedded = [[audio2embedding(audio, material.RATE) for audio in row] for row in (songs, [c.judged for c in clips])]
    judged = np.array([[judge_distance(a, b) for b in embedded[1]] for a in embedded[0]])
    print(f"the judge itself finds {(judged.argmin(axis=1) == np.arange(len(judged))).mean():.0%} of {len(clips)}")
    textures = [np.array([texture(audio) for audio in row]) for row in (songs, [c.judged for c in clips])]
    for name, (correlation, own) in compare(textures[0], textures[1], judged).items():
        print(f"{name:18} correlates by {correlation:.2f} with the judge, finds {own:.0%}")


if __name__ == "__main__":
    main()
