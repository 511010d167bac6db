"""Key and chords of a clip: what the chromagram says between its beats, by the chain that reads chords of notes.

Conventions: spans are half bars where there are beats, else seconds; chords are (second, end second, symbol).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from engine.listen.beats import Beats
from engine.listen.chords import NAMES, emissions, key_bonus, viterbi
from engine.listen.chroma import Chroma, chroma2key
from engine.listen.key import KeyGuess
from engine.listen.onsets import Floats
from engine.score import Chord

SPAN_SECONDS = 1.0
SOUNDS = 0.05
CONTRAST = 1.5
"""Powers of a span's chroma: the loud tones of a mix count more than its overtones."""
TONIC_EVIDENCE = 8.0
"""How much the chords say of the tonic."""


@dataclass(frozen=True)
class Harmony:
    """`key` with its confidence; `chords` (second, end, symbol), neighbours different; `changes` a minute where it
    sounds; `confidence` 0-1 of the chords: how much better they fit than the best of the other roots."""

    key: KeyGuess
    chords: tuple[tuple[float, float, str], ...]
    changes: float | None
    confidence: float


def chroma2harmony(chroma: Chroma, beats: Beats, seconds: float) -> Harmony:
    """Key and chords of a clip of so many seconds; noise and silence have none."""
    first = chroma2key(chroma)
    if first.confidence <= 0 or chroma.tonal <= 0:
        return Harmony(first, (), None, 0.0)
    edges, at_bar = beats2edges(beats, seconds)
    frames, bass = chroma.between(edges[:-1], edges[1:])
    sounding = frames.max(axis=1) > SOUNDS
    profiles = sharpen(frames)
    logs = emissions(profiles, np.where(sounding[:, None], _shares(bass), 0.0))
    logs[~sounding] = 0.0
    path = np.array(viterbi(logs, at_bar, key_bonus([first.key] * len(logs))))
    tonics = path2tonics(path[sounding], at_bar[sounding])
    key = chroma2key(chroma, TONIC_EVIDENCE * tonics)
    path = np.array(viterbi(logs, at_bar, key_bonus([key.key] * len(logs))))
    chords = _merge(edges, path, sounding)
    played = float(np.diff(edges)[sounding].sum())
    changes = sum(a[1] == b[0] for a, b in pairwise(chords))
    rate = round(60.0 * changes / played, 2) if played > 0 else None
    return Harmony(key, chords, rate, round(_fit(logs[sounding], path[sounding]) * chroma.tonal, 3))


def beats2edges(beats: Beats, seconds: float) -> tuple[Floats, Floats]:
    """(edges of the spans in seconds, [spans] whether one begins a bar)."""
    if len(beats.seconds) < 4:
        edges = np.append(np.arange(0.0, max(seconds - SPAN_SECONDS / 2, 0.0) + 1e-9, SPAN_SECONDS), seconds)
        return edges, np.ones(len(edges) - 1)
    starts, downbeats = [], set(beats.downbeats)
    since = 0
    for k in range(len(beats.seconds)):
        since = 0 if k in downbeats else since + 1
        if since == 0 or (beats.metre == 4 and since == 2):
            starts.append((beats.seconds[k], k in downbeats))
    if not starts:
        starts = [(beats.seconds[0], True)]
    if starts[0][0] > 0.25:
        starts.insert(0, (0.0, False))
    edges = np.array([s for s, _ in starts] + [max(seconds, starts[-1][0] + 0.1)])
    return edges, np.array([float(b) for _, b in starts])


def sharpen(frames: Floats) -> Floats:
    """[spans, 12] profiles, what sounds in all pitch classes alike taken off."""
    over = np.maximum(frames - np.median(frames, axis=1, keepdims=True) * 0.8, 0.0) ** CONTRAST
    total = over.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(over, total, out=np.zeros_like(over), where=total > 0))


def _shares(bass: Floats) -> Floats:
    """[spans, 12] the bass's pitch classes as shares; the strongest counts most."""
    over = bass**2
    total = over.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(over, total, out=np.zeros_like(over), where=total > 1e-9))


def path2tonics(path: Floats, at_bar: Floats) -> Floats:
    """[12] shares of time on each root as a chord whose mode could be a tonic's; a clip's first chord counts double."""
    out = np.zeros(12)
    if not len(path):
        return out
    for place, (state, first) in enumerate(zip(path.astype(int).tolist(), at_bar, strict=True)):
        out[state // 14] += (1.3 if first else 1.0) * (1.0 + (place < 2) * len(path) / 8.0)
    return np.asarray(out / out.sum())


def _fit(logs: Floats, path: Floats) -> float:
    """0-1 from how far the chosen chords' likelihoods are above the best chord of another root."""
    if not len(logs):
        return 0.0
    roots = np.arange(logs.shape[1]) // 14
    best = np.array([row[roots != roots[s]].max() for row, s in zip(logs, path.astype(int), strict=True)])
    lead = logs[np.arange(len(logs)), path.astype(int)] - best
    return float(np.clip(0.5 + np.median(lead) / 3.0, 0.0, 1.0))


def _merge(edges: Floats, path: Floats, sounding: Floats) -> tuple[tuple[float, float, str], ...]:
    out: list[tuple[float, float, str]] = []
    for k, state in enumerate(path.astype(int).tolist()):
        if not sounding[k]:
            continue
        symbol = Chord(0.0, 1.0, state // 14, NAMES[state % 14]).symbol
        start, end = round(float(edges[k]), 3), round(float(edges[k + 1]), 3)
        if out and out[-1][2] == symbol and out[-1][1] == start:
            out[-1] = (out[-1][0], end, symbol)
        else:
            out.append((start, end, symbol))
    return tuple(out)
