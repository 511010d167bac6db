"""How late a rendering is against its guide: bar by bar, then onset by onset.

A bar's lag is the peak of the cross-correlation of both onset envelopes, over a reach wide enough to tell a late start.
Onsets are then followed within the reach that can be repaired: each has its own short cross-correlation, and the path
of lags through all of them (Viterbi) trades their peaks against jumps, so that an onset that can hardly be heard
follows its neighbours.

Conventions: envelopes [bands, frames] of `engine.conform.envelope`; times in samples from the stretch's start; lags in
milliseconds, rendering - guide (late is positive).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.conform.envelope import Audio, hop, sample2frame

Floats = NDArray[np.float64]

BAR_REACH_MS = 260
"""A bar is looked for this far around its place."""
ONSET_REACH_MS = 45
"""An onset is followed this far: somewhat beyond what may be repaired, so that what is beyond can be told."""
BEFORE_MS, AFTER_MS = 14, 36
"""The piece of envelope around an onset that is compared."""
NEAR_MS = 34
"""So near to its place a bar can be repaired."""
NEAR = 0.92
"""Of several lags whose correlation is so near the best one, the smallest counts: rhythms repeat."""
JUMP_MS = 6.0
"""How far one onset may easily leave the one before it."""
CLUSTER_MS = 25.0
FAR_FIT, FAR_BETTER = 0.35, 1.3
"""A bar is told to lie far off where it fits this well there, and so much better than near its place."""
QUIET = 0.02
"""A bar or an onset with less than this share of the usual envelope cannot be compared."""


@dataclass(frozen=True)
class Lag:
    """`ms` late, with the normalised correlation `fit` (0-1) there, and `near`, the best one that a repair can reach.
    `ms` None: nothing to compare."""

    ms: float | None
    fit: float
    near: float

    @property
    def far(self) -> bool:
        """Whether the bar clearly lies beyond the reach of a repair."""
        return self.fit >= FAR_FIT and self.fit > FAR_BETTER * self.near


@dataclass(frozen=True)
class OnsetLags:
    """`at` [K] samples, ascending; `ms` [K]; `fit` [K] 0-1, how well each onset's own surroundings agree there."""

    at: Floats
    ms: Floats
    fit: Floats


def cluster_onsets(times: Sequence[float] | Floats, rate: int) -> Floats:
    """[K] first moments of those that lie closer together than 25 ms; ascending."""
    ordered = np.sort(np.asarray(times, dtype=float))
    kept: list[float] = []
    for time in ordered:
        if not kept or time - kept[-1] > CLUSTER_MS / 1000 * rate:
            kept.append(float(time))
    return np.array(kept)


def bar_lags(guide: Audio, heard: Audio, bars: Sequence[tuple[int, int]], rate: int) -> list[Lag]:
    """The lag of each bar [start, end) in samples."""
    step = hop(rate)
    usual = float((guide**2).sum()) / max(guide.shape[1], 1)
    out = []
    for start, end in bars:
        first, last = sample2frame(start, rate), min(sample2frame(end, rate), guide.shape[1])
        piece = guide[:, first:last]
        if last <= first or float((piece**2).sum()) < QUIET * usual * (last - first):
            out.append(Lag(None, 0.0, 0.0))
            continue
        fits = correlate(piece, heard, first, BAR_REACH_MS)
        out.append(_smallest(fits, BAR_REACH_MS, step / rate * 1000.0))
    return out


def correlate(piece: Audio, heard: Audio, first: int, reach: int) -> Floats:
    """[2 * reach + 1] normalised correlation of `piece` [bands, n] with `heard` from frame `first` on, moved by -reach
    to reach frames; zeros count as heard outside."""
    n = piece.shape[1]
    there = _cut(heard, first - reach, n + 2 * reach)
    size = 1 << (n + 2 * reach - 1).bit_length()
    product = np.fft.rfft(there, size, axis=1) * np.conj(np.fft.rfft(piece, size, axis=1))
    dots = np.fft.irfft(product.sum(axis=0), size)[: 2 * reach + 1]
    energy = np.concatenate([[0.0], np.cumsum((there.astype(np.float64) ** 2).sum(axis=0))])
    window = energy[n:] - energy[: 2 * reach + 1]
    own = float((piece.astype(np.float64) ** 2).sum())
    return np.asarray(dots / np.sqrt(own * np.maximum(window, 1e-3 * own) + 1e-12))


