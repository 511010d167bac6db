"""Silence that stays silent: where a guide has fallen silent, a stem made from it is held below hearing.

An instrument that was chosen for its sound may ring on longer than the one the band hears while it writes, and what is
turned up is turned up to its last breath. Both would fill a rest. Nothing is closed while the guide sounds, nor in the
first moments of its silence.

Conventions: audio float32 [2, samples]; blocks of 50 ms lie on a grid that begins at the stem's first sample, so any
range of a stem comes out as the same range of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.match.frames import Audio, power2db

BLOCK_SECONDS, QUIET_BLOCKS = 0.05, 8
QUIET_DB = -90.0
"""A guide is silent when it has been below this for so many blocks."""
HELD_DB = -76.0
CLOSE_SECONDS, OPEN_SECONDS = 0.02, 0.002

Placed = tuple[Audio, int]
"""A sound and the sample of the stem at which it begins."""


def hold_silence(audio: Audio, rate: int, begin: int, guides: Sequence[Placed]) -> Audio:
    """The sound, whose first sample is the stem's sample `begin`, no louder than -76 dBFS in every block at whose end
    one of the guides has been silent; the very same where nothing is to be held.

    A guide needs to reach 0.4 s further back than the range.
    """
    step = round(BLOCK_SECONDS * rate)
    first, own = _levels(audio, step, begin)
    closed = np.zeros(len(own), bool)
    for guide, at in guides:
        start, levels = _levels(guide, step, at)
        places = np.arange(len(levels))
        run = places - np.maximum.accumulate(np.where(levels < QUIET_DB, -1, places)) >= QUIET_BLOCKS
        low, high = max(first, start), min(first + len(own), start + len(levels))
        if high > low:
            closed[low - first : high - first] |= run[low - start : high - start]
    need = np.where(closed, np.minimum(HELD_DB - own, 0.0), 0.0)
    if not need.any():
        return audio
    edges = np.flatnonzero(np.diff(closed.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    out = audio.copy()
    for low, high in edges:
        gain = np.float32(10 ** (float(need[low:high].min()) / 20))
        if gain < 1.0:
            _hold(out, (first + int(low)) * step - begin, (first + int(high)) * step - begin, gain, rate)
    return out


def loud_rests(audio: Audio, rate: int, begin: int, rests: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those of the stem's rests [start, stop) in samples in which the sound, which begins at sample `begin`, is still
    above -76 dBFS after 0.4 s."""
    step = round(BLOCK_SECONDS * rate)
    first, levels = _levels(audio, step, begin)
    found = []
    for start, stop in rests:
        inside = levels[max(start // step + QUIET_BLOCKS - first, 0) : max(stop // step - first, 0)]
        if len(inside) and float(inside.max()) > HELD_DB:
            found.append((start, stop))
    return found


def _hold(out: Audio, low: int, high: int, gain: np.float32, rate: int) -> None:
    """Turns down [low, high), a fade before it and a shorter one behind it."""
    close, open_ = round(CLOSE_SECONDS * rate), round(OPEN_SECONDS * rate)
    ramp = np.float32(0.5) + np.float32(0.5) * np.cos(np.pi * np.arange(close, dtype=np.float32) / close)
    fade = gain + (1 - gain) * ramp
    at = max(low - close, 0)
    out[:, at:low] *= fade[close - (low - at) :]
    out[:, max(low, 0) : high] *= gain
    rest = out[:, high : high + open_]
    rest *= np.linspace(gain, 1.0, open_, dtype=np.float32)[: rest.shape[1]]


def _levels(audio: Audio, step: int, begin: int) -> tuple[int, NDArray[np.float32]]:
    """(number of the first whole block, dBFS of every whole block) of a sound that begins at sample `begin`."""
    first = -(-begin // step)
    skip = first * step - begin
    count = max(0, (audio.shape[1] - skip) // step)
    blocks = audio[:, skip : skip + count * step].reshape(len(audio), count, step)
    power = np.einsum("cbs,cbs->b", blocks, blocks, dtype=np.float32) / np.float32(len(audio) * step)
    return first, power2db(power)
