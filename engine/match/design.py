"""The bus stage for a band and a reference: sides, level quantiles per band, spectrum, dynamics and loudness.

Level-quantile matching, band by band: where our band is at its k-th level, it is brought to the reference's k-th level.
All is designed on levels in frames and bands, without making any sound.

Conventions: dB; arrays [frames, BANDS]; the reference is a `Profile`, ours are the `Levels` of the group's sum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from engine.match.curves import MOVING_STEP, Curves
from engine.match.frames import Floats, Grid, Levels, k_weight, power2db
from engine.match.loudness import power2lufs
from engine.match.profile import STEADY_DB, Profile, levels2profile, paced, power2quantiles, spread

MAX_MOVE_DB = 12.0
"""A band is moved by at most so much to the reference's levels; and as much again by its fixed gain."""
SMOOTH_FRAMES, SMOOTH_BANDS = 3, 7
"""Gains that differ sharply from band to band ring for milliseconds before every attack, so neighbours share theirs."""
REMATCHES = 3
MAX_GAIN_DB = 24.0
GATE_DB, GATE_RAMP_DB, GATE_GAIN_DB = -72.0, 12.0, 1.0
"""Where the band is softer than this, it is raised by no more than that; the ramp lies above."""
MAX_SIDE = 2.0
MAX_WIDTH = 0.8
"""A side signal is never brought above this share of the middle's power."""
BASS_HZ, BASS_WIDTH = 110.0, 0.06
LEAST_WIDTH = 1e-4
MAX_RATIO, MAX_PACE_DB, PACES = 2.0, 5.0, 3
"""How far the spread of levels is changed in a round, and a moment's level in all."""


@dataclass(frozen=True)
class Goal:
    """`reference`: what to come near to. `alone`: the group is the whole band, and takes over loudness and dynamics;
    else it is brought to `lufs`, its place beside the others (None: as loud as it is). `width`, `moving`: which steps
    are taken."""

    reference: Profile
    alone: bool = True
    lufs: float | None = None
    width: bool = True
    moving: bool = True


def design_curves(levels: Levels, goal: Goal, rate: int) -> Curves:
    """The curves for a group whose sum has these levels. The limiter is not in them yet."""
    grid = Grid(rate)
    side, wide = match_width(levels, goal, grid)
    first = _match_bands(levels, side, wide, goal, grid)
    # Once more as loud as the bands become: what is turned up counts for more of the width.
    power = np.float32(10) ** ((first.moving + first.fixed) / 10).astype(np.float32)
    side, wide = match_width(replace(levels, mid=levels.mid * power, side=levels.side * power), goal, grid)
    bands = _match_bands(levels, side, wide, goal, grid)
    reference, own, offset = goal.reference, bands.own, bands.offset
    level, moving, fixed = bands.level, bands.moving, bands.fixed
    weight = _band_weight(grid)
    if goal.alone and goal.moving:
        power = np.asarray((10 ** ((level + moving + fixed) / 10)).sum(axis=1), dtype=np.float32)
        moving = moving + pace(power, reference.spread_db, grid)[:, None]
    wanted = reference.lufs if goal.alone else goal.lufs or own.lufs
    rest = wanted - power2lufs(_heard(level + moving + fixed, weight).astype(np.float64), grid.hop / grid.rate)
    gain = float(np.clip(rest, -MAX_GAIN_DB, MAX_GAIN_DB)) + offset if np.isfinite(rest) else 0.0
    # What a band is moved by where it is loud belongs to the fixed filters, which keep attacks where they are.
    loud = 10 ** ((level + moving) / 10)
    usual = ((moving * loud).sum(axis=0) / np.maximum(loud.sum(axis=0), 1e-14)).astype(np.float32)
    moving, fixed = moving - usual, fixed + usual
    moving = _gate(moving, level - np.float32(offset), fixed, gain, weight)
    return Curves(
        rate,
        (fixed + np.float32(gain)).astype(np.float32),
        np.clip(np.rint(moving / MOVING_STEP), -127, 127).astype(np.int8),
        side.astype(np.float32),
        wide.astype(np.float32),
        np.zeros(1, np.int16),
    )


@dataclass(frozen=True)
class _Bands:
    """`own`: the profile with its sides matched; `offset` dB to the reference's loudness; `level` [frames, BANDS] with
    it; the gains."""

    own: Profile
    offset: float
    level: Floats
    moving: Floats
    fixed: Floats


