"""Onsets against the score, judged by means that `engine.conform` does not know: two detectors of different kinds.

`checked` is the engine's own proof (`engine.checks`); `counted` is a plain one of ours, which watches how fast the
level rises. It is only asked about those onsets that it hears in the guide where the score has them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.checks.onsets import measure_onsets
from tests.engine.conform.material import RATE, Audio, Song, make_song

Floats = NDArray[np.float64]

ALONE_MS, REACH_MS = 70, 45
HEARD_MS = 2.5


def checked(song: Song, audio: Audio) -> Floats:
    """|audio - score| in ms of every onset that the engine's checks can time."""
    return np.abs(measure_onsets(audio, song.part, song.clock, RATE, 0).differences)


def counted(song: Song, audio: Audio) -> Floats:
    """|audio - score| in ms by the steepest rise of the level above 600 Hz."""
    places = _measurable(song.part.role, song.time, len(song.bars))
    return np.abs(_rises(audio, places))


@lru_cache(maxsize=32)
def _measurable(role: str, time: str, bars: int) -> Floats:
    song = make_song(role, time, bars=bars)
    onsets = np.unique(np.round(song.onsets, 3))
    first = onsets[np.diff(onsets, prepend=-np.inf) > 0.012 * RATE]
    alone = np.minimum(np.diff(first, prepend=-np.inf), np.diff(first, append=np.inf)) > ALONE_MS / 1000 * RATE
    places = first[alone]
    return np.asarray(places[np.abs(_rises(song.guide, places)) <= HEARD_MS])


def _rises(audio: Audio, places: Floats) -> Floats:
    """[K] ms from each place to the steepest rise of log level around it."""
    from scipy.signal import butter, sosfilt

    mono = sosfilt(butter(2, 600, "highpass", fs=RATE, output="sos"), audio.mean(axis=0))
    block = RATE // 2000
    power = np.square(mono[: len(mono) // block * block]).reshape(-1, block).mean(axis=1)
    total = np.cumsum(np.concatenate([np.zeros(20), power, np.zeros(20)]))
    after, before = total[24:-16] - total[20:-20], total[20:-20] - total[:-40]
    floor = 1e-5 * float(power.max()) + 1e-14
    rise = np.log(after / 4 + floor) - np.log(before / 20 + floor)
    out = np.full(len(places), np.nan)
    for k, place in enumerate(places):
        low = max(round(place / block) - 2 * REACH_MS, 0)
        window = rise[low : round(place / block) + 2 * REACH_MS]
        if len(window):
            out[k] = ((low + int(window.argmax())) * block - place) / RATE * 1000.0
    return out