def _smallest(fits: Floats, reach: int, frame_ms: float) -> Lag:
    """The smallest of the lags at which the correlation peaks about as high as anywhere."""
    inner = np.flatnonzero((fits[1:-1] >= fits[:-2]) & (fits[1:-1] >= fits[2:])) + 1
    peaks = inner[fits[inner] >= NEAR * fits.max()] if len(inner) else inner
    near = float(fits[reach - NEAR_MS : reach + NEAR_MS + 1].max())
    if not len(peaks):
        best = int(fits.argmax())
        return Lag((best - reach) * frame_ms, float(fits[best]), near)
    best = int(peaks[np.abs(peaks - reach).argmin()])
    return Lag((best + _peak(fits[best - 1 : best + 2]) - reach) * frame_ms, float(fits[best]), near)


def _peak(three: Floats) -> float:
    """Where between -0.5 and 0.5 the parabola through three values peaks."""
    bend = three[0] - 2 * three[1] + three[2]
    return 0.0 if bend >= -1e-12 else float(np.clip(0.5 * (three[0] - three[2]) / bend, -0.5, 0.5))


def onset_lags(guide: Audio, heard: Audio, onsets: Floats, rate: int) -> OnsetLags:
    """The lag of each onset (samples, as `cluster_onsets` gives them)."""
    if not len(onsets):
        return OnsetLags(onsets, np.zeros(0), np.zeros(0))
    step, reach = hop(rate), ONSET_REACH_MS
    length = BEFORE_MS + AFTER_MS
    dots, fits = np.zeros((len(onsets), 2 * reach + 1)), np.zeros((len(onsets), 2 * reach + 1))
    for k, onset in enumerate(onsets):
        first = sample2frame(onset, rate) - BEFORE_MS
        piece = _cut(guide, first, length)
        there = np.lib.stride_tricks.sliding_window_view(_cut(heard, first - reach, length + 2 * reach), length, axis=1)
        dots[k] = np.einsum("bn,bln->l", piece, there)
        own, others = float((piece**2).sum()), np.einsum("bln,bln->l", there, there)
        fits[k] = dots[k] / np.sqrt(own * np.maximum(others, 0.05 * own) + 1e-9)
    strong = dots.max(axis=1)
    weight = np.minimum(strong / (np.median(strong) + 1e-9), 1.0)
    path = _follow(fits * weight[:, None])
    at = np.clip(path, 1, 2 * reach - 1)
    fine = np.array([_peak(fits[k, p - 1 : p + 2]) for k, p in enumerate(at)])
    rows = np.arange(len(onsets))
    return OnsetLags(onsets, (at + fine - reach) * step / rate * 1000.0, fits[rows, at] * (weight > QUIET))


def _follow(scores: Floats) -> NDArray[np.int64]:
    """[K] the lag index of each onset on the best path: the sum of scores less the squared jumps."""
    count, lags = scores.shape
    move = (np.arange(lags)[:, None] - np.arange(lags)[None, :]) / JUMP_MS
    cost = 0.02 * np.minimum(move**2, 8.0)
    total, came = scores[0], np.zeros((count, lags), np.int64)
    for k in range(1, count):
        options = total[None, :] - cost
        came[k] = options.argmax(axis=1)
        total = options[np.arange(lags), came[k]] + scores[k]
    path = np.zeros(count, np.int64)
    path[-1] = int(total.argmax())
    for k in range(count - 1, 0, -1):
        path[k - 1] = came[k, path[k]]
    return path


def _cut(envelope: Audio, first: int, count: int) -> Audio:
    """[bands, count] frames from `first` on, zeros outside."""
    out = np.zeros((envelope.shape[0], count), envelope.dtype)
    lo, hi = max(first, 0), min(first + count, envelope.shape[1])
    if hi > lo:
        out[:, lo - first : hi - first] = envelope[:, lo:hi]
    return out
