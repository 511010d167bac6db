"""Clicks that a processing step has put into a sound: moments far sharper than anything the sound had there before.

Sharpness is the second difference of the wave. What the step does to the treble as a whole (a gain) is allowed for by
the ratio of both sounds' usual sharpness around the moment.

Conventions: audio float32 [channels, samples]; both sounds are aligned to the sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from engine.match.frames import Audio

BLOCK_SECONDS = 0.00025
NEAR_BLOCKS = 12
"""A moment of the sound before accounts for what comes 3 ms around it."""
AROUND_BLOCKS = 400
USUAL = 70.0
FACTOR = 4.0
FLOOR = 2e-3


def find_clicks(before: Audio, after: Audio, rate: int) -> NDArray[np.float64]:
    """Seconds of the clicks in `after` that `before` does not have."""
    block = max(1, round(BLOCK_SECONDS * rate))
    old, new = _sharpness(before, block), _sharpness(after, block)
    gain = (_usual(new) + 1e-6) / (_usual(old) + 1e-6)
    known = maximum_filter1d(old * np.maximum(gain, 1.0), 2 * NEAR_BLOCKS + 1)
    sharp = new > np.maximum(FACTOR * np.maximum(known, _usual(new)), FLOOR)
    starts = np.flatnonzero(sharp & ~np.roll(sharp, 1))
    return np.asarray(starts * block / rate)


def _sharpness(audio: Audio, block: int) -> NDArray[np.float32]:
    """[blocks] greatest second difference of any channel."""
    bends = np.abs(np.diff(audio, 2, axis=1, prepend=audio[:, :1], append=audio[:, -1:])).max(axis=0)
    return np.maximum.reduceat(bends, np.arange(0, len(bends), block))


def _usual(sharpness: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is not exceptional in the 100 ms around each block."""
    whole = np.pad(sharpness, (0, -len(sharpness) % AROUND_BLOCKS), mode="edge").reshape(-1, AROUND_BLOCKS)
    usual = np.percentile(whole, USUAL, axis=1)
    centres = (np.arange(len(usual)) + 0.5) * AROUND_BLOCKS
    return np.asarray(np.interp(np.arange(len(sharpness)), centres, usual), dtype=np.float32)
