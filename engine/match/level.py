"""The last steps of the bus stage: the reference's loudness, held below full scale by a look-ahead limiter's curve.

The curve is designed on the peaks of every millisecond, so it is found without making the sound again at each gain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from engine.match.apply import apply_curves
from engine.match.curves import LEVEL_STEP, Curves
from engine.match.frames import Audio, Floats, Grid, audio2levels
from engine.match.profile import heard2lufs

CEILING_DB = -1.1
LOOK_POINTS = 3
RELEASE_DB = 0.1
"""How fast the limiter lets go, in dB a millisecond."""
MAX_HOLD_DB = 5.0
ROUNDS = 4
MAX_PUSH_DB = 6.0
"""So much more gain than the loudness asked for may make up for what the limiter takes."""
WINDOW_SECONDS = 10.0

Peaks = Callable[[Audio], NDArray[np.float32]]
"""[2, samples] -> [samples]: the highest level at each sample and between it and the next."""


def limit_curves(bus: Audio, curves: Curves, lufs: float | None, peaks: Peaks, peak_db: float | None = None) -> Curves:
    """The curves with a level curve, so that the bus [2, samples] has this loudness (None: the one it has now) and no
    true peak above -1.1 dBFS. `peak_db`: the reference's peak, which the bus is held to, by `MAX_HOLD_DB` at most."""
    grid = Grid(curves.rate)
    top, heard = _measure(bus, curves, grid, peaks)
    gain = 0.0
    wanted = heard2lufs(heard, grid) if lufs is None else lufs
    for _ in range(ROUNDS):
        curve = _limiter(top * 10 ** (gain / 20), _ceiling(top, gain, peak_db))
        places = np.minimum(np.arange(len(heard)) * grid.hop // curves.step, len(curve) - 1)
        now = heard2lufs((heard * 10 ** ((gain + curve[places]) / 10)).astype(np.float32), grid)
        if not np.isfinite(now) or not np.isfinite(wanted):
            break
        gain = float(np.clip(gain + wanted - now, -MAX_PUSH_DB, MAX_PUSH_DB))
    curve = _limiter(top * 10 ** (gain / 20), _ceiling(top, gain, peak_db))
    return replace(
        curves,
        fixed=(curves.fixed + np.float32(gain)).astype(np.float32),
        level=np.floor(curve / LEVEL_STEP).astype(np.int16),
    )


def _measure(bus: Audio, curves: Curves, grid: Grid, peaks: Peaks) -> tuple[Floats, Floats]:
    """(highest true peak of every millisecond, weighted power of every frame) of the bus as the curves make it, read
    in windows."""
    samples = bus.shape[1]
    window = round(WINDOW_SECONDS * grid.rate / grid.size) * grid.size
    top = np.zeros(-(-samples // curves.step), np.float32)
    heard = np.zeros(grid.frames(samples), np.float32)
    for start in range(0, samples, window):
        first, last = max(0, start - grid.size), min(start + window + grid.size, samples)
        sound = apply_curves(bus, curves, first, last)
        highest = peaks(sound)[start - first :][:window]
        np.maximum.at(top, np.arange(start, start + len(highest)) // curves.step, highest)
        frames = audio2levels(sound, grid).heard[(start - first) // grid.hop :][: window // grid.hop]
        at = start // grid.hop
        heard[at : at + len(frames)] = frames[: len(heard) - at]
    return top, heard


def _ceiling(top: Floats, gain: float, peak_db: float | None) -> float:
    """dBFS that nothing may exceed."""
    if peak_db is None:
        return CEILING_DB
    own = 20 * float(np.log10(max(float(top.max(initial=0.0)), 1e-9))) + gain
    return min(CEILING_DB, max(peak_db, own - MAX_HOLD_DB))


def _limiter(top: Floats, ceiling: float) -> NDArray[np.float64]:
    """dB at every millisecond's start and at the end: nowhere, nor on the straight lines between, above what the peaks
    [milliseconds] allow."""
    allowed = np.minimum(0.0, ceiling - 20 * np.log10(np.maximum(top.astype(np.float64), 1e-9)))
    points = np.minimum(np.append(allowed, 0.0), np.insert(allowed, 0, 0.0))
    held = minimum_filter1d(points, 2 * LOOK_POINTS + 1, mode="nearest")
    ramp = RELEASE_DB * np.arange(len(held))
    carried = np.minimum.accumulate(held - ramp) + ramp
    # A mean of what was held for as long: still nowhere above what is allowed.
    return np.asarray(np.minimum(uniform_filter1d(np.minimum(carried, held), 2 * LOOK_POINTS + 1, mode="nearest"), 0.0))
