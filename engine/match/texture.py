"""What makes a sound besides its spectrum, width and dynamics, in numbers: how its bands and its colour move. Plain
statistics of band levels, for the bus stage sets levels, but not how they come and go.

After "Sound texture perception via statistics of the auditory periphery" (McDermott and Simoncelli, Neuron 2011): how
fast bands move, how much of it is rising, their modulation spectrum; and how the cepstrum moves (delta cepstra: Furui,
1981). Each kind of statistics is divided by how much it varies from one piece of music to the next in one and the same
sound (`metric.json`).

Conventions: levels in dB in frames and bands of `engine.match.frames` at `RATE`; statistics float32 [SIZE].
"""

from __future__ import annotations

import itertools
import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.fft

from engine.match.frames import BANDS, Floats

RATE = 24000
METRIC = Path(__file__).parent / "metric.json"
RANGE_DB, FLOOR_DB = 45.0, 60.0
"""What lies so far below a band's loudest moment, and below the loudest of all, is not heard."""
SPEED_LAG, RISE_LAGS, COLOUR_LAGS = 4, (1, 4), (2, 4)
"""Frames (of 11 ms) over which movements are read."""
POOL = 4
POOLED = BANDS // POOL
CEPSTRA = 15
WINDOW = 256
OCTAVES = (1, 2, 4, 8, 16, 32, 64, 128)
"""Edges of the modulation spectrum's octaves in bins of 0.37 Hz."""
KINDS = {
    "speed": POOLED,
    **{f"rise {lag}": POOLED for lag in RISE_LAGS},
    **{f"colour {lag}": CEPSTRA for lag in COLOUR_LAGS},
    "modulation": (len(OCTAVES) - 1) * POOLED,
}
"""Kinds of statistics and how many there are of each, in order."""
COLOUR_COUNTS = 2.0
"""How much more than the others a kind that is about colour counts."""
SIZE = sum(KINDS.values())
RISE = 20.0
FIXED_DB = 12.0
"""What the bus stage puts right in a band's mean level is left out of it."""


def levels2texture(level: Floats) -> Floats:
    """[SIZE] of levels [frames, BANDS] in dB; about two seconds at least."""
    level = level - level.max()
    heard = np.maximum(level, level.max(axis=0) - RANGE_DB)
    speed = _pool(np.abs(heard[SPEED_LAG:] - heard[:-SPEED_LAG]).mean(axis=0))
    moves = [heard[lag:] - heard[:-lag] for lag in RISE_LAGS]
    rise = [RISE * _pool((np.maximum(m, 0) ** 2).mean(axis=0) / ((m**2).mean(axis=0) + 0.01)) for m in moves]
    cepstra = scipy.fft.dct(np.maximum(level, -FLOOR_DB), axis=1, norm="ortho")[:, 1 : CEPSTRA + 1]
    colour = [(cepstra[lag:] - cepstra[:-lag]).std(axis=0) for lag in COLOUR_LAGS]
    return np.concatenate([speed, *rise, *colour, _modulation(heard)]).astype(np.float32)


def spectrum_residual(spectrum: Floats, wanted: Floats) -> float:
    """dB by which mean band levels still miss the wanted ones after the bus stage's greatest fixed gains; loudness
    left out."""
    away = spectrum - wanted
    away = away - np.median(away)
    return float(np.maximum(np.abs(away) - FIXED_DB, 0.0).mean())


def distance(a: Floats, b: Floats) -> float:
    """How unlike two textures sound: the mean over all kinds of statistics; 1 is one sound in two pieces of music."""
    counts = [COLOUR_COUNTS if kind.startswith("colour") else 1.0 for kind in KINDS]
    return float(np.average(kinds_away(a, b) / _usual(), weights=counts))


def kinds_away(a: Floats, b: Floats) -> Floats:
    """[kinds] how far apart two textures are in each kind of statistics."""
    edges = np.cumsum([0, *KINDS.values()])
    return np.asarray([np.abs(a[low:high] - b[low:high]).mean() for low, high in itertools.pairwise(edges)])


def _modulation(heard: Floats) -> Floats:
    """dB [octaves * POOLED]: how strongly groups of bands swing at each speed."""
    swing = _pool(heard - heard.mean(axis=0))
    size = min(WINDOW, len(swing))
    starts = range(0, max(len(swing) - size, 1), WINDOW // 2)
    shape = np.hanning(size)[:, None]
    power = sum(np.abs(scipy.fft.rfft(swing[s : s + size] * shape, WINDOW, axis=0)) ** 2 for s in starts) / len(starts)
    octaves = [power[low:high].mean(axis=0) for low, high in itertools.pairwise(OCTAVES)]
    return np.asarray(10 * np.log10(np.array(octaves) + 1e-3)).ravel()


def _pool(values: Floats) -> Floats:
    """[..., POOLED] means of neighbours of [..., BANDS]."""
    return np.asarray(values.reshape(*values.shape[:-1], POOLED, POOL).mean(axis=-1), dtype=np.float32)


@lru_cache(maxsize=1)
def _usual() -> Floats:
    """[kinds]: how far apart one sound is in two pieces of music."""
    found = json.loads(METRIC.read_text(encoding="utf-8"))["usual"]
    return np.asarray([found[kind] for kind in KINDS], dtype=np.float32)
