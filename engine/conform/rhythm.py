"""Is a rendering in its guide's time: how late, by bar and by onset; at which tempo; and how far that can be repaired.

Lags are correlations of envelopes; the difference in attack between the two sounds is taken off them as the median over
all onsets whose starts are clear in both (`engine.conform.starts`).

Conventions: samples from the stretch's start; milliseconds, rendering - guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter

from engine.conform.envelope import LEAD, Audio, mono2envelope, sample2frame
from engine.conform.lags import Lag, OnsetLags, bar_lags, onset_lags
from engine.conform.starts import find_starts

Floats = NDArray[np.float64]

MAX_WARP_MS = 30.0
MEDIAN_MS, P99_MS = 2.0, 10.0
"""What may remain after the repair."""
CLEAR_FIT, SOFT_FIT, FOUND_FIT = 0.5, 0.65, 0.45
"""An onset is followed where it fits so well; one that swells must fit better. With less it is still found."""
FOLLOWS_FIT, DRUMS_FIT = 0.3, 0.45
"""A stretch whose bars fit less than this in the middle does not play its guide's rhythm."""
UNHEARD_FIT, UNHEARD_SHARE = 0.3, 0.12
"""A drum stretch is not its guide's where more than this share of the hits cannot be found; a soft sound, whose bars
fit badly, may still be where no more of its onsets are lost."""
STRAY_MS, STRAY_SHARE = 45, 0.09
"""Nor where so much more of its envelope than of the guide's lies further than this from every hit."""
SOFT_SHARE = 0.3
"""A guide with fewer clear starts than this swells: its rhythm is told by its pitches alone."""
NEIGHBOURS, ALONE = 5, 6.0
"""A lag is compared with the middle of so many; it stands out by so many times the usual distance."""
TEMPI = ((0.5, "half"), (2.0, "twice"), (2 / 3, "two thirds of"), (1.5, "one and a half times"))
TEMPO_BLUR, TEMPO_FIT, TEMPO_BETTER = 12, 0.5, 1.15
AGREE_MS = 3.0
OWN_MS = 4.0
"""A guide's notes begin within this of each other beside their places: one sampler plays them all."""
PLACED_MS = 1.5
"""An onset whose clear start lies so near its place stays there, whatever its attack does to a correlation."""
LEAST_STEP_MS = 0.75


@dataclass(frozen=True)
class Beat:
    """The guide's rhythm: its envelope, its onsets (samples), where they start in its sound (ms, NaN: unclear), and the
    share of the envelope that lies away from them."""

    envelope: Audio
    onsets: Floats
    starts: Floats
    stray: float

    @property
    def clear_fit(self) -> float:
        """Least fit of an onset that is followed."""
        return SOFT_FIT if self.soft else CLEAR_FIT

    @property
    def soft(self) -> bool:
        """Whether few onsets have a clear start."""
        return bool(len(self.onsets)) and float(np.isfinite(self.starts).mean()) < SOFT_SHARE


@dataclass(frozen=True)
class Timing:
    """How a rendering lies: `bars`; `onsets` with their final lags; `beyond`: how many of them are too far off to be
    moved; `followed` [K]: whether an onset is clear, by its surroundings or its start, and can be moved; `found` [K]:
    the same with less certainty where the guide swells; `stray`: share of the envelope away from them; `median_ms` and
    `p99_ms` of |lag| over the onsets that are clear; `steady_ms`: steps of lag below this are within the measure's own
    uncertainty."""

    bars: tuple[Lag, ...]
    onsets: OnsetLags
    beyond: int
    followed: NDArray[np.bool_]
    found: NDArray[np.bool_]
    stray: float
    median_ms: float
    p99_ms: float
    steady_ms: float


def guide2beat(mono: Audio, onsets: Floats, rate: int) -> Beat:
    """The guide's rhythm, measured once for all tries."""
    envelope = mono2envelope(mono, rate)
    return Beat(envelope, onsets, _own_starts(find_starts(mono, onsets, rate)), _stray(envelope, onsets, rate))


def _own_starts(starts: Floats) -> Floats:
    """A guide's starts [K] (ms, NaN: unclear) without those that lie far from where its starts do: they are other
    events beside an onset that is hidden, a damper or a second string."""
    clear = np.isfinite(starts)
    if not clear.any():
        return starts
    return np.where(np.abs(starts - np.median(starts[clear])) <= OWN_MS, starts, np.nan)


