"""How fast a clip is: a tempogram and its readings.

The beat spectrum (J. Foote and S. Uchihashi, ICME 2001) of the onset strengths' bands, in windows of twelve seconds:
how alike the clip is to itself some time later, each band by its own, so that a kick is like a kick and not like a hat.
A tempo is scored by the likeness after a beat, after the beats of a metre's levels (2, 4, 8 or 3, 6, 12) and after half
a beat, under a broad preference for about 110 bpm; a dotted figure's own pulse fails at the longer spans.

Conventions: strengths as of `engine.listen.onsets`; tempo in beats (quarter notes) per minute.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from engine.listen.onsets import FRAMES, Floats, Strength, moving_mean
from engine.listen.steps import each, unheard
from engine.report import Tick

LOW_BPM, HIGH_BPM = 50.0, 220.0
STEPS = 280
WINDOW, HOP = 12.0, 3.0
"""Seconds of a window of the tempogram and from one to the next."""
LEAST_SECONDS = 3.0
CENTRE_BPM, SPREAD_OCTAVES = 112.0, 1.2
LEVELS = {
    "duple": ((1.0, 1.0), (2.0, 0.9), (4.0, 0.9), (8.0, 0.6), (0.5, 0.5), (0.25, 0.2)),
    "triple": ((1.0, 1.0), (3.0, 1.0), (6.0, 0.7), (12.0, 0.5), (0.5, 0.5)),
    "compound": ((1.0, 1.0), (2.0, 0.9), (4.0, 0.9), (8.0, 0.6), (1 / 3, 0.4), (2 / 3, 0.3)),
}
"""(span in beats, weight) of each way to count."""
COUNT_BONUS = {"duple": 0.0, "triple": -0.05, "compound": -0.06}
NEAR = 0.25
"""Octaves around its centre in which a tempo may drift along a clip."""
CENTRES = 10
"""Steps of the grid between the centres of the paths that are tried."""
STIFFNESS = 25.0
"""What a change of the local tempo by an octave between neighbouring windows costs, squared."""
SAME = 0.04

GRID = np.exp(np.linspace(np.log(LOW_BPM), np.log(HIGH_BPM), STEPS))


@dataclass(frozen=True)
class Tempogram:
    """`scores` [windows, STEPS] of the tempi `GRID` at `seconds` [windows] (centres); about 0 for noise, 1 at most."""

    seconds: Floats
    scores: Floats

    @property
    def mean(self) -> Floats:
        """[STEPS] of the whole clip."""
        return np.asarray(self.scores.mean(axis=0)) if len(self.scores) else np.zeros(STEPS)


def strength2tempogram(strength: Strength, tick: Tick = unheard) -> Tempogram:
    """Scores of all tempi, window by window; a clip under `LEAST_SECONDS` or without onsets has no windows."""
    frames = strength.frames
    if frames < LEAST_SECONDS * FRAMES or strength.bands.max(initial=0.0) <= 0:
        return Tempogram(np.zeros(0), np.zeros((0, STEPS)))
    flat = np.stack([np.maximum(b - moving_mean(b, round(FRAMES)), 0.0) for b in strength.bands.T], axis=1)
    size, hop = min(frames, round(WINDOW * FRAMES)), round(HOP * FRAMES)
    starts = list(range(0, max(frames - size, 0) + 1, hop))
    seconds = np.array([(s + size / 2) / FRAMES for s in starts])
    scores = [likeness2scores(_likeness(flat[s : s + size])) for s in each(starts, len(starts), tick)]
    return Tempogram(seconds, np.array(scores))


def _likeness(flat: Floats) -> Floats:
    """[lags] autocorrelation of the bands together, 1 at lag 0 and about 0 where nothing recurs."""
    centred = flat - flat.mean(axis=0)
    count = len(flat)
    size = next_fast_len(2 * count)
    power = (np.abs(rfft(centred, size, axis=0)) ** 2).sum(axis=1)
    lags = irfft(power, size)[:count]
    if lags[0] <= 1e-9:
        return np.zeros(count)
    return np.asarray(lags / (lags[0] * np.maximum(1.0 - np.arange(count) / count, 0.15)))


def likeness2scores(lags: Floats) -> Floats:
    """[STEPS] score of each tempo of `GRID` by the best way to count it."""
    period = 60.0 * FRAMES / GRID
    smooth = np.convolve(lags, [0.25, 0.5, 0.25], mode="same")
    at = np.arange(len(lags))
    rows = []
    for name, levels in LEVELS.items():
        total, weight = np.zeros(STEPS), np.zeros(STEPS)
        for span, share in levels:
            lag = period * span
            inside = lag < 0.75 * len(lags)
            total += np.where(inside, share * np.interp(lag, at, smooth), 0.0)
            weight += np.where(inside, share, 0.0)
        rows.append(total / np.maximum(weight, 0.5) + COUNT_BONUS[name])
    return np.asarray(np.max(rows, axis=0))


@dataclass(frozen=True)
class Tempo:
    """`bpm` of the whole clip; `confidence` 0-1; `alternatives` (bpm, strength beside the best reading's): other levels
    of the metre and rivals, strongest first; `seconds`, `local` [windows] the tempo in force along the clip."""

    bpm: float
    confidence: float
    alternatives: tuple[tuple[float, float], ...]
    seconds: Floats
    local: Floats


def tempogram2tempo(tempogram: Tempogram, between: tuple[float, float] | None = None) -> Tempo | None:
    """The tempo, `between` two of them where given (bpm); None without a pulse. Raises ValueError for a range outside
    50 to 220 bpm."""
    low, high = between or (LOW_BPM, HIGH_BPM)
    allowed = (low * 0.999 <= GRID) & (high * 1.001 >= GRID)
    if not allowed.any():
        raise ValueError(f"there is no tempo between {low} and {high} bpm to choose from")
    if not len(tempogram.scores):
        return None
    paths = _paths(tempogram.scores, np.flatnonzero(allowed))
    weighted = np.array([path.score * _preference(path.bpm) for path in paths])
    best = int(weighted.argmax())
    if weighted[best] <= 0:
        return None
    found = paths[best]
    others = _rivals(paths, weighted, best)
    strange = [s for other, s in others if not _related(other, found.bpm)]
    clear = 1.0 - 0.5 * max(strange, default=0.0)
    confidence = float(np.clip((found.score - 0.04) / 0.16, 0.0, 1.0)) * clear
    return Tempo(found.bpm, confidence, others, tempogram.seconds, found.local)


@dataclass(frozen=True)
class _Path:
    """A tempo that drifts along the windows: its median, `local` [windows] bpm, its mean score."""

    bpm: float
    local: Floats
    score: float


def _preference(bpm: float) -> float:
    return float(np.exp(-0.5 * (np.log2(bpm / CENTRE_BPM) / SPREAD_OCTAVES) ** 2))


def _paths(scores: Floats, allowed: NDArray[np.int64]) -> list[_Path]:
    """The best path around each centre of the allowed steps of the grid, those of nearly the same tempo once."""
    found: list[_Path] = []
    centres = allowed[:: min(CENTRES, max(1, len(allowed) // 4))]
    for centre in GRID[centres]:
        near = allowed[np.abs(np.log2(GRID[allowed] / centre)) <= NEAR]
        found.append(_path(scores[:, near], GRID[near]))
    found.sort(key=lambda path: -path.score)
    distinct: list[_Path] = []
    for path in found:
        if all(abs(np.log(path.bpm / other.bpm)) > SAME for other in distinct):
            distinct.append(path)
    return distinct


def _path(scores: Floats, bpm: Floats) -> _Path:
    """The path through scores [windows, steps] of the tempi `bpm` [steps] that scores best while it changes slowly."""
    octaves = np.log2(bpm)
    cost = STIFFNESS * (octaves[:, None] - octaves[None, :]) ** 2
    total = scores[0]
    back = np.zeros(scores.shape, dtype=np.int64)
    for t in range(1, len(scores)):
        step = total[:, None] - cost
        back[t] = step.argmax(axis=0)
        total = step.max(axis=0) + scores[t]
    steps = [int(total.argmax())]
    for t in range(len(scores) - 1, 0, -1):
        steps.append(int(back[t, steps[-1]]))
    local = bpm[steps[::-1]]
    return _Path(float(np.median(local)), np.asarray(local), float(total.max()) / len(scores))


def _rivals(paths: list[_Path], weighted: Floats, best: int) -> tuple[tuple[float, float], ...]:
    """Up to four other paths (bpm, share of the best one's score)."""
    order = [int(i) for i in np.argsort(-weighted, kind="stable") if i != best and weighted[i] > 0]
    return tuple((round(paths[i].bpm, 1), round(float(weighted[i] / weighted[best]), 3)) for i in order[:4])


def _related(one: float, other: float) -> bool:
    """Whether two tempi count the same music on different levels: half, double, a third, three times."""
    return any(abs(np.log(one / other / factor)) < SAME for factor in (0.25, 1 / 3, 0.5, 2.0, 3.0, 4.0))
