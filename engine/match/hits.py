"""Drum hits cut from a clip of drums alone: the purest kick, snare and hats in it, each from its onset to its end.

A clip in which something is sustained under the drums gives none: what is cut from it would bring the rest along.

Conventions: audio float32 [2, samples]; frames and bands of `engine.match.frames`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.signal
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from engine.match.frames import Audio, Floats, Grid, audio2levels, power2db

KINDS = ("kick", "snare", "hat", "open hat")
MAX_HELD, HELD_HZ = 0.3, 250.0
"""Greatest share of the power above so many hertz that may be sustained for `HELD_SECONDS` in a clip of drums: kits
have 0.05 to 0.2, music with anything else in it 0.45 to 0.8."""
HELD_SECONDS = 0.45
RISE_DB, APART_SECONDS, RANGE_DB = 4.0, 0.06, 45.0
"""An onset: bands rise by so much in the mean, so long after the one before."""
BACK_SECONDS, BLOCK_SECONDS, ONSET_SHARE = 0.016, 0.00025, 0.05
BEFORE_SECONDS, FADE_SECONDS, MAX_SECONDS, LEAST_SECONDS = 0.0005, 0.012, 1.6, 0.07
HEARD_SECONDS, ALONE_SECONDS = 0.1, 0.015
LOW_HZ, BODY_HZ, HIGH_HZ, HAT_HZ = 160.0, 1200.0, 4500.0, 700.0
LEAST_HITS = 6
KICK_BODY, KICK_HIGH, SNARE_BODY, SNARE_SHARE, HAT_HIGH = 0.06, 0.05, 0.09, 0.07, 0.6
"""Shares by which kinds are told: of a drum's body beside its low end, of its treble in all."""
SOFT_DB = 8.0
"""Hits that much softer than the loudest of their kind are not cut: others ring in them."""
LONG_SECONDS, LONG_DB = 0.18, 20.0
"""A hat that takes longer to fall by this is open."""


@dataclass(frozen=True)
class Hit:
    """One drum's sound, `audio` [2, samples] from just before its onset, at the clip's rate and level; `second` of the
    clip where it was cut."""

    kind: str
    audio: Audio
    second: float


def audio2hits(audio: Audio, rate: int) -> dict[str, Hit]:
    """The purest hit of every kind that the clip has, by kind; none where it is not drums alone, or has too few."""
    grid = Grid(rate)
    power = audio2levels(audio, grid).total
    if not len(power) or held_share(power, grid) > MAX_HELD:
        return {}
    onsets = find_hits(power, audio, grid)
    if len(onsets) < LEAST_HITS:
        return {}
    ends = np.append(onsets[1:] - round(BEFORE_SECONDS * rate), audio.shape[1])
    found: dict[str, list[tuple[float, float, Hit]]] = {}
    for start, end in zip(onsets.tolist(), ends.tolist(), strict=True):
        cut = _cut(audio, start, end, rate)
        if cut is None:
            continue
        kind, purity, loud = _kind(audio, start, cut, rate)
        if kind.endswith("hat"):
            cut = _without_lows(cut, rate)
        if kind:
            found.setdefault(kind, []).append((purity * _alone(audio, start, rate), loud, Hit(kind, cut, start / rate)))
    return {kind: _purest(found[kind]) for kind in KINDS if kind in found}


def _purest(hits: list[tuple[float, float, Hit]]) -> Hit:
    """Of (purity, power, hit), the first of the purest that are loud enough."""
    least = max(loud for _, loud, _ in hits) * 10 ** (-SOFT_DB / 10)
    return max((row for row in hits if row[1] >= least), key=lambda row: row[0])[2]


def held_share(power: Floats, grid: Grid) -> float:
    """Share of power [frames, BANDS] that is there all along for half a second: little in drums, much in music."""
    frames = round(HELD_SECONDS * grid.rate / grid.hop) | 1
    power = power[:, grid.centres > HELD_HZ]
    held = np.minimum(power, median_filter(power, size=(frames, 1), mode="nearest"))
    return float(held.sum() / max(float(power.sum()), 1e-12))


def find_hits(power: Floats, audio: Audio, grid: Grid) -> NDArray[np.int64]:
    """Samples at which drums are struck, ascending."""
    level = np.maximum(power2db(power), float(power2db(power).max()) - RANGE_DB)
    rise = np.maximum(level[2:] - level[:-2], 0.0).mean(axis=1)
    apart = round(APART_SECONDS * grid.rate / grid.hop)
    found: list[int] = []
    for frame in np.flatnonzero(rise > RISE_DB).tolist():
        near = rise[max(frame - apart, 0) : frame + apart + 1]
        if rise[frame] == near.max() and (not found or frame - found[-1] > apart):
            found.append(frame)
    # The rise of frame k is between the frames k and k + 2: the hit is about frame k + 1.
    return np.array(sorted({_onset(audio, (frame + 1) * grid.hop, grid.rate) for frame in found}), dtype=np.int64)


