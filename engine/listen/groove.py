"""How a clip swings, and its groove: what falls on each sixteenth of its bars, how strongly, how early or late.

Swing is read from where onsets fall inside the beat: of straight time, swung eighths and swung sixteenths the pattern
that explains them best, each onset being drawn from a grid place (with a player's scatter) or from anywhere. The groove
is what is left: per band (low, mid, high) the mean strength and the mean deviation from the swung grid.

Conventions: a bar of four beats has 16 steps; `swing` is the share of a pair that its first note takes; timing in
shares of a sixteenth (positive is late); strengths beside the band's own strong hits, 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.listen.beats import Beats
from engine.listen.onsets import Floats, Strength, strength2times

STEPS = 16
BANDS = ("low", "mid", "high")
SWINGS = np.arange(0.5, 0.7201, 0.005)
SCATTER = 0.022
"""Beats: how far a player is from the grid (a standard deviation), with what the ear of this module adds."""
ANYWHERE = 0.15
"""Share of onsets that lie on no grid."""
SWUNG = 0.53
"""From here on a clip counts as swung."""
ENOUGH_ONSETS = 24
ENOUGH_BARS = 6.0
REACH = 0.45
"""Of a step: how far from its place a hit may fall."""
USUAL = 0.3
"""A step is part of the groove where it is struck in this share of the bars."""


@dataclass(frozen=True)
class Swing:
    """`ratio` 0.5 (even) to about 0.67 (triplets) of pairs of `unit` notes (8 or 16), `confidence` 0-1."""

    ratio: float = 0.5
    unit: int = 8
    confidence: float = 0.0


@dataclass(frozen=True)
class BandGroove:
    """[16] each: `strength` 0-1 (0 where the step is not part of the groove), `timing` in shares of a sixteenth beside
    the swung grid, `hits` share of the bars that strike there."""

    band: str
    strength: tuple[float, ...]
    timing: tuple[float, ...]
    hits: tuple[float, ...]


@dataclass(frozen=True)
class Groove:
    """`bars` that were heard, `bands` low, mid, high; none without bars of four beats. `confidence` 0-1: how well the
    halves of the clip agree on it."""

    bars: int = 0
    bands: tuple[BandGroove, ...] = ()
    confidence: float = 0.0


def strength2swing(strength: Strength, beats: Beats) -> Swing:
    """Swing of a clip; without a pulse, or with too few notes between the beats, even without confidence."""
    if len(beats.seconds) < 8:
        return Swing()
    phases, weights = beat_phases(strength, beats)
    between = (phases > 0.12) & (phases < 0.9)
    phases, weights = phases[between], weights[between]
    if len(phases) < ENOUGH_ONSETS:
        return Swing()
    straight = _fit(phases, weights, *swung_places(0.5, 16))
    fits = [
        (_fit(phases, weights, *swung_places(float(ratio), unit)), unit, float(ratio))
        for unit in (8, 16)
        for ratio in SWINGS
    ]
    best, unit, ratio = max(fits)
    at_unit = np.array([fit for fit, u, _ in fits if u == unit])
    place = int(at_unit.argmax())
    # How far the fit falls off within 0.03 of the best ratio says how well the ratio is known.
    sharp = best - max((f for k, f in enumerate(at_unit) if abs(k - place) >= 6), default=best)
    enough = min(1.0, len(phases) / (3.0 * ENOUGH_ONSETS))
    confidence = enough * beats.confidence * float(np.clip(sharp / 0.15, 0.0, 1.0)) ** 0.5
    if best - straight < 0.03 or ratio < SWUNG:
        known = float(np.clip((straight - at_unit[-1]) / 0.3, 0.0, 1.0)) ** 0.5
        return Swing(0.5, 16, round(enough * beats.confidence * known, 3))
    return Swing(round(ratio, 3), unit, round(confidence, 3))


def swung_places(ratio: float, unit: int) -> tuple[Floats, Floats]:
    """(places inside the beat, share of the onsets on each) of swung eighths, with their own halves and the last note
    of a triplet, or of swung sixteenths."""
    if unit == 8:
        return np.array([ratio, ratio / 2, (1 + ratio) / 2, 2 / 3]), np.array([0.7, 0.1, 0.1, 0.1])
    return np.array([0.5, ratio / 2, 0.5 + ratio / 2]), np.array([0.4, 0.3, 0.3])


def beat_phases(strength: Strength, beats: Beats) -> tuple[Floats, Floats]:
    """(place in its beat 0-1, weight) of every onset of mid and high bands between the first and the last beat."""
    groups = strength.split()
    places, weights = [], []
    grid = np.array(beats.seconds)
    for group in (groups[:, 1], groups[:, 2]):
        at, height = strength2times(group)
        inside = (at >= grid[0]) & (at < grid[-1])
        at, height = at[inside], height[inside]
        if not len(at):
            continue
        beat = np.interp(at, grid, np.arange(len(grid)))
        places.append(beat % 1.0)
        weights.append(np.minimum(height / np.percentile(height, 80), 1.0))
    return (np.concatenate(places), np.concatenate(weights)) if places else (np.zeros(0), np.zeros(0))


def _fit(phases: Floats, weights: Floats, grid: Floats, shares: Floats) -> float:
    """Mean log-likelihood of phases (weighted) of a mixture over grid places and anywhere."""
    distance = phases[:, None] - grid[None, :]
    normal = np.exp(-0.5 * (distance / SCATTER) ** 2) / (SCATTER * np.sqrt(2 * np.pi))
    likelihood = ANYWHERE / 0.78 + (1 - ANYWHERE) * normal @ shares
    return float((weights * np.log(likelihood)).sum() / weights.sum())


def strength2groove(strength: Strength, beats: Beats, swing: Swing) -> Groove:
    """The groove of the bars of four beats; none where there are fewer than two."""
    bars = bars_of_four(beats)
    if len(bars) < 2:
        return Groove()
    steps = np.array([_steps(beats, first, swing) for first in bars])
    groups = strength.split()
    loudest = max(float(np.percentile(g, 99)) for g in groups.T)
    bands, agree = [], []
    for name, group in zip(BANDS, groups.T, strict=True):
        at, height = strength2times(group, apart=0.04)
        if not len(at) or float(np.percentile(group, 99)) < 0.02 * loudest:
            bands.append(BandGroove(name, (0.0,) * STEPS, (0.0,) * STEPS, (0.0,) * STEPS))
            continue
        hit, early = _hits(at, np.minimum(height / np.percentile(height, 90), 1.2), steps)
        bands.append(_band(name, hit, early))
        agree.append(_agreement(hit))
    confidence = beats.confidence * min(1.0, len(bars) / ENOUGH_BARS) * (max(agree) if agree else 0.0)
    return Groove(len(bars), tuple(bands), round(float(confidence) * (0.5 + 0.5 * beats.bar_confidence), 3))


def bars_of_four(beats: Beats) -> list[int]:
    """Indices of the downbeats whose bar has four beats and ends inside the clip."""
    if beats.metre != 4:
        return []
    ends = [*beats.downbeats[1:], *([beats.downbeats[-1] + 4] if beats.downbeats else [])]
    last = len(beats.seconds) - 1
    return [a for a, b in zip(beats.downbeats, ends, strict=True) if b - a == 4 and b <= last]


def _steps(beats: Beats, first: int, swing: Swing) -> Floats:
    """[17] seconds of a bar's swung sixteenths and of the next bar."""
    place = np.arange(STEPS + 1) / 4.0
    pair = 8.0 / swing.unit
    x = place / pair % 1.0
    bent = np.where(x <= 0.5, x * swing.ratio / 0.5, swing.ratio + (x - 0.5) * (1 - swing.ratio) / 0.5)
    index = first + place + (bent - x) * pair
    return np.asarray(np.interp(index, np.arange(len(beats.seconds)), beats.seconds))


