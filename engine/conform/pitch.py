"""Does a rendering sound at its guide's pitches: how many cents away as a whole, and the same pitch classes bar by bar?

Peaks of long spectra are folded onto the octave's circle in steps of 10 cents. A bar may agree with its guide well
enough and still be another bar's music, where the chords share notes: so it must not be nearer to another one either.

Conventions: mono float32; cents are rendering - guide, within half a semitone; agreement is a correlation, -1 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from scipy.ndimage import gaussian_filter1d

from engine.conform.envelope import Audio

Floats = NDArray[np.float64]

STEPS = 120
FRAME_SECONDS, HOP_SECONDS = 0.17, 0.06
LOW_HZ, HIGH_HZ = 80.0, 2600.0
SHARP, BROAD = 0.8, 3.0
"""Widths (steps) of the blur under which tuning and pitch classes are compared."""
SEARCH = 15
"""Steps around the guide's pitch within which the tuning is looked for."""
SILENT = 1e-4
TONAL = 0.35
"""Below this share of a spectrum's power in its peaks there is no pitch to speak of."""
TOWARDS = 0.75
"""A bar that goes so much of the way from its own place (-1) to another bar's (1) has that bar's notes. Ninety
instruments that played what they should went 0.62 at most, and half of those that played another bar 0.95 or more."""
LEAST_APART = 0.2
"""Bars of a guide that agree better than this short of 1 are the same music."""


def mono2circles(mono: Audio, bars: Sequence[tuple[int, int]], rate: int) -> Floats:
    """[bars, STEPS] spectral peaks of each bar [start, end) samples; zeros where nothing tonal sounds."""
    size, step = round(FRAME_SECONDS * rate), round(HOP_SECONDS * rate)
    out = np.zeros((len(bars), STEPS))
    for k, (start, end) in enumerate(bars):
        starts = np.arange(start, min(end, len(mono)) - size, step)
        if len(starts):
            out[k] = _circle(np.stack([mono[s : s + size] for s in starts]), rate)
    return out


def tuning_cents(guide: Floats, heard: Floats) -> float | None:
    """How far apart the two are tuned; None where either has no pitch."""
    a, b = (gaussian_filter1d(c.sum(axis=0), SHARP, mode="wrap") for c in (guide, heard))
    if not a.any() or not b.any():
        return None
    turns = irfft(rfft(b - b.mean()) * np.conj(rfft(a - a.mean())), STEPS)
    near = np.roll(turns, SEARCH)[: 2 * SEARCH + 1]
    best = int(near.argmax())
    if not 0 < best < 2 * SEARCH:
        return (best - SEARCH) * 1200.0 / STEPS
    left, top, right = near[best - 1 : best + 2]
    bend = left - 2 * top + right
    return float((best - SEARCH + (0.5 * (left - right) / bend if bend < 0 else 0.0)) * 1200.0 / STEPS)


def agreements(guide: Floats, heard: Floats) -> Floats:
    """[bars, bars] correlation of each of the guide's bars with each of the rendering's; NaN where one has no pitch."""
    a, b = (_normal(gaussian_filter1d(c, BROAD, axis=1, mode="wrap")) for c in (guide, heard))
    out = a @ b.T
    out[~guide.any(axis=1)] = np.nan
    out[:, ~heard.any(axis=1)] = np.nan
    return np.asarray(out)


def displaced_bar(guide: Floats, heard: Floats, beside: Floats | None = None) -> tuple[int, int] | None:
    """(bar, other): the bar of the rendering that most clearly has the notes of another bar of the guide, and of those
    that it has come towards the one that it is most like; or None.

    `beside` [n, STEPS]: bars of the guide that are not judged, counted on after the others.
    """
    others = guide if beside is None else np.concatenate([guide, beside])
    apart = 1.0 - agreements(others, guide)
    fits = agreements(others, heard)
    with np.errstate(invalid="ignore"):
        towards = (fits - np.diag(fits)[None]) / np.where(apart >= LEAST_APART, apart, np.nan)
    towards = np.nan_to_num(towards, nan=-np.inf)
    bar = int(towards.max(axis=0).argmax())
    come = towards[:, bar] > TOWARDS
    return (bar, int(np.where(come, fits[:, bar], -np.inf).argmax())) if come.any() else None


def _normal(circle: Floats) -> Floats:
    centred = circle - circle.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(np.where(norm > 1e-9, centred / np.maximum(norm, 1e-9), 0.0))


def _circle(frames: Audio, rate: int) -> Floats:
    """[STEPS] the peaks of frames [F, size], each weighted by the root of its level."""
    size = 1 << (2 * frames.shape[1] - 1).bit_length()
    level = np.abs(rfft(frames * np.hanning(frames.shape[1]).astype(np.float32), size, axis=1)).astype(float)
    frequency = np.arange(level.shape[1]) * rate / size
    used = np.flatnonzero((frequency >= LOW_HZ) & (frequency <= HIGH_HZ))
    level = level[:, used[0] - 1 : used[-1] + 2]
    middle = level[:, 1:-1]
    top = level.max(axis=1, keepdims=True)
    peak = (middle >= level[:, :-2]) & (middle > level[:, 2:]) & (middle > 0.02 * top) & (top > SILENT * size / 8)
    power = middle**2
    wide = peak.copy()
    for by in (1, 2, 3):
        wide[:, by:] |= peak[:, :-by]
        wide[:, :-by] |= peak[:, by:]
    tonal = (power * wide).sum(axis=1) / np.maximum(power.sum(axis=1), 1e-20) >= TONAL
    a, b, c = (np.log(level[:, i : level.shape[1] - 2 + i] + 1e-12) for i in range(3))
    shift = np.clip(0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-9), -0.5, 0.5)
    exact = frequency[used] + shift * rate / size
    step = np.round(STEPS * np.log2(exact / 440.0) + STEPS * 9 / 12).astype(int) % STEPS
    out = np.zeros(STEPS)
    kept = peak & tonal[:, None]
    np.add.at(out, step[kept], np.sqrt((middle / np.maximum(top, 1e-12))[kept]))
    return out
