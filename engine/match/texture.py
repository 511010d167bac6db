"""What makes a sound besides its spectrum, in numbers: how its bands move, decay and go together. Plain statistics.

After "Sound texture perception via statistics of the auditory periphery" (McDermott and Simoncelli, Neuron 2011): means
and spreads of band levels, how fast they rise and fall, how neighbours are correlated, side to middle. Their weights
(`metric.json`) are the inverse of how much each varies from one piece of music to the next in one and the same sound.

Conventions: levels in dB in frames and bands of `engine.match.frames` at `RATE`; statistics float32 [SIZE].
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.match.frames import BANDS, Floats, power2db

RATE = 24000
METRIC = Path(__file__).parent / "metric.json"
RANGE_DB = 45.0
LAGS = (1, 4)
APART = (1, 3, 8)
POOL = 4
WIDTHS = -(-BANDS // POOL)
"""How many statistics, the last ones, are about width."""
FIXED_DB = 12.0
"""What the bus stage puts right in a band's mean level is left out of it."""


def levels2texture(mid: Floats, side: Floats) -> Floats:
    """[SIZE] of power [frames, BANDS]; about two seconds at least."""
    level = power2db(mid + side)
    level = level - level.max()
    level = np.maximum(level, level.max(axis=0) - RANGE_DB)
    heard = level[level.max(axis=1) > -RANGE_DB]
    mean, spread = heard.mean(axis=0), heard.std(axis=0) + 0.1
    moves = [level[lag:] - level[:-lag] for lag in LAGS]
    speed = [np.abs(move).mean(axis=0) for move in moves]
    lean = [(np.maximum(m, 0) ** 2).mean(axis=0) / ((m**2).mean(axis=0) + 0.01) for m in moves]
    around = (heard - mean) / spread
    together = [(around[:, d:] * around[:, :-d]).mean(axis=0) for d in APART]
    width = power2db(side.sum(axis=0) / np.maximum(mid.sum(axis=0), 1e-14))
    parts = [mean - mean.mean(), spread, *speed, *(20 * row for row in lean), *(10 * row for row in together)]
    return np.concatenate([_pool(part) for part in (*parts, np.maximum(width, -40.0))]).astype(np.float32)


def spectrum_residual(spectrum: Floats, wanted: Floats) -> float:
    """dB by which mean band levels still miss the wanted ones after the bus stage's greatest fixed gains; loudness
    left out."""
    away = spectrum - wanted
    away = away - np.median(away)
    return float(np.maximum(np.abs(away) - FIXED_DB, 0.0).mean())


def distance(a: Floats, b: Floats) -> float:
    """How unlike two textures sound: root of the mean square of the whitened difference; 1 is one sound in two pieces
    of music."""
    return float(np.sqrt(np.square((a - b) @ _whitening()).mean()))


def _pool(values: Floats) -> Floats:
    return np.asarray([piece.mean() for piece in np.array_split(values, -(-len(values) // POOL))], dtype=np.float32)


SIZE = sum(-(-n // POOL) for n in (*[BANDS] * (2 + 2 * len(LAGS)), *(BANDS - d for d in APART), BANDS))


@lru_cache(maxsize=1)
def _whitening() -> NDArray[np.float32]:
    """[SIZE, dimensions]."""
    return np.asarray(json.loads(METRIC.read_text(encoding="utf-8"))["whitening"], dtype=np.float32)
