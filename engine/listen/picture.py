"""A clip drawn small: what a page shows behind its beats."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.listen.chroma import sound2chroma
from engine.listen.onsets import Audio
from engine.listen.steps import unheard
from engine.report import Tick

COLUMNS, CHROMA_COLUMNS = 480, 96


def picture(mono: Audio, tick: Tick = unheard) -> dict[str, Any]:
    """`waveform`: highest absolute value of each of at most 480 equal stretches, 0-1; `chroma`: 12 rows (C first) of at
    most 96 columns, 0-99, each column beside its strongest. Empty lists for a clip without sound."""
    if not len(mono):
        return {"waveform": [], "chroma": []}
    edges = np.linspace(0, len(mono), min(COLUMNS, len(mono)) + 1).astype(int)
    peaks = np.maximum.reduceat(np.abs(mono), edges[:-1])
    frames = sound2chroma(mono, tick).frames
    chroma: list[list[int]] = []
    if len(frames):
        starts = np.linspace(0, len(frames), min(CHROMA_COLUMNS, len(frames)) + 1).astype(int)[:-1]
        sums = np.add.reduceat(frames, starts, axis=0)
        chroma = np.round(99 * sums / np.maximum(sums.max(axis=1, keepdims=True), 1e-9)).astype(int).T.tolist()
    return {"waveform": [round(float(p), 3) for p in peaks], "chroma": chroma}
