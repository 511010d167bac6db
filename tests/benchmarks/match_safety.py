"""What matching must leave as it was, and what it costs: onsets, pitch, silence, sums, clicks, seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Clock
from engine.checks.onsets import measure_onsets
from engine.checks.pitch import measure_tuning
from engine.match.clicks import find_clicks
from engine.score import Part
from tests.benchmarks.match_material import RATE

if TYPE_CHECKING:
    from tests.benchmarks.match import Studio, Tried

Audio = NDArray[np.float32]
SILENT_DB, BLOCK_SECONDS, QUIET_BLOCKS = -90.0, 0.05, 8
"""The guide counts as silent where it has been below this for so many blocks."""


def report(studio: Studio, tried: Sequence[Tried]) -> list[str]:
    """Lines of the last table."""
    shifts: list[float] = []
    waves: list[float] = []
    cents: list[float] = []
    silence: list[float] = []
    clicks = 0
    for one in tried:
        for part in studio.score.parts:
            raw, new = one.matched.raw[part.name], one.matched.stems[part.name]
            shifts += moved(raw, new, part, studio.clock)
            waves += lags(raw, new, part, studio.clock)
            silence += silent_levels(studio.guide[part.name], new)
            tunings = [measure_tuning(audio, part, studio.clock, RATE, 0) for audio in (raw, new)]
            if part.role != "drums" and tunings[0] and tunings[1]:
                cents.append(abs(tunings[0][0].cents - tunings[1][0].cents))
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
        f"  pitch moved: median {np.median(cents):.2f}, at most {max(cents):.2f} cents (n = {len(cents)})",
        f"  clicks found: {clicks}; stems that failed a check and were repaired: {repaired}",
        f"  choosing: {costs[:, 0].mean():.1f} CPU seconds a song of {len(studio.score.parts)} stems, two threads",
        f"  matching: {costs[:, 1].mean() / minutes:.1f} CPU seconds a minute of {len(studio.score.parts)} stems",
    ]
    if silence:
        quiet = f"median {np.median(silence):.0f}, 95 % below {np.percentile(silence, 95):.0f} dBFS"
        lines.append(f"  where the guide is silent: {quiet} (n = {len(silence)} blocks of 50 ms)")
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
