"""Where the beats of a clip fall, along tempi that drift.

A beat sequence is the path through (time, interval) that meets the strongest onsets while its intervals change little
and stay near the local tempo: dynamic programming as in D. Ellis, "Beat tracking by dynamic programming" (2007), over
the states of the bar pointer's beat (N. Whiteley et al. 2006; F. Krebs et al., ISMIR 2015), so that tempo is a state of
its own. Times are then read between frames and smoothed, each by how clearly it was struck.

Conventions: mono float32 at `RATE`; beats are quarter notes; times in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d

from engine.listen.bars import beats2bars
from engine.listen.chroma import Chroma, sound2chroma
from engine.listen.onsets import FRAMES, Audio, Floats, Strength, frame2second, moving_mean, sound2strength
from engine.listen.steps import each, unheard
from engine.listen.tempo import Tempo, strength2tempogram, tempogram2tempo
from engine.report import Tick, part_of

GROUP_WEIGHTS = (1.5, 1.0, 0.3)
"""Of low, mid and high: hats fall between the beats as often as on them."""
WIDTH_FRAMES = 1.2
CHANGE = 300.0
"""What a change of the interval costs, times its squared logarithm."""
LEAVE = 150.0
"""What leaving the local tempo costs, times the squared logarithm."""
REACH = 0.3
"""How far (as a share) intervals may lie from the local tempo's."""
CATCH_SECONDS = 0.045
STIFF = 6.0
"""How much the smoothed beats resist uneven intervals."""
ENOUGH_BEATS = 12.0


@dataclass(frozen=True)
class Beats:
    """Beats of a clip from its start to its end, silence between them filled.

    `bpm` (median) None and `seconds` empty where there is no pulse; `confidence` 0-1; `alternatives`: other readings
    (bpm, strength beside this one's). `downbeats`: indices into `seconds` of the first beats of bars, `metre` beats to
    the bar, `bar_confidence` 0-1.
    """

    bpm: float | None
    confidence: float
    alternatives: tuple[tuple[float, float], ...] = ()
    seconds: tuple[float, ...] = ()
    downbeats: tuple[int, ...] = ()
    metre: int = 4
    bar_confidence: float = 0.0


NO_BEATS = Beats(None, 0.0)


def sound2beats(mono: Audio, *, bpm: tuple[float, float] | None = None) -> Beats:
    """Beats of a clip at `RATE`; `bpm` (lowest, highest) where the tempo is known roughly. Less than three seconds,
    silence and what has no pulse give `NO_BEATS`. Raises ValueError for a range without a tempo."""
    return strength2beats(sound2strength(mono), sound2chroma(mono), bpm=bpm)


def strength2beats(
    strength: Strength, chroma: Chroma, *, bpm: tuple[float, float] | None = None, tick: Tick = unheard
) -> Beats:
    """The same from onset strengths and the chromagram, which says where bars begin. Raises what `tick` raises."""
    tempo = tempogram2tempo(strength2tempogram(strength, part_of(tick, 0.0, 0.3)), bpm)
    if tempo is None:
        return NO_BEATS
    pulse = strength2pulse(strength)
    frames = track(pulse, _intervals(tempo, len(pulse)), part_of(tick, 0.3, 1.0))
    if len(frames) < 3:
        return NO_BEATS
    seconds = settle(pulse, frames)
    seconds = fill_ends(seconds, strength.frames / FRAMES)
    bars = beats2bars(strength, chroma, seconds)
    seconds = bars.seconds
    median = 60.0 / float(np.median(np.diff(seconds)))
    sure = tempo.confidence * min(1.0, len(seconds) / ENOUGH_BEATS) * contrast(pulse, seconds)
    return Beats(
        round(60.0 * (len(seconds) - 1) / float(seconds[-1] - seconds[0]), 3) if _steady(seconds) else round(median, 3),
        round(sure, 3),
        tempo.alternatives,
        tuple(round(float(t), 5) for t in seconds),
        bars.downbeats,
        bars.metre,
        round(bars.confidence * sure, 3),
    )


def strength2pulse(strength: Strength) -> Floats:
    """[frames] of what a beat may be struck by, about 1 for a strong onset: low, mid and high onsets, each over its
    local mean and beside its own strong ones."""
    total = np.zeros(strength.frames)
    for group, weight in zip(strength.split().T, GROUP_WEIGHTS, strict=True):
        over = np.maximum(group - moving_mean(group, round(0.5 * FRAMES)), 0.0)
        high = float(np.percentile(over, 97))
        if high > 0.02 * float(strength.bands.max(initial=0.0)):
            total += weight * np.minimum(over / high, 1.5)
    total = gaussian_filter1d(total, WIDTH_FRAMES)
    high = float(np.percentile(total, 97))
    return np.asarray(np.minimum(total / high, 1.5)) if high > 0 else total


