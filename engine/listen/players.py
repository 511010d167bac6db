"""Which roles play in a clip: a linear reading of its spectrum's habits.

24 bands of an ear's spacing; of each its share of the sound, how far that moves, how fast it changes, how much faster
it rises than it falls, how long it holds, how peaked it is and how far that moves; and of the onsets in low, mid and
high how many and how sharp. A logistic regression per role reads them; it was fitted to mixes of this program's own
songs with instruments at random (`engine.training.players`, which also tells how well it does on songs it has not
seen). Nobody else's audio or weights are in it. Only what it tells well there is asked. Voices it has not learnt.

Conventions: mono float32 at `RATE`; activities 0-1: how sure it is that the role plays somewhere in the clip.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from engine.listen.onsets import FRAMES, RATE, SILENT, Audio, Floats, Strength, strength2times
from engine.listen.steps import each, unheard
from engine.report import Tick

WEIGHTS = Path(__file__).with_name("players.json")
SIZE, HOP = 2048, 1024
BANDS = 24
LOW_HZ, HIGH_HZ = 40.0, 10000.0
GATE_DB = 40.0
LEAST_FRAMES = 40
HELD_FRAMES = 8
"""What a band's level has to do with itself so many frames (.37 s) later: it holds, or it is struck and falls."""
TRAITS = 7 * BANDS + 6
CLIP_AT = 4.0
"""Deviations from the mixes' mean beyond which a trait counts no more: nothing is read off what was never seen."""


@dataclass(frozen=True)
class Reading:
    """The regression: `mean`, `scale` [traits]; `weights` [roles, traits], `bias` [roles]."""

    roles: tuple[str, ...]
    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats


def sound2players(mono: Audio, strength: Strength, tick: Tick = unheard) -> tuple[tuple[str, float], ...]:
    """(role, activity) of the roles that can be told, the surest first; none for silence and clips under 2 seconds."""
    traits = sound2traits(mono, strength, tick)
    if traits is None:
        return ()
    reading = load_reading()
    place = np.clip((traits - reading.mean) / reading.scale, -CLIP_AT, CLIP_AT)
    sure = 1.0 / (1.0 + np.exp(-(reading.weights @ place + reading.bias)))
    found = [(role, round(float(p), 3)) for role, p in zip(reading.roles, sure, strict=True)]
    return tuple(sorted(found, key=lambda row: -row[1]))


@lru_cache(maxsize=1)
def load_reading() -> Reading:
    """The shipped regression."""
    raw = json.loads(WEIGHTS.read_text())
    mean, scale, weights, bias = (np.array(raw[name]) for name in ("mean", "scale", "weights", "bias"))
    return Reading(tuple(raw["roles"]), mean, scale, weights, bias)


def sound2traits(mono: Audio, strength: Strength, tick: Tick = unheard) -> Floats | None:
    """[TRAITS] traits of a clip; None where too little sounds."""
    if len(mono) < SIZE or float(np.abs(mono).max()) < SILENT:
        return None
    views = np.lib.stride_tricks.sliding_window_view(mono, SIZE)[::HOP]
    starts = range(0, len(views), 512)
    parts = [_levels(views[i : i + 512]) for i in each(starts, len(starts), tick)]
    power, peaked = (np.concatenate([p[k] for p in parts]) for k in (0, 1))
    total = 10.0 * np.log10(power.sum(axis=1) + 1e-12)
    kept = total > total.max() - GATE_DB
    if int(kept.sum()) < LEAST_FRAMES:
        return None
    share = np.maximum(10.0 * np.log10(power[kept] + 1e-12) - total[kept, None], -60.0)
    groups = strength.split()
    length = strength.frames / FRAMES
    rates = [len(strength2times(group)[0]) / length for group in groups.T]
    sharp = [float(np.percentile(g, 99)) / (float(g.mean()) + 1e-6) for g in groups.T]
    moves = np.diff(share, axis=0)
    lean = (np.maximum(moves, 0.0) ** 2).mean(axis=0) / ((moves**2).mean(axis=0) + 0.01)
    around = (share - share.mean(axis=0)) / (share.std(axis=0) + 0.5)
    held = (around[HELD_FRAMES:] * around[:-HELD_FRAMES]).mean(axis=0)
    tonal = peaked[kept]
    return np.concatenate(
        [share.mean(axis=0), share.std(axis=0), np.abs(moves).mean(axis=0), lean, held, tonal.mean(axis=0),
         tonal.std(axis=0), rates, np.log(sharp)]
    )  # fmt: skip


def _levels(views: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """([frames, BANDS] power, [frames, BANDS] dB of each band's strongest bin over its mean)."""
    edges, window = _edges(), np.hanning(SIZE).astype(np.float32)
    power = (np.abs(rfft(views * window, axis=1)) ** 2).astype(float) / SIZE
    starts = edges[:-1]
    count = np.diff(edges)
    inside = power[:, edges[0] : edges[-1]]
    sums = np.add.reduceat(inside, starts - edges[0], axis=1)
    highest = np.maximum.reduceat(inside, starts - edges[0], axis=1)
    return sums, 10.0 * np.log10((highest + 1e-12) / (sums / count + 1e-12))


@lru_cache(maxsize=1)
def _edges() -> NDArray[np.int64]:
    """[BANDS + 1] first bins of the bands, at least two bins each."""
    hertz = 300.0 * np.expm1(np.linspace(np.log1p(LOW_HZ / 300), np.log1p(HIGH_HZ / 300), BANDS + 1))
    bins = np.round(hertz * SIZE / RATE).astype(np.int64)
    for k in range(1, len(bins)):
        bins[k] = max(bins[k], bins[k - 1] + 2)
    return bins
