"""One stretch of a rendering, held to its guide: judged, moved onto the grid, levelled; or refused with the reasons.

Conventions: float32 [channels, samples] at the project's rate, 0 being the stretch's first sample; milliseconds are
rendering - guide; cents likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.conform.envelope import Audio, audio2mono
from engine.conform.lags import cluster_onsets
from engine.conform.level import close_gaps, count_clicks, count_flat, gain_to, is_silent, loudness
from engine.conform.pitch import agreements, mono2circles, tuning_cents
from engine.conform.rhythm import MEDIAN_MS, P99_MS, Beat, guide2beat, measure_timing, tempo_fault, timing_faults
from engine.conform.warp import slide_onsets

Floats = NDArray[np.float64]

LENGTH_MS = 60.0
"""A rendering so much shorter than asked is filled up with silence; a longer one is cut."""
MAX_CENTS = 15.0
PITCH_FIT = 0.4
"""Least correlation of a bar's pitch classes with its guide's."""
MAX_FLAT, CLICKS_PER_SECOND = 2, 0.2


@dataclass(frozen=True)
class Target:
    """What a rendering is held to: the guide, its bars [start, end) in samples, and what was measured on it once.

    `circles` None: drums, which have no pitch to speak of.
    """

    guide: Audio
    rate: int
    bars: tuple[tuple[int, int], ...]
    beat: Beat
    circles: Floats | None
    loudness: float


@dataclass(frozen=True)
class Fitted:
    """A rendering after the repair, or None with what was wrong. Milliseconds are over its clear onsets."""

    audio: Audio | None
    faults: tuple[str, ...] = ()
    before_ms: tuple[float, float] | None = None
    after_ms: tuple[float, float] | None = None
    warp_ms: float = 0.0
    gain_db: float = 0.0
    cents: float | None = None


def guide2target(
    guide: Audio, bars: Sequence[tuple[int, int]], notes: Sequence[float] | Floats, rate: int, *, drums: bool
) -> Target:
    """Measures a guide. `notes`: starts of its notes in samples; those outside the stretch are left out."""
    inside = np.asarray([t for t in notes if -0.5 <= t < guide.shape[1] - 0.02 * rate], dtype=float)
    mono = audio2mono(guide)
    circles = None if drums else mono2circles(mono, bars, rate)
    beat = guide2beat(mono, cluster_onsets(inside, rate), rate)
    return Target(guide, rate, tuple(bars), beat, circles, loudness(guide, rate))


def conform(audio: Audio, target: Target) -> Fitted:
    """The rendering on its guide's grid and at its loudness, as long as it, in two channels."""
    broken = shape_faults(audio, target.guide.shape[1], target.rate)
    if broken:
        return Fitted(None, broken)
    audio = to_length(audio, target.guide.shape[1])
    faults = wave_faults(audio, target.beat.onsets, target.rate)
    if faults:
        return Fitted(None, faults)
    mono = audio2mono(audio)
    timing, envelope = measure_timing(mono, target.beat, target.bars, target.rate)
    drums = target.circles is None
    wrong = [] if target.beat.soft else [*filter(None, [tempo_fault(target.beat, envelope)])]
    wrong += timing_faults(timing, target.beat, drums=drums)
    cents, pitch = _pitch(mono, target)
    before = (timing.median_ms, timing.p99_ms)
    if wrong or pitch:
        return Fitted(None, (*wrong, *pitch), before, None, cents=cents)
    moved, warp = _to_grid(audio, timing.onsets.at, timing.onsets.ms, timing.steady_ms, target.rate)
    after = before
    if warp > 0.0:
        again, _ = measure_timing(audio2mono(moved), target.beat, target.bars, target.rate)
        after = (again.median_ms, again.p99_ms)
    if after[0] > MEDIAN_MS or after[1] > P99_MS:
        return Fitted(None, (f"notes stay {after[0]:.1f} ms off (99 %: {after[1]:.1f} ms)",), before, after, warp)
    moved = close_gaps(moved, target.guide, target.rate)
    gain = gain_to(moved, target.loudness, target.rate)
    return Fitted(moved * np.float32(10 ** (gain / 20)), (), before, after, warp, gain, cents)


def conform_voice(audio: Audio, samples: int, lufs: float, rate: int) -> Fitted:
    """A voice, for which there is neither guide nor score: exactly `samples` long, whole in its wave, at `lufs`."""
    broken = shape_faults(audio, samples, rate)
    if broken:
        return Fitted(None, broken)
    audio = to_length(audio, samples)
    flat = count_flat(audio)
    if flat > MAX_FLAT:
        return Fitted(None, (f"its wave is cut flat in {flat} places",))
    gain = gain_to(audio, lufs, rate)
    return Fitted(audio * np.float32(10 ** (gain / 20)), gain_db=gain)


def shape_faults(audio: Audio, samples: int, rate: int) -> tuple[str, ...]:
    """What makes every other measure pointless."""
    if audio.ndim != 2 or audio.shape[0] not in (1, 2):
        return (f"it has the shape {audio.shape}",)
    if not np.isfinite(audio).all():
        return ("some of its samples are no numbers",)
    if samples - audio.shape[1] > LENGTH_MS / 1000 * rate:
        return (f"it ends {(samples - audio.shape[1]) / rate:.2f} s early",)
    return ("it is silent",) if is_silent(audio) else ()


def to_length(audio: Audio, samples: int) -> Audio:
    """[2, samples]: one channel becomes two, what is missing is silence, what is over is cut."""
    both = np.repeat(audio, 2, axis=0) if len(audio) == 1 else audio
    return np.ascontiguousarray(np.pad(both[:, :samples], ((0, 0), (0, max(samples - both.shape[1], 0)))))


def wave_faults(audio: Audio, onsets: Floats, rate: int) -> tuple[str, ...]:
    """Clipping and clicks."""
    flat = count_flat(audio)
    if flat > MAX_FLAT:
        return (f"its wave is cut flat in {flat} places",)
    clicks = count_clicks(audio, onsets, rate)
    if clicks > max(1.0, CLICKS_PER_SECOND * audio.shape[1] / rate):
        return (f"there are {clicks} clicks in it",)
    return ()


def _pitch(mono: Audio, target: Target) -> tuple[float | None, list[str]]:
    """(cents, faults) of what sounds against what the guide sounds."""
    if target.circles is None or not target.circles.any():
        return None, []
    heard = mono2circles(mono, target.bars, target.rate)
    cents = tuning_cents(target.circles, heard)
    fits = np.diag(agreements(target.circles, heard))
    sounding = target.circles.any(axis=1)
    fits = np.where(np.isnan(fits), -1.0, fits)[sounding]
    if cents is None:
        return None, ["it has no pitch"]
    if abs(cents) > MAX_CENTS:
        return cents, [f"it sounds {cents:+.0f} cents off"]
    if (fits < PITCH_FIT).any():
        wrong = int(np.flatnonzero(sounding)[int(fits.argmin())])
        return cents, [f"bar {wrong + 1} of the stretch has other notes"]
    return cents, []


def _to_grid(audio: Audio, at: Floats, ms: Floats, steady_ms: float, rate: int) -> tuple[Audio, float]:
    """(audio, greatest move in ms). What lies within the measure's uncertainty is left as it is."""
    if not len(at) or float(np.abs(ms).max()) <= steady_ms:
        return audio, 0.0
    return slide_onsets(audio, at, ms * rate / 1000, rate, steady_ms), float(np.abs(ms).max())
