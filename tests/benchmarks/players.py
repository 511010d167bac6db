"""`python -m tests.benchmarks.players [--songs N] [--seed N]`: how well is it heard who plays in a clip?

Songs of this program that the reading was not fitted to (other seeds), their parts by instruments at random, 24 mixes
of each with a random choice of parts, half of them mastered. Per role: precision and recall where its activity is 0.5
or more; how far the mean activity is from the share of mixes that have the role (none: its confidence is honest in the
mean); its surprise, mean -log of the probability it gives to the truth (0.69: nothing is known, 0: all is).
"""

from __future__ import annotations

import argparse

import numpy as np

from engine.listen.players import CLIP_AT, load_reading
from engine.training.players import ROLES, song2mixes, songs, surprise


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=9001)
    options = parser.parse_args()
    reading = load_reading()
    rows = [row for k, stems in enumerate(songs(options.songs, options.seed)) for row in song2mixes(stems, 7000 + k)]
    traits, truth = (np.array([row[i] for row in rows]) for i in (0, 1))
    place = np.clip((traits - reading.mean) / reading.scale, -CLIP_AT, CLIP_AT)
    margins = place @ reading.weights.T + reading.bias
    sure = 1.0 / (1.0 + np.exp(-margins))
    print(f"{len(rows)} mixes{'':>12}  precision  recall  in mixes  mean activity  surprise")
    for role, activity, margin in zip(reading.roles, sure.T, margins.T, strict=True):
        has = truth[:, [ROLES.index(r) for r in role.split(" or ")]].max(axis=1) > 0
        said = activity >= 0.5
        precision, recall = (said & has).sum() / max(said.sum(), 1), (said & has).sum() / max(has.sum(), 1)
        print(
            f"{role:22}{precision:>10.0%}{recall:>8.0%}{has.mean():>10.0%}{activity.mean():>15.2f}"
            f"{surprise(margin, has.astype(float)):>10.2f}"
        )


if __name__ == "__main__":
    main()