def _match_bands(levels: Levels, side: Floats, wide: Floats, goal: Goal, grid: Grid) -> _Bands:
    """Gains in time and bands for these sides."""
    sided = replace(levels, side=side**2 * levels.side + wide**2 * levels.mid)
    own = levels2profile(sided, grid)
    reference = goal.reference
    offset = float(np.clip(reference.lufs - own.lufs, -2 * MAX_GAIN_DB, 2 * MAX_GAIN_DB))
    level = power2db(sided.total) + np.float32(offset)
    moving = match_levels(level, reference) if goal.moving else np.zeros_like(level)
    fixed = np.zeros(level.shape[1], np.float32)
    for _ in range(REMATCHES):
        now = power2db((10 ** ((level + moving + fixed) / 10)).mean(axis=0))
        fixed = np.clip(fixed + reference.spectrum - now, -MAX_MOVE_DB, MAX_MOVE_DB).astype(np.float32)
    return _Bands(own, offset, level, moving, fixed)


def match_width(levels: Levels, goal: Goal, grid: Grid) -> tuple[Floats, Floats]:
    """(factor of the side signal [BANDS], level of the middle's all-passed copy beside it [BANDS])."""
    ones, zeros = np.ones(levels.mid.shape[1], np.float32), np.zeros(levels.mid.shape[1], np.float32)
    if not goal.width or goal.reference.width is None:
        return ones, zeros
    own = levels.side.sum(axis=0) / np.maximum(levels.mid.sum(axis=0), 1e-14)
    most = np.where(grid.centres < BASS_HZ, BASS_WIDTH, MAX_WIDTH)
    wanted = np.clip(goal.reference.width, LEAST_WIDTH, most)
    side = np.minimum(np.sqrt(wanted / np.maximum(own, 1e-9)), MAX_SIDE)
    missing = np.maximum(wanted - side**2 * own, 0.0)
    return side.astype(np.float32), np.sqrt(missing).astype(np.float32)


def match_levels(level: Floats, reference: Profile) -> Floats:
    """dB [frames, BANDS] that bring every band's levels to the reference's quantiles."""
    own = power2quantiles(level)
    out = np.zeros_like(level)
    for band in range(level.shape[1]):
        ours = np.maximum.accumulate(own[band]) + np.arange(own.shape[1], dtype=np.float32) * 1e-3
        out[:, band] = np.interp(level[:, band], ours, reference.quantiles[band] - own[band])
    out = uniform_filter1d(np.clip(out, -MAX_MOVE_DB, MAX_MOVE_DB), SMOOTH_BANDS, axis=1, mode="nearest")
    return np.asarray(uniform_filter1d(out, SMOOTH_FRAMES, axis=0, mode="nearest"), dtype=np.float32)


def pace(power: Floats, wanted: float, grid: Grid) -> Floats:
    """dB [frames]: slow gains that bring the spread of the 100 ms levels of power [frames] to the wanted one, in dB.
    Around their median all is pressed together, or drawn apart."""
    gain = np.zeros(len(power), np.float32)
    for _ in range(PACES):
        level = paced(np.asarray(power * 10 ** (gain / 10), dtype=np.float32), grid)
        ratio = float(np.clip(wanted / max(spread(level), 0.1), 1 / MAX_RATIO, MAX_RATIO))
        middle = float(np.median(level[level > level.max() - STEADY_DB]))
        more = (ratio - 1.0) * np.clip(level - middle, -MAX_PACE_DB, MAX_PACE_DB)
        gain = np.clip(gain + more, -MAX_PACE_DB, MAX_PACE_DB).astype(np.float32)
    return gain


def _gate(moving: Floats, level: Floats, fixed: Floats, gain: float, weight: Floats) -> Floats:
    """`moving` where it must not lift what is next to silent."""
    static = power2db(_heard(level + fixed + np.float32(gain), weight) / 2)
    open_ = np.clip((static - GATE_DB) / GATE_RAMP_DB, 0.0, 1.0)[:, None]
    least = np.minimum(moving, GATE_GAIN_DB - fixed - np.float32(gain))
    return np.asarray(least + (moving - least) * open_, dtype=np.float32)


def _heard(level: Floats, weight: Floats) -> Floats:
    """[frames] power of both channels as BS.1770 weighs it, of levels [frames, BANDS] in dB."""
    return np.asarray(2 * ((10 ** (level / 10)) * weight).sum(axis=1), dtype=np.float32)


def _band_weight(grid: Grid) -> Floats:
    """[BANDS] BS.1770's weight of a band: the mean over its bins."""
    ones = np.ones((1, grid.size // 2 + 1), np.float32)
    return np.asarray((grid.gather(ones * k_weight(grid.size, grid.rate)) / np.maximum(grid.gather(ones), 1e-9))[0])
