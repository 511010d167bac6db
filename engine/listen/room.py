"""How long a clip's sound rings: a blind estimate of its reverberation.

In four octave bands every free decay of the envelope is measured by a straight line.
Nothing dies away faster than its room lets it, while notes that are held die away slower: the room is read from the
fastest of the decays (R. Ratnam et al., "Blind estimation of reverberation time", JASA 2003, take the same view).

Conventions: mono float32 at `RATE`; reverberation as RT60 in seconds: the time in which 60 dB are lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

from engine.listen.onsets import RATE, Audio, Floats
from engine.listen.steps import each, unheard
from engine.report import Tick, part_of

STEP = 220
STEP_SECONDS = STEP / RATE
PIECE = 4096 * STEP
CENTRES_HZ = (500.0, 1000.0, 2000.0, 4000.0)
DECAYS = ((0.06, 15.0), (0.15, 6.0))
"""A decay is at least so long (s) and so deep (dB): a short one must be deep."""
FASTEST = 20.0
"""Percentile of the decay times that is the room's."""
ENOUGH = 12
SHORTEST, LONGEST = 0.1, 6.0
STRAIGHT = 0.9
"""Least correlation of a decay with its line."""


@dataclass(frozen=True)
class Room:
    """`rt60` seconds, None where no decay is free; `confidence` 0-1: by the number of decays and their agreement."""

    rt60: float | None = None
    confidence: float = 0.0


def sound2room(mono: Audio, tick: Tick = unheard) -> Room:
    """Reverberation of a clip at `RATE`."""
    if len(mono) < RATE // 2:
        return Room()
    times, spreads, count = [], [], 0
    for k, centre in enumerate(CENTRES_HZ):
        share = part_of(tick, k / len(CENTRES_HZ), (k + 1) / len(CENTRES_HZ))
        decays = envelope2decays(_envelope(mono, centre, share))
        count += len(decays)
        if len(decays) >= 3:
            times.append(float(np.percentile(decays, FASTEST)))
            spreads.append(float(np.std(np.log(decays))))
    if not times:
        return Room()
    rt60 = float(np.clip(np.median(times), SHORTEST, LONGEST))
    enough = min(1.0, count / (ENOUGH * len(CENTRES_HZ)))
    return Room(round(rt60, 3), round(enough * float(np.exp(-np.mean(spreads))), 3))


def _envelope(mono: Audio, centre: float, tick: Tick) -> Floats:
    """[steps] dB of an octave band, filtered piece by piece."""
    sections = butter(2, (centre / 2**0.5, centre * 2**0.5), "bandpass", fs=RATE, output="sos")
    state = np.zeros((len(sections), 2))
    powers = []
    starts = range(0, len(mono) - STEP + 1, PIECE)
    for i in each(starts, len(starts), tick):
        piece = mono[i : i + PIECE]
        filtered, state = sosfilt(sections, piece[: len(piece) // STEP * STEP], zi=state)
        powers.append((filtered.reshape(-1, STEP) ** 2).mean(axis=1))
    return np.asarray(10.0 * np.log10(np.concatenate(powers) + 1e-14))


def envelope2decays(level: Floats) -> Floats:
    """RT60 in seconds of every free decay of an envelope [steps] in dB."""
    smooth = np.convolve(level, np.hanning(9)[1:-1] / 4.0, mode="same")
    floor = float(np.percentile(smooth, 99)) - 60.0
    falling = np.diff(smooth) < 0
    edges = np.flatnonzero(np.diff(np.concatenate(([0], falling.astype(int), [0]))))
    out = []
    for first, last in edges.reshape(-1, 2).tolist():
        span = smooth[first : last + 1]
        span = span[span > floor]
        # The first fifth belongs to the note that ends, the last steps to what begins.
        span = span[len(span) // 5 : -2]
        if len(span) < 3 or not any(len(span) * STEP_SECONDS >= s and span[0] - span[-1] >= d for s, d in DECAYS):
            continue
        at = np.arange(len(span)) * STEP_SECONDS
        slope = float(np.polyfit(at, span, 1)[0])
        if slope < 0 and np.corrcoef(at, span)[0, 1] < -STRAIGHT:
            out.append(-60.0 / slope)
    return np.array(out)
