"""One stretch of a rendering, held to its guide: judged, moved onto the grid, levelled; or refused with the reasons.

Conventions: float32 [channels, samples] at the project's rate, 0 being the stretch's first sample; milliseconds are
rendering - guide; cents likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.conform.changes import Changes, Spot, find_changes, onsets2spots
from engine.conform.envelope import Audio, audio2mono
from engine.conform.lags import cluster_onsets
from engine.conform.level import close_gaps, count_clicks, count_flat, gain_to, is_silent, loudness
from engine.conform.pitch import agreements, displaced_bar, mono2circles, tuning_cents
from engine.conform.rhythm import (
    LEAST_STEP_MS,
    MAX_WARP_MS,
    MEDIAN_MS,
    P99_MS,
    Beat,
    guide2beat,
    measure_timing,
    spread,
    tempo_fault,
    timing_faults,
    trusted,
)
from engine.conform.starts import find_starts
from engine.conform.swell import attacks_of, judge_swell, untold_bars
from engine.conform.warp import slide_onsets

Floats = NDArray[np.float64]

LENGTH_MS = 60.0
"""A rendering so much shorter than asked is filled up with silence; a longer one is cut."""
MAX_CENTS = 15.0
PITCH_FIT = 0.4
"""Least correlation of a bar's pitch classes with its guide's."""
MAX_FLAT, CLICKS_PER_SECOND = 2, 0.2
FOLLOWED = 0.5
"""A rendering's timing is told by its attacks where at least this share of them can be followed."""
FOLLOWED_IN_BAR = 0.3
"""And in a bar at least this share."""
MOVED_P99_MS = 7.0
"""By the measure that moved them notes lie no further off afterwards; where they do, it has misread some."""
STILL_MS = 2.5
"""Where no note lies further from the middle than this a rendering is moved as a whole, and not cut to pieces."""
FEW_FAR = 0.02
ATTACK_REACH_MS = 100.0
"""The attacks of a rendering that are not its guide's are looked for this far around its notes."""


@dataclass(frozen=True)
class Target:
    """What a rendering is held to: the guide, its bars [start, end) in samples, and what was measured on it once.

    `circles` None: drums, which have no pitch to speak of; `beside`: those of the guide's bars that are not judged,
    whose music the answer shall not have either. `changes`: where its notes give way to each other, at `spots`.
    """

    guide: Audio
    rate: int
    bars: tuple[tuple[int, int], ...]
    beat: Beat
    circles: Floats | None
    beside: Floats | None
    loudness: float
    spots: tuple[Spot, ...]
    changes: Changes


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
    guide: Audio,
    bars: Sequence[tuple[int, int]],
    notes: Sequence[float] | Floats,
    rate: int,
    *,
    drums: bool,
    beside: Sequence[tuple[int, int]] = (),
) -> Target:
    """Measures a guide. `notes`: starts of its notes in samples; those outside the stretch are left out. `bars` are
    judged, those `beside` them are not."""
    inside = np.asarray([t for t in notes if -0.5 <= t < guide.shape[1] - 0.02 * rate], dtype=float)
    mono = audio2mono(guide)
    circles = None if drums else mono2circles(mono, bars, rate)
    around = None if drums or not beside else mono2circles(mono, beside, rate)
    beat = guide2beat(mono, cluster_onsets(inside, rate), rate)
    spots = () if drums else onsets2spots(beat.onsets, bars, guide.shape[1], rate)
    changes = find_changes(mono, spots, rate)
    return Target(guide, rate, tuple(bars), beat, circles, around, loudness(guide, rate), spots, changes)


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
    before: tuple[float, float] | None = (timing.median_ms, timing.p99_ms)
    after: tuple[float, float] | None
    lost = _lost_bars(timing.found, target)
    if drums and lost:
        wrong.append(f"the hits of bar {lost[0] + 1} of the stretch are not where they belong")
    if wrong or pitch:
        return Fitted(None, (*wrong, *pitch), before, None, cents=cents)
    if drums or (not lost and timing.followed.mean() >= FOLLOWED):
        moved, warp = _to_grid(audio, timing.onsets.at, timing.onsets.ms, timing.steady_ms, target.rate)
        after = _spread(moved, target) if warp > 0.0 else (timing.median_ms, timing.p99_ms)
        wrong = _left(*after, MOVED_P99_MS if warp > 0.0 else P99_MS)
    else:
        moved, warp, wrong = _swell_to_grid(audio, mono, lost, target)
        before = after = None
    if wrong:
        return Fitted(None, tuple(wrong), before, after, warp, cents=cents)
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
    displaced = displaced_bar(target.circles, heard, target.beside)
    if displaced is not None:
        bar, other = displaced
        whose = f"bar {other + 1}" if other < len(target.bars) else "a bar beside it"
        return cents, [f"bar {bar + 1} of the stretch has the notes of {whose}"]
    return cents, []


