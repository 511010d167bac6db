"""How reverberant a sound is, and by how much the stems' shares of the room must change to be as reverberant.

What is measured is how fast bands fall when they fall: a room fills what lies behind every note. The room's answer is
thought in power, as an exponential decay of what is sent to it, so no sound is made.

Conventions: power in frames and bands of `engine.match.frames`; sends in dB (None: dry).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.signal

from engine.match.frames import Floats, Grid, Levels, power2db

LOW_HZ, HIGH_HZ = 300.0, 6000.0
FALL_SECONDS = 0.06
LEAST_FALL_DB = 1.0
RANGE_DB = 40.0
ROOM_RT60 = 1.1
"""Seconds in which the sampler's room falls by 60 dB, about."""
CHANGES = (-9.0, -6.0, -3.0, 0.0, 3.0, 6.0, 9.0)
GAIN = 0.85
"""A change must bring the falls so much nearer, or the room stays as it is."""


def power2fall(power: Floats, grid: Grid) -> float:
    """dB a second: the mean fall of the bands in the middle where they fall, within 40 dB of their loudest; 0 where
    nothing does."""
    bands = (grid.centres >= LOW_HZ) & (grid.centres <= HIGH_HZ)
    level = power2db(power[:, bands])
    lag = max(1, round(FALL_SECONDS * grid.rate / grid.hop))
    falls = level[:-lag] - level[lag:]
    heard = (falls > LEAST_FALL_DB) & (level[lag:] > level.max(axis=0) - RANGE_DB)
    return float(falls[heard].mean()) * grid.rate / grid.hop / lag if heard.any() else 0.0


def change_room(playing: Sequence[Levels], sends: Sequence[float | None], wanted: float, grid: Grid) -> float:
    """dB by which every send should change, so that the mix of these dry sounds falls as the reference does (`wanted`
    dB a second); 0 where none comes clearly nearer, or nothing is sent."""
    if wanted <= 0.0 or all(send is None for send in sends):
        return 0.0
    dry = np.sum([levels.total for levels in playing], axis=0)
    sent = [10 ** (send / 10) * levels.mid for levels, send in zip(playing, sends, strict=True) if send is not None]
    wet = decayed(np.sum(sent, axis=0, dtype=np.float32), grid)
    away = {change: abs(np.log(power2fall(dry + 10 ** (change / 10) * wet, grid) / wanted)) for change in CHANGES}
    best = min(CHANGES, key=lambda change: (away[change], abs(change)))
    return best if away[best] < GAIN * away[0.0] else 0.0


def decayed(power: Floats, grid: Grid) -> Floats:
    """[frames, BANDS] what a room of unit energy makes of power sent to it."""
    keep = 10 ** (-6 * grid.hop / grid.rate / ROOM_RT60)
    return np.asarray(scipy.signal.lfilter([1 - keep], [1, -keep], power, axis=0), dtype=np.float32)
