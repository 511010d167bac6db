"""`python -m tests.benchmarks.match_metric [--sounds N] [--clips N] [--encoder STEPS]`: what agrees with the judge?

Does what chooses who plays, and would a trained encoder do better? One song in N sounds of a held-out bank stands
against references that it has to be ranked for: another song in each of these sounds, and real clips
(`match_material`), in which nothing is its own. The measures know the half of a reference that the engine is given, the
judge hears the other one. Three tables for each set of references:

* as they are: the song, untouched;
* foreseen: the judge hears the song through the bus stage that brings it to the reference; the measures see what
  `engine.match.foresee` makes of its levels, and no sound: this is how a choice is made;
* heard: the same, but the measures see the levels of what the judge hears: what foreseeing loses.

Rows: ours, `distance` of `engine.match.texture`; the same statistics, each divided by its own spread over all that the
table compares (so it has seen these sounds, which ours has not); how steady every band is; its mean level; a small
contrastive encoder, trained here on catalogue instruments (`match_encoder`); the judge that hears the half which was
given: what can be had where only that half is known.

Columns: Spearman's rank correlation with the judge's distances over all pairs; the same over the songs for one
reference, which is what choosing needs, as the mean over references and its standard error (references share their
songs, so it is rather too small); for how many references the nearest song is the one in their own sound.

About half a minute of CPU, then two seconds a sound and one a pair of song and reference (12 s of each); the encoder
takes six minutes more; `--encoder 0` leaves it out.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from engine.casting import clip2rate
from engine.match import Grid, Levels, levels2profile, passage2levels
from engine.match.foresee import foresee_levels
from engine.match.frames import Audio, power2db
from engine.match.frames import Floats as Singles
from engine.match.texture import RANGE_DB, RATE, distance, levels2texture
from engine.rendering import Clip as Sound
from tests.benchmarks import match_encoder
from tests.benchmarks import match_material as material
from tests.benchmarks.match import Studio
from tests.benchmarks.musicnn_judge import audio2embedding, why_absent
from tests.benchmarks.musicnn_judge import distance as judge_distance

Floats = NDArray[np.float64]
SECONDS = material.HALF_SECONDS
"""So much of the song is heard, as of a reference."""


@dataclass(frozen=True)
class Numbers:
    """What the measures know of a sound: `texture` [SIZE]; `steady` and `mean` [BANDS] in dB, the spread of a band's
    levels and their mean, loudness left out; `embedding`: the encoder's, empty where there is none."""

    texture: Singles
    steady: Singles
    mean: Singles
    embedding: Singles

    @classmethod
    def of(cls, level: Singles, encoder: match_encoder.Encoder | None = None) -> Numbers:
        """Of levels [frames, BANDS] in dB."""
        steady = np.maximum(level, level.max(axis=0) - RANGE_DB).std(axis=0)
        mean = power2db((10 ** (level / 10)).mean(axis=0))
        embedding = encoder.embed(level) if encoder else np.zeros(0, np.float32)
        return cls(levels2texture(level), steady, mean - np.median(mean), embedding)


@dataclass(frozen=True)
class Agreement:
    """Rank correlations with the judge: over `all` pairs; `each` reference's songs, as a mean, and its standard
    `error`."""

    all: float
    each: float
    error: float


def agreement(away: Floats, judged: Floats) -> Agreement:
    """Of a measure's distances with the judge's, both [songs, references]."""
    each = np.array([spearmanr(ours, other).statistic for ours, other in zip(away.T, judged.T, strict=True)])
    error = float(each.std(ddof=1) / np.sqrt(len(each)))
    return Agreement(float(spearmanr(away.ravel(), judged.ravel()).statistic), float(each.mean()), error)


def found(away: Floats) -> float:
    """Share of references k whose nearest song is song k, of distances [songs, references]."""
    return float((away.argmin(axis=0) == np.arange(away.shape[1])).mean())


def measure(songs: Sequence[Sequence[Numbers]], references: Sequence[Numbers]) -> dict[str, Floats]:
    """Name of a measure -> distances [songs, references]; songs[i][k] is song i as it stands against reference k."""
    textures = np.array([[song.texture for song in row] for row in songs])
    wanted = np.array([reference.texture for reference in references])
    scale = np.concatenate([textures.reshape(-1, wanted.shape[1]), wanted]).std(axis=0)
    pairs = [list(zip(row, references, strict=True)) for row in songs]
    measures = {
        "ours": np.array([[distance(s.texture, r.texture) for s, r in row] for row in pairs]),
        "each by its own spread": np.abs((textures - wanted) / scale).mean(axis=2),
        "how steady bands are": np.array([[np.abs(s.steady - r.steady).mean() for s, r in row] for row in pairs]),
        "mean band levels": np.array([[np.abs(s.mean - r.mean).mean() for s, r in row] for row in pairs]),
    }
    if references[0].embedding.size:
        far = [[match_encoder.away(s.embedding, r.embedding) for s, r in row] for row in pairs]
        measures["a small contrastive encoder"] = np.array(far)
    return measures


