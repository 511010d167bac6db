"""Silence that stays silent: where a guide has fallen silent, a stem made from it is held below hearing.

An instrument that was chosen for its sound may ring on longer than the one the band hears while it writes, and what is
turned up is turned up to its last breath. Both would fill a rest. Nothing is closed while the guide sounds, nor in the
first moments of its silence.

Conventions: audio float32 [2, samples], in memory or on disk; blocks of 50 ms lie on a grid that begins at the stem's
first sample, so any range of a stem comes out as the same range of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.match.frames import power2db
from engine.tape import Audio, Changing, Held, Sounding, windows

BLOCK_SECONDS, QUIET_BLOCKS = 0.05, 8
QUIET_DB = -90.0
"""A guide is silent when it has been below this for so many blocks."""
HELD_DB = -76.0
READ_BLOCKS = 128
CLOSE_SECONDS, OPEN_SECONDS = 0.02, 0.002

Placed = tuple[Sounding, int]
"""A sound and the sample of the stem at which it begins."""


@dataclass(frozen=True)
class Blocks:
    """How loud a sound is: dBFS of its whole blocks of 50 ms, from block number `first` of the stem on."""

    first: int
    levels: NDArray[np.float32]


def audio2blocks(audio: Sounding, rate: int, begin: int) -> Blocks:
    """Of a sound that begins at the stem's sample `begin`, read in windows."""
    step = round(BLOCK_SECONDS * rate)
    first = -(-begin // step)
    skip = first * step - begin
    count = max(0, (audio.shape[1] - skip) // step)
    levels = np.zeros(count, np.float32)
    for low, high in windows(count, READ_BLOCKS):
        blocks = audio[:, skip + low * step : skip + high * step].reshape(len(audio), high - low, step)
        power = np.einsum("cbs,cbs->b", blocks, blocks, dtype=np.float32) / np.float32(len(audio) * step)
        levels[low:high] = power2db(power)
    return Blocks(first, levels)


def hold_silence(audio: Audio, rate: int, begin: int, guides: Sequence[Placed]) -> Audio:
    """The sound, whose first sample is the stem's sample `begin`, no louder than -76 dBFS in every block at whose end
    one of the guides has been silent; the very same where nothing is to be held.

    A guide needs to reach 0.4 s further back than the range.
    """
    held = Held(audio)
    hold_silence_in_place(held, rate, begin, [audio2blocks(guide, rate, at) for guide, at in guides])
    return held.audio


def hold_silence_in_place(sound: Changing, rate: int, begin: int, guides: Sequence[Blocks]) -> None:
    """The same for a sound that is changed where it lies."""
    own = audio2blocks(sound, rate, begin)
    first, count = own.first, len(own.levels)
    closed = np.zeros(count, bool)
    for guide in guides:
        places = np.arange(len(guide.levels))
        silent = places - np.maximum.accumulate(np.where(guide.levels < QUIET_DB, -1, places))
        low, high = max(first, guide.first), min(first + count, guide.first + len(guide.levels))
        if high > low:
            closed[low - first : high - first] |= (silent >= QUIET_BLOCKS)[low - guide.first : high - guide.first]
    need = np.where(closed, np.minimum(HELD_DB - own.levels, 0.0), 0.0)
    if not need.any():
        return
    step = round(BLOCK_SECONDS * rate)
    edges = np.flatnonzero(np.diff(closed.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    for low, high in edges:
        gain = np.float32(10 ** (float(need[low:high].min()) / 20))
        if gain < 1.0:
            _hold(sound, (first + int(low)) * step - begin, (first + int(high)) * step - begin, gain, rate)


def loud_rests(own: Blocks, rate: int, rests: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those of the stem's rests [start, stop) in samples in which the sound is still above -76 dBFS after 0.4 s."""
    step = round(BLOCK_SECONDS * rate)
    found = []
    for start, stop in rests:
        inside = own.levels[max(start // step + QUIET_BLOCKS - own.first, 0) : max(stop // step - own.first, 0)]
        if len(inside) and float(inside.max()) > HELD_DB:
            found.append((start, stop))
    return found


def _hold(sound: Changing, low: int, high: int, gain: np.float32, rate: int) -> None:
    """Turns down [low, high), a fade before it and a shorter one behind it."""
    close, open_ = round(CLOSE_SECONDS * rate), round(OPEN_SECONDS * rate)
    ramp = np.float32(0.5) + np.float32(0.5) * np.cos(np.pi * np.arange(close, dtype=np.float32) / close)
    fade = gain + (1 - gain) * ramp
    at = max(low - close, 0)
    sound.write(at, sound[:, at:low] * fade[close - (low - at) :])
    for start, stop in windows(high - low):
        sound.write(low + start, sound[:, low + start : low + stop] * gain)
    rest = sound[:, high : high + open_]
    sound.write(high, rest * np.linspace(gain, 1.0, open_, dtype=np.float32)[: rest.shape[1]])