def _hits(at: Floats, height: Floats, steps: Floats) -> tuple[Floats, Floats]:
    """([bars, 16] strength, 0 where nothing is struck; [bars, 16] deviation in shares of a straight sixteenth)."""
    hit, early = np.zeros((len(steps), STEPS)), np.zeros((len(steps), STEPS))
    for row, edges in enumerate(steps):
        length = (edges[-1] - edges[0]) / STEPS
        inside = (at > edges[0] - REACH * length) & (at < edges[-1] - REACH * length)
        for second, strong in zip(at[inside], height[inside], strict=True):
            step = int(np.abs(edges[:STEPS] - second).argmin())
            away = float(second - edges[step]) / length
            if abs(away) <= REACH and strong > hit[row, step]:
                hit[row, step], early[row, step] = strong, away
    return hit, early


def _band(name: str, hit: Floats, early: Floats) -> BandGroove:
    struck = hit > 0
    count = struck.sum(axis=0)
    share = count / len(hit)
    usual = share >= USUAL
    mean = np.where(usual, hit.sum(axis=0) / np.maximum(count, 1), 0.0)
    middle = np.array([np.median(early[struck[:, k], k]) if usual[k] else 0.0 for k in range(STEPS)])
    return BandGroove(
        name,
        tuple(round(float(v), 3) for v in np.minimum(mean / max(float(mean.max()), 1e-9), 1.0)),
        tuple(round(float(v), 3) for v in middle),
        tuple(round(float(v), 3) for v in share),
    )


def _agreement(hit: Floats) -> float:
    """0-1: correlation of what the even and the odd bars strike on each step."""
    even, odd = hit[::2].mean(axis=0), hit[1::2].mean(axis=0)
    if even.std() < 1e-6 or odd.std() < 1e-6:
        return 0.5
    return float(np.clip(np.corrcoef(even, odd)[0, 1], 0.0, 1.0))
