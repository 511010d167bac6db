"""Clicks that a processing step has put into a sound: moments far sharper than anything the sound had there before.

Sharpness is the second difference of the wave. Two counts:

- `find_clicks` compares with what is usual around a moment, and allows for what the step does to the treble as a whole
  by the ratio of both sounds' usual sharpness. It also counts moments that were sharp before and whose treble the step
  raised more than the treble around them; compare with the sound behind the step's fixed filters to leave those out.
- `find_sharper` needs no such reading: what is no click is not sharper than the sharpest moment close by was before,
  times the most that the step (`most_gain`) does to any frequency there.

Conventions: audio float32 [channels, samples]; both sounds are aligned to the sample; gains are factors.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from engine.match.apply import LEAST, gains2filter, velvet
from engine.match.curves import Curves
from engine.match.frames import Audio, Floats, Grid

BLOCK_SECONDS = 0.00025
NEAR_BLOCKS = 12
"""A moment of the sound before accounts for what comes 3 ms around it."""
AROUND_BLOCKS = 400
USUAL = 70.0
FACTOR = 4.0
FLOOR = 5e-4
SOON_SECONDS, SINCE_SECONDS = 0.005, 0.023
"""A moment of the sound before accounts for what comes so long before it, and so long after: the copy of the middle
that makes sides lasts 22 ms."""
APART_SECONDS = 0.002
"""What is too sharp for longer than this counts once more."""
LEAST_SHARPER = 1e-4
"""-80 dBFS: below it lies what frames smear into the silence around a sound that was cut off."""


def find_clicks(before: Audio, after: Audio, rate: int) -> NDArray[np.float64]:
    """Seconds of the clicks in `after` that `before` does not have, by what is usual around them."""
    block = max(1, round(BLOCK_SECONDS * rate))
    old, new = (np.maximum.reduceat(sharpness(x), np.arange(0, x.shape[1], block)) for x in (before, after))
    gain = (_usual(new) + 1e-6) / (_usual(old) + 1e-6)
    known = maximum_filter1d(old * np.maximum(gain, 1.0), 2 * NEAR_BLOCKS + 1)
    sharp = new > np.maximum(FACTOR * np.maximum(known, _usual(new)), FLOOR)
    starts = np.flatnonzero(sharp & ~np.roll(sharp, 1))
    return np.asarray(starts * block / rate)


def find_sharper(before: Audio, after: Audio, most: Floats, rate: int) -> NDArray[np.float64]:
    """Seconds at which `after` is sharper than everything that `before` has in the last 23 and the next 5 ms, times
    `most` [samples], the greatest gain there."""
    soon, since = round(SOON_SECONDS * rate), round(SINCE_SECONDS * rate)
    known = maximum_filter1d(sharpness(before), soon + since + 1, origin=(since - soon) // 2)
    places = np.flatnonzero(sharpness(after) > np.maximum(known * most, LEAST_SHARPER))
    apart = np.diff(places // round(APART_SECONDS * rate), prepend=-1) > 0
    return np.asarray(places[apart] / rate)


def most_gain(curves: Curves, samples: int) -> Floats:
    """float32 [samples]: the most that the bus stage multiplies any frequency of any channel by: its fixed filters and
    the highest of all frames that reach there, then the level."""
    grid = Grid(curves.rate)
    frames = np.arange(grid.frames(samples) + 2)
    moving = grid.spread(curves.moves(frames)) + 20 * np.log10(_fixed(curves, grid))
    # Sample s lies between the frames k and k + 1, and is reached by those from k - 1 to k + 2.
    highest = maximum_filter1d(moving.max(axis=1), 4, origin=-1)
    at = np.arange(samples) // grid.hop
    return np.asarray(10 ** (highest[at] / 20) * curves.levels(0, samples), dtype=np.float32)


def sharpness(audio: Audio) -> NDArray[np.float32]:
    """[samples] greatest second difference of any channel."""
    return np.asarray(np.abs(np.diff(audio, 2, axis=1, prepend=audio[:, :1], append=audio[:, -1:])).max(axis=0))


def _fixed(curves: Curves, grid: Grid) -> NDArray[np.float64]:
    """[bins] factor of the fixed filters in the worse channel: middle and its copy, or the sides."""
    side, spread = (20 * np.log10(np.maximum(row, LEAST)) for row in (curves.side, curves.spread))
    copied = (curves.fixed + spread, curves.tone_side)
    taps = [
        gains2filter(bands, tone, curves.rate)
        for bands, tone in ((curves.fixed, curves.tone_mid), (curves.fixed + side, curves.tone_side), copied)
    ]
    length = len(taps[0])
    middle, sides, copy = (np.abs(scipy.fft.rfft(row, length))[:: length // grid.size] for row in taps)
    if not curves.spread.any():
        return np.asarray(np.maximum(middle, sides), dtype=np.float64)
    passed = np.abs(scipy.fft.rfft(velvet(curves.rate), length))[:: length // grid.size]
    return np.asarray(np.maximum(middle + copy * passed, sides), dtype=np.float64)


def _usual(sharpness: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is not exceptional in the 100 ms around each block."""
    whole = np.pad(sharpness, (0, -len(sharpness) % AROUND_BLOCKS), mode="edge").reshape(-1, AROUND_BLOCKS)
    usual = np.percentile(whole, USUAL, axis=1)
    centres = (np.arange(len(usual)) + 0.5) * AROUND_BLOCKS
    return np.asarray(np.interp(np.arange(len(sharpness)), centres, usual), dtype=np.float32)