def _spread(audio: Audio, target: Target) -> tuple[float, float]:
    timing, _ = measure_timing(audio2mono(audio), target.beat, target.bars, target.rate)
    return timing.median_ms, timing.p99_ms


def _lost_bars(found: NDArray[np.bool_], target: Target) -> list[int]:
    """Bars with onsets of which hardly any is found."""
    out = []
    for k, (start, end) in enumerate(target.bars):
        here = (target.beat.onsets >= start - target.rate / 20) & (target.beat.onsets < end - target.rate / 20)
        if here.any() and found[here].mean() < FOLLOWED_IN_BAR:
            out.append(k)
    return out


def _swell_to_grid(audio: Audio, mono: Audio, lost: Sequence[int], target: Target) -> tuple[Audio, float, list[str]]:
    """(audio, greatest move in ms, faults) of a rendering whose attacks are not its guide's: by its own attacks where
    it has such, else by its changes."""
    rate, onsets = target.rate, target.beat.onsets
    heard = find_changes(mono, target.spots, rate)
    unheard = untold_bars(target.spots, target.changes, heard, [target.bars[k] for k in lost])
    if unheard:
        return audio, 0.0, [f"it cannot be told where bar {lost[unheard[0]] + 1} of the stretch begins"]
    attacks = attacks_of(find_starts(mono, onsets, rate, ATTACK_REACH_MS), heard)
    told = np.isfinite(attacks)
    late = float(np.median(attacks[told])) if told.any() else None
    swell = judge_swell(target.spots, target.changes, heard, late)
    if swell.faults:
        return audio, 0.0, [*swell.faults]
    if late is None:
        by = np.full(len(onsets), swell.late_ms)
        return (*_to_grid(audio, onsets, by, 0.0, rate), [])
    far = told & (np.abs(attacks) > MAX_WARP_MS)
    if far.sum() > max(1, FEW_FAR * told.sum()):
        return audio, 0.0, [f"{int(far.sum())} notes are more than {MAX_WARP_MS:.0f} ms from their place"]
    moved, warp = _to_grid(audio, onsets, trusted(attacks, told & ~far), LEAST_STEP_MS, rate)
    again = find_starts(audio2mono(moved), onsets, rate)[told & ~far]
    return moved, warp, _left(*spread(again[np.isfinite(again)]))


def _left(median: float, p99: float, latest: float = P99_MS) -> list[str]:
    """What is still wrong after the repair."""
    off = median > MEDIAN_MS or p99 > latest
    return [f"notes stay {median:.1f} ms off (99 %: {p99:.1f} ms)"] if off else []


def _to_grid(audio: Audio, at: Floats, ms: Floats, steady_ms: float, rate: int) -> tuple[Audio, float]:
    """(audio, greatest move in ms). What lies within the measure's uncertainty is left as it is."""
    if not len(at):
        return audio, 0.0
    middle = float(np.median(ms))
    if float(np.abs(ms - middle).max()) <= STILL_MS:
        ms = np.full_like(ms, middle if abs(middle) > LEAST_STEP_MS else 0.0)
    if float(np.abs(ms).max()) <= steady_ms:
        return audio, 0.0
    return slide_onsets(audio, at, ms * rate / 1000, rate, steady_ms), float(np.abs(ms).max())
