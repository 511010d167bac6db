"""Whether a sound is in time whose attacks cannot be followed: by the moments at which its notes give way to others.

What can be told is an upper bound: a sound that is late begins late, but one that swells slowly seems to. So an answer
must begin where its notes do, within what sampled instruments that are on time show, or rise just as its guide does.
After silence the beginning is told to a few milliseconds; a delay found there may be taken out. A sound that has
attacks of its own, such as an organ in the place of a pad, is timed by these.

Conventions: milliseconds, late is positive; arrays are over K spots or K onsets, NaN where nothing can be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from engine.conform.changes import Changes, Spot

Floats = NDArray[np.float64]

MAX_LATE_MS = 30.0
"""Beyond this nothing is repaired."""
LATE_MS, EARLY_MS = 18.0, -30.0
"""In the middle the changes of an answer that is on time begin between these;"""
SLOW_MS = 34.0
"""or by this, where it was heard to speak in time after silence, and only swells slowly."""
ALIKE_MS = 14.0
"""An answer rises as its guide does where both moments of its rise lie so near the guide's."""
SPOKEN_MS = 10.0
"""After silence a sound that is on time is heard within this."""
JUMP_MS = 34.0
"""No change may come so much later or earlier than the others."""
DRIFT_MS = 26.0
"""Nor the line through all of them rise or fall by more."""
LEAST_HEARD = 0.75
"""So many of the changes that the guide shows must be heard in the answer."""
SHOWN = 0.75
"""A measure that needs the guide's counts where the guide shows so many of the changes that the answer does."""
FEW = 3
STEADY_MS, NEIGHBOURS = 12.0, 5
"""A clear start so near the middle of its neighbours is the beginning of its note."""
ATTACKS = 0.7
"""So many notes of a sound with attacks begin so."""
SHARP_MS, ATTACK_NEAR_MS = 10.0, 26.0
"""What is struck seems to begin so much earlier by its changes; further off, its clear starts are those of the silence
after notes that end."""


@dataclass(frozen=True)
class Swell:
    """`faults`: why it is not in time; `late_ms`: by how much it is late as a whole, which may be taken out."""

    faults: tuple[str, ...] = ()
    late_ms: float = 0.0


def attacks_of(starts: Floats, heard: Changes) -> Floats:
    """The clear starts [K] of an answer that are the beginnings of its notes; all NaN where it has no attacks."""
    told = np.isfinite(starts)
    begun = heard.begun[np.isfinite(heard.begun)]
    none = np.full(len(starts), np.nan)
    if not told.any() or not len(begun):
        return none
    steady = told.copy()
    steady[told] = np.abs(starts[told] - median_filter(starts[told], NEIGHBOURS, mode="nearest")) <= STEADY_MS
    middle = float(np.median(starts[steady])) if steady.any() else np.nan
    beside = abs(middle - float(np.median(begun)) - SHARP_MS) > ATTACK_NEAR_MS
    if beside or steady.sum() < ATTACKS * len(starts):
        return none
    return np.where(steady, starts, np.nan)


def judge_swell(spots: Sequence[Spot], guide: Changes, heard: Changes, late_ms: float | None = None) -> Swell:
    """The changes of an answer against those of its guide, both at the same spots. `late_ms`: its delay as a whole,
    where that is known."""
    known = np.isfinite(guide.begun)
    told = known & np.isfinite(heard.begun)
    spoken = heard.spoken[np.isfinite(guide.spoken) & np.isfinite(heard.spoken)]
    if not known.any() and not len(spoken):
        return Swell(("its timing cannot be told",))
    if told.sum() < LEAST_HEARD * known.sum():
        return Swell((f"only {int(told.sum())} of {int(known.sum())} changes of its notes can be heard",))
    late = late_ms if late_ms is not None else float(np.median(spoken)) if len(spoken) else 0.0
    if abs(late) > MAX_LATE_MS:
        return Swell((f"it begins {_late(late)}",))
    latest = SLOW_MS if len(spoken) else LATE_MS
    at = np.array([spot.at for spot in spots])
    off = _off(at, guide, heard, late, latest) if np.isfinite(heard.begun).any() else ""
    return Swell((off,)) if off else Swell(late_ms=late if abs(late) > SPOKEN_MS else 0.0)


def untold_bars(spots: Sequence[Spot], guide: Changes, heard: Changes, bars: Sequence[tuple[int, int]]) -> list[int]:
    """Those of the bars [start, end) (samples) in which the guide shows a change and the answer none."""
    at = np.array([spot.at for spot in spots])
    out = []
    for k, (start, end) in enumerate(bars):
        here = (at >= start - (end - start) / 16) & (at < end - (end - start) / 16)
        if np.isfinite(guide.begun[here]).any() and not np.isfinite(heard.begun[here]).any():
            out.append(k)
    return out


def _off(at: Floats, guide: Changes, heard: Changes, late: float, latest: float) -> str:
    """What is wrong with the changes, or "". A delay shows in every measure of them, the colour of a sound in some."""
    begun, low, high = heard.begun - late, heard.low - late - guide.low, heard.high - late - guide.high
    middle = float(np.nanmedian(begun))
    known = np.isfinite(low).any()
    alike = known and abs(np.nanmedian(low)) <= ALIKE_MS and abs(np.nanmedian(high)) <= ALIKE_MS
    if not alike and not EARLY_MS <= middle <= latest:
        return f"its notes change {_late(middle)}"
    told = np.isfinite(begun)
    views = [v[told] - np.nanmedian(v) for v in (begun, low, high) if np.isfinite(v).sum() >= SHOWN * told.sum()]
    apart = _least(np.stack([np.where(np.isfinite(v), v, views[0]) for v in views]))
    worst = int(np.abs(apart).argmax())
    if abs(apart[worst]) > JUMP_MS:
        return f"a change of its notes comes {_late(float(apart[worst]))}"
    drift = float(_least(np.array([[_drift(at[told], view)] for view in views]))[0])
    return f"it drifts by {abs(drift):.0f} ms" if abs(drift) > DRIFT_MS else ""


def _least(views: Floats) -> Floats:
    """[K] of views [V, K] the one nearest to 0; 0 where they do not agree which way it goes."""
    nearest = np.take_along_axis(views, np.abs(views).argmin(axis=0)[None], axis=0)[0]
    agree = (views > 0).all(axis=0) | (views < 0).all(axis=0)
    return np.where(agree, nearest, 0.0)


def _drift(at: Floats, late: Floats) -> float:
    """By how much the line through the moments rises from the first to the last: the median of all slopes."""
    at, late = at[np.isfinite(late)], late[np.isfinite(late)]
    if len(at) < FEW:
        return float(late[-1] - late[0])
    i, j = np.triu_indices(len(at), 1)
    return float(np.median((late[j] - late[i]) / (at[j] - at[i])) * (at[-1] - at[0]))


def _late(ms: float) -> str:
    return f"{abs(ms):.0f} ms {'late' if ms > 0 else 'early'}"
