"""Onsets against the score, judged by means that `engine.conform` does not know: two detectors of different kinds.

`checked` is the engine's own proof (`engine.checks`); `counted` is a plain one of ours, which watches how fast the
level rises. It is only asked about those onsets that it hears in the guide where the score has them, and where nothing
else around them rises about as much: of two rises that are alike it takes the one or the other by chance.
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
CLEARLY = 0.2
"""By so much the logarithm of an onset's rise is above all others around it, where it is heard."""


def checked(song: Song, audio: Audio) -> Floats:
    """|audio - score| in ms of every onset that the engine's checks can time."""
    return np.abs(measure_onsets(audio, song.part, song.clock, RATE, 0).differences)


def counted(song: Song, audio: Audio) -> Floats:
    """|audio - score| in ms by the steepest rise of the level above 600 Hz."""
    places = _measurable(song.part.role, song.time, len(song.bars))
    return np.abs(_rises(audio, places)[0])


@lru_cache(maxsize=32)
def _measurable(role: str, time: str, bars: int) -> Floats:
    song = make_song(role, time, bars=bars)
    onsets = np.unique(np.round(song.onsets, 3))
    first = onsets[np.diff(onsets, prepend=-np.inf) > 0.012 * RATE]
    alone = np.minimum(np.diff(first, prepend=-np.inf), np.diff(first, append=np.inf)) > ALONE_MS / 1000 * RATE
    places = first[alone]
    ms, above = _rises(song.guide, places)
    return np.asarray(places[(np.abs(ms) <= HEARD_MS) & (above >= CLEARLY)])


def _rises(audio: Audio, places: Floats) -> tuple[Floats, Floats]:
    """([K] ms from each place to the steepest rise of log level around it, [K] by how much it is above the steepest
    one that is further from it than `HEARD_MS`)."""
    from scipy.signal import butter, sosfilt

    mono = sosfilt(butter(2, 600, "highpass", fs=RATE, output="sos"), audio.mean(axis=0))
    block = RATE // 2000
    power = np.square(mono[: len(mono) // block * block]).reshape(-1, block).mean(axis=1)
    total = np.cumsum(np.concatenate([np.zeros(20), power, np.zeros(20)]))
    after, before = total[24:-16] - total[20:-20], total[20:-20] - total[:-40]
    floor = 1e-5 * float(power.max()) + 1e-14
    rise = np.log(after / 4 + floor) - np.log(before / 20 + floor)
    ms, above = np.full(len(places), np.nan), np.zeros(len(places))
    near = round(2 * HEARD_MS)
    for k, place in enumerate(places):
        low = max(round(place / block) - 2 * REACH_MS, 0)
        window = rise[low : round(place / block) + 2 * REACH_MS]
        if len(window):
            first = int(window.argmax())
            ms[k] = ((low + first) * block - place) / RATE * 1000.0
            others = np.concatenate([window[: max(first - near, 0)], window[first + near + 1 :]])
            above[k] = window[first] - others.max(initial=-np.inf)
    return ms, above
