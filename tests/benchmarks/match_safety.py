"""What matching must leave as it was, and what it costs: onsets, pitch, silence, sums, clicks, seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Clock
from engine.checks.onsets import measure_onsets
from engine.match.clicks import find_clicks
from engine.score import Part
from tests.benchmarks.match_material import RATE

if TYPE_CHECKING:
    from tests.benchmarks.match import Studio, Tried

Audio = NDArray[np.float32]
PITCH_SECONDS, RING_SECONDS, PITCH_SIZE = (0.08, 0.33), 0.05, 1 << 17
SILENT_DB, BLOCK_SECONDS, QUIET_BLOCKS = -90.0, 0.05, 8
"""The guide counts as silent where it has been below this for so many blocks."""


def report(studio: Studio, tried: Sequence[Tried]) -> list[str]:
    """Lines of the last table."""
    shifts: list[float] = []
    waves: list[float] = []
    cents: list[float] = []
    silence: list[float] = []
    own: list[float] = []
    clicks = 0
    for one in tried:
        for part in studio.score.parts:
            raw, new = one.matched.raw[part.name], one.matched.stems[part.name]
            shifts += moved(raw, new, part, studio.clock)
            waves += lags(raw, new, part, studio.clock)
            silence += silent_levels(studio.guide[part.name], new)
            own += silent_levels(raw, new)
            if part.role != "drums":
                cents += [abs(away) for away in detuned(raw, new, part, studio.clock)]
            clicks += len(find_clicks(raw, new, RATE))
    late = np.abs(shifts)
    repaired = sum(one.matched.repaired for one in tried)
    costs = np.array([studio.costs(one.clip) for one in tried[:2]])
    minutes = studio.stems.frame.samples / RATE / 60
    within = (late < 1.0).mean()
    lines = [
        "what matching leaves as it was",
        f"  waves around notes moved: at most {np.abs(waves).max():.2f} ms (n = {len(waves)})",
        f"  onsets by the checks' measure: median {np.median(late):.2f} ms, {within:.0%} below 1 ms (n = {len(late)})",
        f"  pitch moved: median {np.median(cents):.2f}, at most {max(cents):.2f} cents (n = {len(cents)})"
        if cents
        else "  pitch moved: no note sounds alone for long enough",
        f"  clicks found: {clicks}; stems that failed a check and were repaired: {repaired}",
        f"  choosing: {costs[:, 0].mean():.1f} CPU seconds a song of {len(studio.score.parts)} stems, two threads",
        f"  matching: {costs[:, 1].mean() / minutes:.1f} CPU seconds a minute of {len(studio.score.parts)} stems",
    ]
    for who, levels in (("guide", silence), ("chosen instrument", own)):
        if levels:
            quiet = f"median {np.median(levels):.0f}, at most {max(levels):.0f} dBFS"
            lines.append(f"  where the {who} is silent: {quiet} (n = {len(levels)} blocks of 50 ms)")
    return lines


def lags(raw: Audio, new: Audio, part: Part, clock: Clock) -> list[float]:
    """ms by which the 60 ms around notes moved: where both correlate most."""
    found = []
    for note in part.notes[::3]:
        at = max(round(clock.beat2second(note.start) * RATE) - RATE // 100, 0)
        one, two = (sound[0, at : at + RATE * 6 // 100] for sound in (raw, new))
        if len(one) == RATE * 6 // 100 and np.abs(one).max() > 1e-3:
            size = 1 << 13
            both = np.fft.irfft(np.fft.rfft(two, size) * np.conj(np.fft.rfft(one, size)))
            best = int(np.abs(np.roll(both, size // 2)).argmax()) - size // 2
            found.append(1000.0 * best / RATE)
    return found


def moved(raw: Audio, new: Audio, part: Part, clock: Clock) -> list[float]:
    """ms by which onsets that are clear in both moved."""
    before, after = (measure_onsets(audio, part, clock, RATE, 0) for audio in (raw, new))
    known = dict(zip(before.times.tolist(), before.differences.tolist(), strict=True))
    pairs = zip(after.times.tolist(), after.differences.tolist(), strict=True)
    return [late - known[at] for at, late in pairs if at in known]


def detuned(raw: Audio, new: Audio, part: Part, clock: Clock) -> list[float]:
    """Cents by which notes that sound alone for a while moved: their strongest partial, read in 250 ms of both sounds.

    A chord has no one pitch, and the check's own measure goes in steps of 25 cents; neither would tell 2 cents.
    """
    spans = np.array([(clock.beat2second(n.start), clock.beat2second(n.end)) for n in part.notes])
    found = []
    for start, end in spans:
        together = (spans[:, 0] < start + PITCH_SECONDS[1]) & (spans[:, 1] > start - RING_SECONDS)
        first, last = (round((start + at) * RATE) for at in PITCH_SECONDS)
        if together.sum() > 1 or end - start < PITCH_SECONDS[1] or last > raw.shape[1]:
            continue
        one, two = (_partials(sound[0, first:last]) for sound in (raw, new))
        low = round(100.0 * PITCH_SIZE / RATE)
        peak = low + int(one[low : len(one) // 4].argmax())
        near = peak - 6 + int(two[peak - 6 : peak + 7].argmax())
        if one[peak] > one.max() - 3.0 and abs(near - peak) < 6:
            found.append(1200 * float(np.log2(_exact(two, near) / _exact(one, peak))))
    return found


def _partials(sound: Audio) -> NDArray[np.float64]:
    """Nepers [bins] of a windowed piece."""
    return np.log(np.abs(np.fft.rfft(sound * np.hanning(len(sound)), PITCH_SIZE)) + 1e-9)


def _exact(levels: NDArray[np.float64], peak: int) -> float:
    """The bin of a peak and how far beside it the parabola through three bins has its top."""
    a, b, c = levels[peak - 1 : peak + 2]
    return float(peak + 0.5 * (a - c) / min(a - 2 * b + c, -1e-9))


def silent_levels(guide: Audio, new: Audio) -> list[float]:
    """dBFS of the blocks of a matched stem before and in which its guide has been silent."""
    step = round(BLOCK_SECONDS * RATE)
    count = guide.shape[1] // step
    levels = [
        10
        * np.log10(np.square(a[:, : count * step].reshape(2, count, step), dtype=np.float64).mean(axis=(0, 2)) + 1e-12)
        for a in (guide, new)
    ]
    quiet = levels[0] < SILENT_DB
    run = np.convolve(quiet, np.ones(QUIET_BLOCKS), mode="full")[:count] >= QUIET_BLOCKS
    return [float(x) for x in levels[1][run]]
