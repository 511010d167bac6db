"""Moves every onset of a rendering to its place, by a few milliseconds: slices that are moved whole.

A slice begins shortly before an onset and lasts to the next one; inside it samples are copied as they are, so attacks
stay sharp and pitches stay exactly what they were. Where two neighbours move by different amounts the join is faded, at
the place before the later onset where both sides are most alike.

Conventions: float32 [channels, samples]; lags in samples, rendering - guide; `out[t] = audio[t + lag]`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.conform.envelope import Audio

Floats = NDArray[np.float64]

FADE_MS, SHORT_FADE_MS = 24.0, 3.0
"""Length of a join, and the least where onsets stand close."""
GUARD_MS = 4.0
"""A join ends so long before the onset that it leads to."""
AFTER_MS = 12.0
"""Nor does it begin earlier than this after an onset."""
SEARCH_MS = 60.0


def slide_onsets(audio: Audio, onsets: Floats, lags: Floats, rate: int, steady_ms: float) -> Audio:
    """The rendering with each onset [K] (samples in the guide, ascending) brought back by its lag [K] (samples).

    Neighbours whose lags differ by no more than `steady_ms` move together. The length stays; what lies outside the
    rendering is silence.
    """
    samples = audio.shape[1]
    if not len(onsets):
        return audio
    whole = np.round(_in_steps(lags, steady_ms / 1000 * rate)).astype(np.int64)
    margin = int(np.abs(whole).max()) + 1
    padded = np.pad(audio, ((0, 0), (margin, margin)))
    out = np.empty_like(audio)
    lag, done = int(whole[0]), 0
    for k in range(1, len(onsets)):
        new = int(whole[k])
        if new == lag:
            continue
        start, fade = _join(padded, margin, lag, new, float(onsets[k - 1]), float(onsets[k]), max(done, 0), rate)
        if start + fade > samples:
            break
        out[:, done:start] = padded[:, margin + done + lag : margin + start + lag]
        out[:, start : start + fade] = crossfade(
            padded[:, margin + start + lag : margin + start + lag + fade],
            padded[:, margin + start + new : margin + start + new + fade],
        )
        lag, done = new, start + fade
    out[:, done:] = padded[:, margin + done + lag : margin + samples + lag]
    return out


def _in_steps(lags: Floats, steady: float) -> Floats:
    """[K] the lags as steps: each run of neighbours within `steady` takes its median, 0 where that is as near."""
    out = np.empty_like(lags)
    first = 0
    for k in range(1, len(lags) + 1):
        run = lags[first : k + 1]
        if k == len(lags) or float(run.max() - run.min()) > steady:
            middle = float(np.median(lags[first:k]))
            out[first:k] = middle if abs(middle) > steady else 0.0
            first = k
    return out


def crossfade(old: Audio, new: Audio) -> Audio:
    """From `old` [c, n] into `new`: the gains' sum of powers is held for what is alike and for what is not, by the
    correlation of both."""
    n = old.shape[1]
    ramp = (np.arange(n, dtype=np.float64) + 0.5) / n
    product = float((old.astype(np.float64) * new).sum())
    energy = float(np.sqrt((old.astype(np.float64) ** 2).sum() * (new.astype(np.float64) ** 2).sum()))
    alike = max(product / energy, 0.0) if energy > 1e-12 else 0.0
    down, up = np.cos(ramp * np.pi / 2), np.sin(ramp * np.pi / 2)
    power = np.sqrt(down**2 + up**2 + 2 * alike * down * up)
    return np.asarray((old * (down / power) + new * (up / power)).astype(np.float32))


def _join(
    padded: Audio, margin: int, lag: int, new: int, before: float, onset: float, done: int, rate: int
) -> tuple[int, int]:
    """(first sample, length) of the fade between two onsets. Going back must not play the earlier attack twice."""
    guard = GUARD_MS / 1000 * rate
    earliest = before + AFTER_MS / 1000 * rate + max(lag - new, 0)
    fade = round(float(np.clip(onset - guard - earliest, SHORT_FADE_MS / 1000 * rate, FADE_MS / 1000 * rate)))
    last = max(int(onset - guard) - fade, done)
    first = int(min(max(earliest, onset - SEARCH_MS / 1000 * rate, done), last))
    places = range(first, last + 1, max(rate // 2000, 1))
    return min(places, key=lambda place: _unlike(padded, margin + place + lag, margin + place + new, fade)), fade


def _unlike(padded: Audio, left: int, right: int, fade: int) -> float:
    """How loud a fade between two places differs from both: 0 where they are equal or silent."""
    a, b = padded[:, left : left + fade], padded[:, right : right + fade]
    return float(np.square(a - b, dtype=np.float64).sum())