def table(title: str, away: dict[str, Floats], judged: Floats, *, owned: bool) -> str:
    """Its lines; `owned`: the references have songs of their own."""
    lines = [f"{title:34}{'all pairs':>12}{'for one reference':>20}" + f"{'nearest is its own':>21}" * owned]
    for name, distances in away.items():
        a = agreement(distances, judged)
        share = f"{found(distances):>21.0%}" if owned else ""
        lines.append(f"  {name:32}{a.all:>12.2f}{a.each:>12.2f} +- {a.error:.2f}{share}")
    if owned:
        lines.append(f"  {'the judge itself':64}{found(judged):>21.0%}")
    return "\n".join(lines)


def judge(songs: Sequence[Sequence[Floats]], references: Sequence[Floats]) -> Floats:
    """[songs, references] distances of embeddings; songs[i][k] is song i as it stands against reference k."""
    return np.array([[judge_distance(a, b) for a, b in zip(row, references, strict=True)] for row in songs])


def embed(audio: Audio) -> Floats:
    """The judge's embedding of a sound [2, samples] at the material's rate."""
    return audio2embedding(audio, material.RATE)


def levels(audio: Audio) -> Levels:
    """Of a sound [2, samples] at the material's rate, as a choice sees it."""
    return passage2levels(clip2rate(Sound(audio, material.RATE), RATE))


def compare(
    studio: Studio,
    encoder: match_encoder.Encoder | None,
    title: str,
    songs: Sequence[Audio],
    clips: Sequence[material.Clip],
    *,
    owned: bool,
) -> None:
    """Prints the three tables of songs [2, samples] against references."""
    numbers = partial(Numbers.of, encoder=encoder)
    played = [levels(song) for song in songs]
    untouched = [[numbers(power2db(one.total))] * len(clips) for one in played]
    foreseen: list[list[Numbers]] = [[] for _ in songs]
    heard: list[list[Numbers]] = [[] for _ in songs]
    known: list[Numbers] = []
    mixes: list[list[Floats]] = [[] for _ in songs]
    for clip in clips:
        given = levels(clip.given)
        known.append(numbers(power2db(given.total)))
        for i, song in enumerate(songs):
            # All that the studio's bus is given.
            studio.guide = {"song": song}
            mix = studio.by_curves(clip, moving=True)
            mixes[i].append(embed(mix))
            foreseen[i].append(numbers(foresee_levels(played[i].total, levels2profile(given, Grid(RATE)))))
            heard[i].append(numbers(power2db(levels(mix).total)))
    plain = [[embed(song)] * len(clips) for song in songs]
    given_half, other_half = [embed(clip.given) for clip in clips], [embed(clip.judged) for clip in clips]
    print(f"\n{title}: {len(songs)} songs for each of {len(clips)} references; Spearman's rho with the judge")
    for name, rows, embedded in (
        ("as they are", untouched, plain),
        ("behind the bus stage, foreseen", foreseen, mixes),
        ("behind the bus stage, heard", heard, mixes),
    ):
        away = measure(rows, known) | {"the judge, of the half given": judge(embedded, given_half)}
        print(table(name, away, judge(embedded, other_half), owned=owned), flush=True)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=int, default=12, help="how many held-out sounds")
    parser.add_argument("--clips", type=int, default=8, help="how many real clips")
    steps = "how many steps the encoder learns for; 0: none"
    parser.add_argument("--encoder", type=int, default=match_encoder.STEPS, metavar="STEPS", help=steps)
    options = parser.parse_args()
    if why := why_absent():
        raise SystemExit(f"the judge is {why}")
    sounds = material.held_out_sounds(options.sounds)
    songs = [clip.truth[:, : round(SECONDS * material.RATE)] for clip in sounds if clip.truth is not None]
    if not songs:
        raise SystemExit("the held-out bank or its player is not installed")
    encoder = match_encoder.train(options.encoder) if options.encoder else None
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder))
        compare(studio, encoder, "held-out sounds", songs, sounds, owned=True)
        if clips := material.real_clips(options.clips):
            compare(studio, encoder, "real clips", songs, clips, owned=False)


if __name__ == "__main__":
    main()