def _intervals(tempo: Tempo, frames: int) -> Floats:
    """[frames] the local tempo's interval in frames."""
    return np.asarray(60.0 * FRAMES / np.interp(np.arange(frames) / FRAMES, tempo.seconds, tempo.local))


def track(pulse: Floats, interval: Floats, tick: Tick = unheard) -> list[int]:
    """Frames of the best sequence of beats in a `pulse` [frames]; `interval` [frames]: the interval expected."""
    shortest = max(2, int(interval.min() * (1 - REACH)))
    spans = np.arange(shortest, int(np.ceil(interval.max() * (1 + REACH))) + 1)
    logs = np.log(spans)
    change = CHANGE * (logs[:, None] - logs[None, :]) ** 2
    count = len(pulse)
    longest = int(spans[-1])
    # score[t + longest, k]: best sequence that ends with a beat at t after an interval spans[k].
    score = np.zeros((count + longest, len(spans)))
    back = np.zeros((count, len(spans)), dtype=np.int16)
    leave = LEAVE * (logs[None, :] - np.log(interval)[:, None]) ** 2
    rows = np.arange(len(spans))
    for t in each(range(count), count, tick, every=1024):
        before = score[t + longest - spans] - change
        best = before.argmax(axis=1)
        back[t] = best
        score[t + longest] = before[rows, best] + pulse[t] - leave[t]
    end = score[longest:]
    tail = max(0, count - int(interval[-1]))
    row, column = np.unravel_index(int(end[tail:].argmax()), end[tail:].shape)
    at, state = int(row) + tail, int(column)
    frames = []
    while at >= 0:
        frames.append(at)
        at, state = at - int(spans[state]), int(back[at, state])
    return frames[::-1]


def settle(pulse: Floats, frames: list[int]) -> Floats:
    """[beats] seconds: what was struck near each frame, weighed by its strength against even intervals."""
    grid = np.array(frames)
    reach = round(CATCH_SECONDS * FRAMES)
    near = np.clip(grid[:, None] + np.arange(-reach, reach + 1), 0, len(pulse) - 1)
    values = pulse[near] * np.exp(-0.5 * (np.arange(-reach, reach + 1) / (0.6 * reach)) ** 2)
    at = near[np.arange(len(grid)), values.argmax(axis=1)]
    weight = np.minimum(pulse[at], 1.0) ** 2 + 1e-3
    struck = frame2second(pulse, at)
    count = len(grid)
    if count < 3:
        return struck
    # (W + STIFF D'D) x = W struck, D the second difference; the upper band of the matrix by rows.
    bands = np.zeros((3, count))
    bands[2] = STIFF * np.concatenate([[1, 5], np.full(max(count - 4, 0), 6), [5, 1]])[:count] + weight
    bands[1, 1:] = STIFF * np.concatenate([[-2], np.full(max(count - 3, 0), -4), [-2]])[: count - 1]
    bands[0, 2:] = STIFF
    if count == 3:
        bands[2] = STIFF * np.array([1, 4, 1]) + weight
        bands[1, 1:] = -2 * STIFF
    return np.asarray(solveh_banded(bands, weight * struck))


def fill_ends(seconds: Floats, length: float) -> Floats:
    """Beats gone on with at the tempo of the ends, so that they reach from the clip's start to its end."""
    first = float(np.mean(np.diff(seconds[:5])))
    last = float(np.mean(np.diff(seconds[-5:])))
    before = seconds[0] - first * np.arange(int(max(seconds[0], 0.0) / first + 1e-6), 0, -1)
    after = seconds[-1] + last * np.arange(1, int(max(length - seconds[-1], 0.0) / last + 1e-6) + 1)
    whole = np.concatenate([before, seconds, after])
    return whole[whole >= -1e-6]


def contrast(pulse: Floats, seconds: Floats) -> float:
    """0-1: how much stronger the pulse is at the beats than elsewhere; near 0 for noise, which has peaks anywhere."""
    at = np.clip(np.round(seconds * FRAMES).astype(int), 0, len(pulse) - 1)
    reach = 2
    peak = np.max([pulse[np.clip(at + k, 0, len(pulse) - 1)] for k in range(-reach, reach + 1)], axis=0)
    every = np.max([np.roll(pulse, k) for k in range(-reach, reach + 1)], axis=0)
    spread = float(every.std())
    return float(np.clip((peak.mean() - every.mean()) / (1.2 * spread), 0.0, 1.0)) if spread > 0 else 0.0


def _steady(seconds: Floats) -> bool:
    """Whether one tempo fits all beats to a hundredth of a second."""
    index = np.arange(len(seconds))
    line = np.polyval(np.polyfit(index, seconds, 1), index)
    return bool(np.abs(seconds - line).max() < 0.02)
