"""Where the bars of a clip begin, and on which of two eighths its beats lie.

Every eighth is described by how strongly low, mid and high onsets fall on it and by how much the harmony and the bass
change there, each beside the clip's own mean; a bar's eighths are compared with what bars of popular music hold. The
profile was read off this program's own songs of 16 styles (their bars are known); what decides is common practice:
chords change with the bar, the bass drum opens it, the snare answers on its even beats.

Conventions: `seconds` are beats; eighth 2k is beat k, eighth 2k + 1 lies in the middle of beats k and k + 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.listen.chroma import Chroma
from engine.listen.onsets import DELAY_FRAMES, FRAMES, Floats, Strength

PROFILES = {
    4: (
        (0.7, -0.5, -0.1, 0.1, 0.2, -0.2, -0.1, -0.2),
        (0.4, -0.6, 0.3, 0.0, 0.0, -0.2, 0.4, -0.3),
        (0.2, -0.7, 0.4, -0.1, 0.1, -0.2, 0.5, -0.2),
        (1.5, 0.2, -0.5, -0.4, -0.4, -0.4, -0.3, 0.4),
        (1.0, 0.0, -0.5, -0.2, -0.3, -0.3, 0.0, 0.3),
    ),
    3: (
        (0.8, -0.5, 0.0, -0.3, 0.0, -0.2),
        (0.3, -0.6, 0.4, -0.2, 0.4, -0.3),
        (0.1, -0.6, 0.5, -0.2, 0.4, -0.2),
        (1.5, 0.1, -0.6, -0.6, -0.5, 0.1),
        (1.0, 0.0, -0.4, -0.4, -0.3, 0.1),
    ),
}
"""By beats to the bar: rows low, mid, high, harmony, bass; a column for each eighth."""
TRIPLE_LEAD = 0.08
"""By how much the clip must be more alike to itself after three beats than after four."""
SLIP = 6.0
"""What beginning a bar too early or late costs."""
EVIDENCE = 0.25
"""How much of an independent witness each bar is."""


@dataclass(frozen=True)
class Bars:
    """`seconds` of the beats (moved by an eighth where that reads better), `downbeats` indices of them, `metre` beats
    to the bar, `confidence` 0-1."""

    seconds: Floats
    downbeats: tuple[int, ...]
    metre: int
    confidence: float


def beats2bars(strength: Strength, chroma: Chroma, seconds: Floats) -> Bars:
    """Bars over beats; fewer than two bars' worth of beats are bars of four from the first, without confidence."""
    if len(seconds) < 8:
        return Bars(seconds, tuple(range(0, len(seconds), 4)), 4, 0.0)
    eighths = np.empty(2 * len(seconds))
    eighths[::2] = seconds
    eighths[1:-1:2] = (seconds[:-1] + seconds[1:]) / 2
    eighths[-1] = seconds[-1] + (seconds[-1] - seconds[-2]) / 2
    traits = eighths2traits(strength, chroma, eighths)
    metre = traits2metre(traits)
    rotations = traits2rotations(traits, metre)
    best = int(rotations.argmax())
    own = rotations[best % 2 :: 2]
    share = np.exp(EVIDENCE * len(seconds) / metre * (own - own.max()))
    confidence = float(1.0 / share.sum())
    if best % 2:
        seconds, traits = eighths[1::2], traits[:, 1:]
    downbeats = tuple(np.flatnonzero(traits2positions(traits, metre) == 0).tolist())
    return Bars(seconds, downbeats, metre, (confidence - 1 / metre) / (1 - 1 / metre))


def eighths2traits(strength: Strength, chroma: Chroma, eighths: Floats) -> Floats:
    """[5, eighths]: low, mid, high onsets, change of harmony, change of bass; each of mean 0 and deviation
    1, the last two less where the clip has few tones."""
    groups = strength.split()
    at = np.clip(np.round(eighths * FRAMES + DELAY_FRAMES).astype(int), 0, len(groups) - 1)
    rows = [
        np.max([groups[np.clip(at + k, 0, len(groups) - 1), g] for k in range(-2, 3)], axis=0)
        for g in range(groups.shape[1])
    ]
    if len(chroma.frames):
        beat = float(np.median(np.diff(eighths))) * 2
        before = chroma.between(eighths - beat, eighths)
        after = chroma.between(eighths, eighths + beat)
        rows += [_change(b, a) for b, a in zip(before, after, strict=True)]
    else:
        rows += [np.zeros(len(eighths))] * 2
    table = np.array(rows)
    table -= table.mean(axis=1, keepdims=True)
    table /= np.maximum(table.std(axis=1, keepdims=True), 1e-9)
    table[3:] *= chroma.tonal
    return np.asarray(table)


def traits2metre(traits: Floats) -> int:
    """3 or 4 beats to the bar, by which the clip is more alike to itself."""
    count = traits.shape[1]

    def likeness(eighths: int) -> float:
        return float((traits[:, :-eighths] * traits[:, eighths:]).mean()) if count > eighths + 4 else 0.0

    three = (likeness(6) + likeness(12) + likeness(18)) / 3
    four = (likeness(8) + likeness(16) + likeness(32)) / 3 if count > 40 else (likeness(8) + likeness(16)) / 2
    return 3 if three > four + TRIPLE_LEAD else 4


def traits2rotations(traits: Floats, metre: int) -> Floats:
    """[2 metre] how well bars that begin on each eighth read, a bar's mean."""
    profile = np.array(PROFILES[metre])
    slots = profile.shape[1]
    columns = np.arange(traits.shape[1])
    return np.array(
        [(profile[:, (columns - r) % slots] * traits).sum() * slots / traits.shape[1] for r in range(slots)]
    )


def traits2positions(traits: Floats, metre: int) -> Floats:
    """[beats] place in the bar (0: downbeat) by Viterbi; a bar may be cut short or drawn out where much speaks for it.
    Eighth 0 of `traits` is a beat."""
    profile = np.array(PROFILES[metre])
    count = traits.shape[1] // 2
    odd = np.zeros((5, count))
    odd[:, : traits[:, 1::2].shape[1]] = traits[:, 1::2][:, :count]
    scores = traits[:, 0 : 2 * count : 2].T @ profile[:, ::2] + odd.T @ profile[:, 1::2]
    total = scores[0].copy()
    back = np.zeros((count, metre), dtype=np.int64)
    for t in range(1, count):
        onward = np.roll(total, 1)
        jump = int(total.argmax())
        jumps = total[jump] - SLIP
        back[t] = np.where(onward >= jumps, (np.arange(metre) - 1) % metre, jump)
        total = np.maximum(onward, jumps) + scores[t]
    path = [int(total.argmax())]
    for t in range(count - 1, 0, -1):
        path.append(int(back[t, path[-1]]))
    return np.array(path[::-1], dtype=float)


def _change(before: Floats, after: Floats) -> Floats:
    """[spans] 0-1: one less the cosine of two profiles; 0 where either is silent."""
    size = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return np.asarray(np.where(size > 1e-9, 1.0 - (before * after).sum(axis=1) / np.maximum(size, 1e-9), 0.0))