def _onset(audio: Audio, about: int, rate: int) -> int:
    """The sample at which the loudest rise around a place begins."""
    back, block = round(BACK_SECONDS * rate), max(1, round(BLOCK_SECONDS * rate))
    low = max(0, about - back)
    piece = np.abs(np.diff(audio[:, low : about + 2 * back], axis=1, prepend=np.float32(0))).max(axis=0)
    count = len(piece) // block
    if not count:
        return about
    energy = np.square(piece[: count * block].reshape(count, block)).sum(axis=1)
    return low + int(np.argmax(energy >= ONSET_SHARE * energy.max())) * block


def _cut(audio: Audio, start: int, end: int, rate: int) -> Audio | None:
    """A hit until the next one, faded there; None where that is too soon."""
    stop = min(end, start + round(MAX_SECONDS * rate), audio.shape[1])
    if stop - start < LEAST_SECONDS * rate:
        return None
    cut = audio[:, max(0, start - round(BEFORE_SECONDS * rate)) : stop].copy()
    fade = round(FADE_SECONDS * rate)
    cut[:, -fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32) ** 2
    return cut


def _alone(audio: Audio, start: int, rate: int) -> float:
    """0-1: how much less sounds just before a hit than in it."""
    count = round(ALONE_SECONDS * rate)
    before, after = (audio[:, max(0, at) : at + count] for at in (start - count - count // 8, start))
    powers = [float(np.square(piece).sum()) if piece.size else 0.0 for piece in (before, after)]
    return max(0.0, 1.0 - powers[0] / max(powers[1], 1e-12))


def _without_lows(cut: Audio, rate: int) -> Audio:
    """A hat without what other drums leave below it."""
    return np.asarray(scipy.signal.sosfilt(scipy.signal.butter(4, HAT_HZ, "high", fs=rate, output="sos"), cut), "f4")


def _kind(audio: Audio, start: int, cut: Audio, rate: int) -> tuple[str, float, float]:
    """(kind, or empty; how purely it is that, longer hits a little before shorter ones; its power), of what a hit adds
    to what rings on from before."""
    count = round(HEARD_SECONDS * rate)
    now = _power(cut[:, :count], count)
    power = np.maximum(now - _power(audio[:, max(0, start - count) : start], count), 0.03 * now)
    hertz = np.fft.rfftfreq(2 * count, 1 / rate)
    weighted = power / np.sqrt(np.maximum(hertz, 20.0))
    whole = float(weighted.sum())
    if whole <= 0.0:
        return "", 0.0, 0.0
    shares = (hertz < LOW_HZ, (hertz >= LOW_HZ) & (hertz <= BODY_HZ), hertz > HIGH_HZ)
    low, body, high = (float(weighted[inside].sum()) / whole for inside in shares)
    length, loud = min(1.0, 0.8 + cut.shape[1] / rate), float(power.sum())
    if high > HAT_HIGH and body < SNARE_SHARE:
        return ("open hat" if _falls_in(cut, rate) > LONG_SECONDS else "hat"), high * length, loud
    beside = body / max(low + body, 1e-9)
    if beside < KICK_BODY and high < KICK_HIGH:
        return "kick", (1.0 - beside - high) * length, loud
    if beside > SNARE_BODY and body > SNARE_SHARE:
        return "snare", (body + min(high, body)) * length, loud
    return "", 0.0, 0.0


def _power(piece: Audio, count: int) -> NDArray[np.float64]:
    """[bins] of at most `count` samples that fade out."""
    window = np.hanning(2 * count)[count:][: piece.shape[1]]
    return np.asarray(np.square(np.abs(np.fft.rfft(piece * window, 2 * count))).sum(axis=0))


def _falls_in(cut: Audio, rate: int) -> float:
    """Seconds until a hit has fallen by `LONG_DB`; its length where it has not."""
    block = round(0.01 * rate)
    count = cut.shape[1] // block
    level = power2db(np.square(cut[:, : count * block].reshape(2, count, block)).mean(axis=(0, 2)))
    peak = int(level.argmax())
    below = np.flatnonzero(level[peak:] < level[peak] - LONG_DB)
    return (int(below[0]) if len(below) else count - peak) * 0.01
