"""The last steps of the bus stage: the reference's loudness, held below full scale by a look-ahead limiter's curve.

The curve is designed on the peaks and the weighted power of every millisecond, so it and the loudness behind it are
found without making the sound again at each gain.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from engine.hands import in_turn
from engine.match.apply import apply_curves
from engine.match.curves import LEVEL_STEP, Curves
from engine.match.frames import Audio, Floats
from engine.match.loudness import Meter, Power, power2lufs
from engine.tape import Sounding

CEILING_DB = -1.1
LOOK_POINTS = 3
RELEASE_DB = 0.1
"""How fast the limiter lets go, in dB a millisecond."""
MAX_HOLD_DB = 5.0
ROUNDS = 6
MAX_PUSH_DB = 6.0
"""So much more gain than the loudness asked for may make up for what the limiter takes."""
WINDOW_SECONDS, AROUND_STEPS = 10.0, 2
HANDS = 2
"""Windows that are worked on at the same time."""

Peaks = Callable[[Audio], NDArray[np.float32]]
"""[2, samples] -> [samples]: the highest level at each sample and between it and the next."""


def limit_curves(
    bus: Sounding, curves: Curves, lufs: float | None, peaks: Peaks, peak_db: float | None = None
) -> Curves:
    """The curves with a level curve, so that the bus [2, samples] has this loudness behind the limiter (None: the one
    it has now) and no true peak above -1.1 dBFS. `peak_db`: the reference's peak, which the bus is held to, by
    `MAX_HOLD_DB` at most."""
    each = curves.step / curves.rate
    top, power = _measure(bus, curves, peaks)
    gain = 0.0
    wanted = power2lufs(power, each) if lufs is None else lufs
    for _ in range(ROUNDS):
        now = power2lufs(_limited(top, power, gain, peak_db), each)
        if not np.isfinite(now) or not np.isfinite(wanted):
            break
        gain = float(np.clip(gain + wanted - now, -MAX_PUSH_DB, MAX_PUSH_DB))
    curve = _limiter(top * 10 ** (gain / 20), _ceiling(top, gain, peak_db))
    return replace(
        curves,
        fixed=(curves.fixed + np.float32(gain)).astype(np.float32),
        level=np.floor(curve / LEVEL_STEP).astype(np.int16),
    )


def _limited(top: Floats, power: Power, gain: float, peak_db: float | None) -> Power:
    """The power of every millisecond behind this gain and its limiter."""
    curve = _limiter(top * 10 ** (gain / 20), _ceiling(top, gain, peak_db))
    return np.asarray(power * 10 ** ((gain + (curve[:-1] + curve[1:]) / 2) / 10))


def _measure(bus: Sounding, curves: Curves, peaks: Peaks) -> tuple[Floats, Power]:
    """(highest true peak, weighted power) of every millisecond of the bus as the curves make it, read in windows."""
    samples, around = bus.shape[1], AROUND_STEPS * curves.step
    window = round(WINDOW_SECONDS * curves.rate / curves.step) * curves.step
    top = np.zeros(-(-samples // curves.step), np.float32)
    power = np.zeros(len(top))
    meter = Meter(curves.rate, curves.step)

    def make(start: int) -> tuple[Audio, Audio]:
        first, last = max(0, start - around), min(start + window + around, samples)
        sound = apply_curves(bus, curves, first, last)
        inside = slice(start - first, start - first + min(window, samples - start))
        return sound[:, inside], peaks(sound)[inside]

    with ThreadPoolExecutor(HANDS, thread_name_prefix="level") as pool:
        starts = range(0, samples, window)
        for start, (sound, highest) in zip(starts, in_turn(pool, make, starts, HANDS), strict=True):
            at = start // curves.step
            tops = np.maximum.reduceat(highest, np.arange(0, len(highest), curves.step))
            top[at : at + len(tops)] = tops
            power[at : at + len(tops)] = meter.read(sound)
    return top, power


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