def measure_timing(mono: Audio, beat: Beat, bars: Sequence[tuple[int, int]], rate: int) -> tuple[Timing, Audio]:
    """(timing, envelope) of a rendering [samples]."""
    envelope = mono2envelope(mono, rate)
    followed = onset_lags(beat.envelope, envelope, beat.onsets, rate)
    starts = find_starts(mono, beat.onsets + followed.ms * rate / 1000, rate) + followed.ms - beat.starts
    apart = starts - followed.ms
    sure = np.isfinite(apart) & (followed.fit >= UNHEARD_FIT)
    bias = float(np.median(apart[sure])) if sure.any() else 0.0
    ms = followed.ms + bias
    agree = sure & (np.abs(apart - bias) < AGREE_MS)
    ms = np.where(agree, (ms + starts) / 2, ms)
    clear = followed.fit >= beat.clear_fit
    masked = np.isfinite(starts) & ~clear & ((np.abs(apart - bias) < AGREE_MS) | ~_stands_out(starts))
    ms = np.where(masked | (sure & (np.abs(starts) <= PLACED_MS)), starts, ms)
    noise = 1.48 * float(np.median(np.abs(apart[sure] - bias))) if sure.any() else 0.0
    near = np.abs(ms) <= MAX_WARP_MS
    beyond = int((clear & ~near).sum())
    lags = OnsetLags(followed.at, trusted(ms, (clear | masked) & near), followed.fit)
    median, p99 = spread(ms[clear])
    steady = float(np.clip(noise, LEAST_STEP_MS, MEDIAN_MS))
    by_bar = tuple(bar_lags(beat.envelope, envelope, bars, rate))
    stray, found = _stray(envelope, beat.onsets, rate), (followed.fit >= FOUND_FIT) & near
    return Timing(by_bar, lags, beyond, (clear | (masked & sure)) & near, found, stray, median, p99, steady), envelope


def _stands_out(ms: Floats) -> NDArray[np.bool_]:
    """Which of the lags lie far from their neighbours', by the measure of how far the others do; NaN ones do not."""
    told = np.flatnonzero(np.isfinite(ms))
    out = np.zeros(len(ms), bool)
    if len(told):
        apart = np.abs(ms[told] - median_filter(ms[told], NEIGHBOURS, mode="nearest"))
        out[told] = apart > PLACED_MS + ALONE * float(np.median(apart))
    return out


def _stray(envelope: Audio, onsets: Floats, rate: int) -> float:
    """Share of an envelope's power that lies away from all onsets."""
    power = (envelope.astype(np.float64) ** 2).sum(axis=0)
    away = np.ones(len(power), bool)
    for frame in (sample2frame(onset, rate) for onset in onsets):
        away[max(frame - STRAY_MS, 0) : frame + STRAY_MS + 1] = False
    return float(power[away].sum() / max(power.sum(), 1e-12))


def spread(ms: Floats) -> tuple[float, float]:
    """(median, 99th percentile) of |ms|; zeros where there are none."""
    return (float(np.median(np.abs(ms))), float(np.percentile(np.abs(ms), 99))) if len(ms) else (0.0, 0.0)


def trusted(ms: Floats, heard: NDArray[np.bool_]) -> Floats:
    """The lags with those of onsets that can hardly be heard taken from their neighbours; all 0 where none can."""
    clear = np.flatnonzero(heard)
    if not len(clear):
        return np.zeros_like(ms)
    return np.asarray(np.interp(np.arange(len(ms)), clear, ms[clear]))


def tempo_fault(beat: Beat, envelope: Audio) -> str:
    """What is wrong with the tempo, or "": a guide played at another tempo fits much better than the guide."""
    own, heard = (gaussian_filter1d(e, TEMPO_BLUR, axis=1) for e in (beat.envelope, envelope))
    frames = own.shape[1]
    written = _alike(own, heard)
    for tempo, name in TEMPI:
        count = min(frames, LEAD + int((frames - LEAD) / tempo))
        at = LEAD + (np.arange(count) - LEAD) * tempo
        played = np.stack([np.interp(at, np.arange(frames), band) for band in own])
        fit = _alike(played, heard[:, :count])
        if fit > TEMPO_FIT and fit > TEMPO_BETTER * max(written, _alike(own[:, :count], heard[:, :count])):
            return f"it plays at {name} the tempo"
    return ""


def _alike(a: Audio, b: Audio) -> float:
    """Cosine of two envelopes, each band less its mean."""
    x, y = (e - e.mean(axis=1, keepdims=True) for e in (a, b))
    return float((x * y).sum() / np.sqrt(float((x**2).sum()) * float((y**2).sum()) + 1e-12))


def timing_faults(timing: Timing, beat: Beat, *, drums: bool) -> list[str]:
    """What in the timing cannot be repaired, for the musician; empty when a warp will do."""
    faults = []
    judged = [(k, bar) for k, bar in enumerate(timing.bars) if bar.ms is not None]
    far = [(k, bar.ms) for k, bar in judged if bar.ms is not None and abs(bar.ms) > MAX_WARP_MS + 2 and bar.far]
    if far:
        k, ms = max(far, key=lambda row: abs(row[1]))
        way = "late" if ms > 0 else "early"
        faults.append(f"bar {k + 1} of the stretch begins {abs(ms):.0f} ms {way}")
    clear = timing.onsets.fit >= beat.clear_fit
    if timing.beyond > max(1, 0.02 * clear.sum()):
        faults.append(f"{timing.beyond} notes are more than {MAX_WARP_MS:.0f} ms from their place")
    unlike = bool(judged) and float(np.median([bar.fit for _, bar in judged])) < (DRUMS_FIT if drums else FOLLOWS_FIT)
    lost = bool(len(clear)) and float((timing.onsets.fit < UNHEARD_FIT).mean()) > UNHEARD_SHARE
    if unlike and (drums or (lost and not beat.soft)):
        faults.append("it does not play the rhythm of its notes")
    elif drums and lost:
        faults.append("too many hits are missing")
    elif drums and timing.stray > beat.stray + STRAY_SHARE:
        faults.append("it plays where no hit is")
    return faults
