"""The moment at which an onset begins, to a quarter of a millisecond, so that soft and hard attacks can be compared.

Two instruments that start together do not rise together; a correlation of envelopes sees the rise. Here a linear
predictor, fitted to what sounded before, takes that away, and the first of what it cannot predict is the start.

Conventions: mono float32; places in samples; results in milliseconds from the place, NaN where nothing clear begins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.conform.envelope import Audio

Floats = NDArray[np.float64]

BLOCK_MS = 0.25
REACH_MS = 12.0
"""A start is looked for this far around its place."""
QUIET_MS = 8.0
"""The level before is read over so much before the reach."""
FIT_MS = 36.0
ORDER = 20
RIDGE = 1e-7
ABOVE_QUIET = 8.0
"""The start's energy is so many times above what the predictor leaves of the past."""
BELOW_PEAK = 1e-3
"""And not below this share of the attack's."""
CLEAR = 30.0
"""An attack is clear when its energy is so many times above what is left of the past."""
CHUNK = 128


def find_starts(mono: Audio, places: Floats, rate: int, reach_ms: float = REACH_MS) -> Floats:
    """[K] milliseconds from each place to the start nearest to the steepest attack within the reach around it."""
    out = [_find(mono, places[i : i + CHUNK], rate, reach_ms) for i in range(0, len(places), CHUNK)]
    return np.concatenate(out or [np.zeros(0)])


def _find(mono: Audio, places: Floats, rate: int, reach_ms: float) -> Floats:
    block = max(round(BLOCK_MS / 1000 * rate), 1)
    quiet, reach = round(QUIET_MS / BLOCK_MS), round(reach_ms / BLOCK_MS)
    energy = _unpredicted(mono, np.round(places).astype(np.int64), block, quiet + reach, reach, rate)
    before = np.percentile(energy[:, :quiet], 90, axis=1)
    out = np.full(len(places), np.nan)
    for k, row in enumerate(energy):
        peak = float(row[quiet:].max())
        if peak <= CLEAR * before[k] or peak <= 1e-12:
            continue
        over = row > max(ABOVE_QUIET * before[k], BELOW_PEAK * peak)
        first = _first_of_run(over, int(row[quiet:].argmax()) + quiet)
        if first > quiet:
            out[k] = (first - quiet - reach) * block / rate * 1000.0
    return out


def _first_of_run(over: NDArray[np.bool_], peak: int) -> int:
    """First of the blocks above the gate that lead to the peak with gaps of at most half a millisecond."""
    first = peak
    while first > 0 and over[max(first - 3, 0) : first].any():
        first -= 1
    return first + int(np.argmax(over[first : peak + 1]))


def _unpredicted(mono: Audio, places: NDArray[np.int64], block: int, before: int, after: int, rate: int) -> Floats:
    """[K, before + after] energy per block of what the past does not predict, `before` blocks ahead of each place."""
    fit = round(FIT_MS / 1000 * rate)
    length = ORDER + fit + (before + after) * block
    index = (places - before * block - fit - ORDER)[:, None] + np.arange(length)
    inside = (index >= 0) & (index < len(mono))
    windows = np.where(inside, mono[np.clip(index, 0, len(mono) - 1)], np.float32(0.0)).astype(np.float64)
    past = windows[:, ORDER : ORDER + fit] * np.hanning(fit)
    corr = np.stack([np.einsum("kn,kn->k", past[:, : fit - i], past[:, i:]) for i in range(ORDER + 1)], axis=1)
    lags = np.abs(np.arange(ORDER)[:, None] - np.arange(ORDER)[None, :])
    matrix = corr[:, lags]
    matrix[:, np.arange(ORDER), np.arange(ORDER)] += RIDGE * corr[:, :1] + 1e-12
    weights = np.linalg.solve(matrix, corr[:, 1:, None])[:, :, 0]
    new = windows[:, ORDER + fit :].copy()
    for i in range(ORDER):
        new -= weights[:, i : i + 1] * windows[:, ORDER + fit - 1 - i : length - 1 - i]
    return np.asarray((new.reshape(len(places), before + after, block) ** 2).mean(axis=2))
