"""What the bus stage knows of a sound: how levels are spread in every band, width, loudness, how steady it is.

Conventions: dB of mean-square full scale; LUFS after ITU-R BS.1770-4; frames of `engine.match.frames`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from engine.match.frames import Audio, Floats, Grid, Levels, audio2levels, power2db
from engine.match.loudness import audio2power, power2lufs

QUANTILES = 25
LOUD_DB = 45.0
"""Frames quieter than a band's loudest by more than this say nothing of its sound."""
LEAST_SECONDS = 0.5
LEAST_LUFS = -60.0
METER_SECONDS, STEP_SECONDS = 0.001, 0.1
STEADY_DB = 30.0


@dataclass(frozen=True)
class Profile:
    """`quantiles` float32 [BANDS, QUANTILES] dB of the loud frames of every band; `spectrum` [BANDS] dB, their mean
    power; `width` [BANDS] side to middle, a power ratio, None for a file of one channel, which says nothing of it;
    `lufs`; `spread_db`: standard deviation of the level of 100 ms within 30 dB of the loudest; `peak_db`: highest
    sample in dBFS, None where only levels were measured."""

    quantiles: Floats
    spectrum: Floats
    width: Floats | None
    lufs: float
    spread_db: float
    peak_db: float | None = None


def audio2profile(audio: Audio, rate: int) -> Profile | None:
    """The profile of a clip [1 or 2, samples] at `rate`; None where it is too short or too soft to have one."""
    if audio.shape[1] < LEAST_SECONDS * rate or not np.isfinite(audio).all():
        return None
    grid = Grid(rate)
    both = audio if len(audio) == 2 else np.repeat(audio, 2, axis=0)
    step = max(1, round(METER_SECONDS * rate))
    power = audio2power(both, rate, step)
    if power2lufs(power, step / rate) < LEAST_LUFS:
        return None
    return replace(
        levels2profile(audio2levels(both, grid), grid, mono=len(audio) == 1),
        lufs=power2lufs(power, step / rate),
        peak_db=float(20 * np.log10(np.abs(audio).max())),
    )


def levels2profile(levels: Levels, grid: Grid, *, mono: bool = False) -> Profile:
    """The same of levels that were measured."""
    total, each = levels.total, grid.hop / grid.rate
    quantiles = power2quantiles(power2db(total))
    width = levels.side.sum(axis=0) / np.maximum(levels.mid.sum(axis=0), 1e-14)
    return Profile(
        quantiles,
        power2db(total.mean(axis=0)),
        None if mono else width,
        power2lufs(levels.heard.astype(np.float64), each),
        spread(paced(total.sum(axis=1), grid)),
    )


def power2quantiles(level: Floats) -> Floats:
    """[BANDS, QUANTILES] of levels [frames, BANDS] in dB: from the 1st to the 99th percentile of the loud frames."""
    share = np.linspace(0.01, 0.99, QUANTILES)
    out = np.zeros((level.shape[1], QUANTILES), np.float32)
    for band, values in enumerate(level.T):
        ordered = np.sort(values[values > values.max() - LOUD_DB])
        out[band] = np.interp(share * (len(ordered) - 1), np.arange(len(ordered)), ordered)
    return out


def paced(power: Floats, grid: Grid) -> Floats:
    """dB [frames]: the level of the 100 ms around each frame, of power [frames]."""
    frames = max(1, round(STEP_SECONDS * grid.rate / grid.hop))
    return power2db(np.maximum(uniform_filter1d(power, frames, mode="nearest"), 0.0))


def spread(level: Floats) -> float:
    """Standard deviation in dB of levels [frames] within 30 dB of the loudest."""
    return float(level[level > level.max() - STEADY_DB].std())
