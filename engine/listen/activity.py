"""When a given audio track sounds, so that what is written can leave room for it.

Conventions: audio is read in blocks of 50 ms; levels are RMS over channels in dB below full scale; spans are beats.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bridge.errors import RequestError
from bridge.timeline import Clock

BLOCK = 0.05
FLOOR_DB = -55.0
BELOW_LOUD_DB = 32.0
JOIN_BEATS = 1.0
SHORT_BEATS = 0.25


def audio2activity(path: str | Path, clock: Clock, start: float) -> list[tuple[float, float]]:
    """(start, end) spans in beats, within the timeline, in which the file sounds when it lies at beat `start`.

    It sounds where a block is at most 32 dB below its loud blocks (95th percentile) and above -55 dBFS; pauses of less
    than a beat are bridged, blips of less than a sixteenth dropped. Raises `RequestError("audio.damaged")`.
    """
    levels = file2levels(path)
    if not len(levels):
        return []
    gate = max(float(np.percentile(levels, 95)) - BELOW_LOUD_DB, FLOOR_DB)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], (levels >= gate).astype(int), [0]))))
    origin = clock.beat2second(start)
    spans: list[tuple[float, float]] = []
    for first, last in edges.reshape(-1, 2).tolist():
        begin = max(clock.second2beat(origin + first * BLOCK), clock.start)
        end = min(clock.second2beat(origin + last * BLOCK), clock.end)
        if end <= begin:
            continue
        if spans and begin - spans[-1][1] < JOIN_BEATS:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))
    return [(a, b) for a, b in spans if b - a >= SHORT_BEATS]


def file2levels(path: str | Path) -> np.ndarray:
    """[blocks] RMS level of each 50 ms in dBFS, read as a stream. Silence and NaN are -200."""
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as file:
            size = max(1, round(file.samplerate * BLOCK))
            blocks = file.blocks(blocksize=size, dtype="float32", always_2d=True)
            levels = [float(np.mean(np.nan_to_num(b, nan=0.0, posinf=0.0, neginf=0.0) ** 2)) for b in blocks]
    except (soundfile.LibsndfileError, OSError) as error:
        raise RequestError(
            "audio.damaged", "the audio file cannot be read.", field=str(path), hint="Export it again as WAV or FLAC."
        ) from error
    return np.asarray(10.0 * np.log10(np.maximum(np.array(levels), 1e-20)))
