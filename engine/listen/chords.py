"""Chords of a piece of notes, one per half bar, by templates and Viterbi.

Each span's pitch classes (weighted by duration, melody less) are read as draws from a chord's tones, its lowest notes
as draws from the chord's bass; a hidden Markov chain over 12 roots x the qualities of `engine.score.QUALITIES` prefers
to stay, to change at bar lines and to keep to the key. Spans in which nothing harmonic sounds are not given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bridge.timeline import Bar, Clock
from engine.listen.tones import Floats, Spans, Tones, tones2basses, tones2profiles
from engine.score import QUALITIES, Chord, Key

NAMES = tuple(QUALITIES)
TONE_WEIGHT = {
    0: 0.31,
    2: 0.24,
    3: 0.27,
    4: 0.27,
    5: 0.24,
    6: 0.22,
    7: 0.2,
    8: 0.24,
    9: 0.22,
    10: 0.22,
    11: 0.22,
    14: 0.16,
}
"""How often a chord's tone is played, by semitones above the root."""
QUALITY_PRIOR = {
    "": 0.0, "m": 0.0, "7": -1.1, "maj7": -1.1, "m7": -1.0, "sus2": -2.0, "sus4": -1.7, "dim": -1.0, "aug": -3.0,
    "m7b5": -1.0, "dim7": -1.9, "6": -2.4, "m6": -2.8, "9": -2.2,
}  # fmt: skip
STRAY = 0.12
"""Share of notes that belong to no chord."""
EVIDENCE = 9.0
BASS_EVIDENCE = 1.5
BASS_WEIGHT = {0: 0.80, 3: 0.06, 4: 0.06, 7: 0.07, 10: 0.02, 11: 0.015}
CHANGE_AT_BAR, CHANGE_IN_BAR = -0.7, -2.6
OUT_OF_KEY = -0.7
FIFTH_BONUS = 0.2
SLASH_SHARE = 0.7
MIN_WEIGHT = 0.1
"""Below this many weighted beats per beat a span is silent."""


def bars2spans(bars: Sequence[Bar]) -> list[tuple[float, float]]:
    """Half bars: from four beats on a bar falls in two (odd ones after the larger half), shorter ones stay whole."""
    spans: list[tuple[float, float]] = []
    for bar in bars:
        beats, beat = bar.metre.beats, 4.0 / bar.metre.unit
        middle = bar.start + (beats + 1) // 2 * beat
        if beats >= 4 and middle < bar.end - 1e-9:
            spans += [(bar.start, middle), (middle, bar.end)]
        else:
            spans.append((bar.start, bar.end))
    return spans


def tones2chords(tones: Tones, clock: Clock, keys: Sequence[tuple[float, Key]]) -> tuple[Chord, ...]:
    """Chords, marked `given`, merged where neighbours are equal. `keys`: (beat, key in force from there), at least one.

    A silent second half of a bar keeps the chord of the first; other silence is left open.
    """
    if not len(tones.start):
        return ()
    bars = list(clock.bars(float(tones.start.min()), float(tones.end.max())))
    spans = bars2spans(bars)
    if not spans:
        return ()
    lines = {round(bar.start, 6) for bar in bars}
    at_bar = np.array([round(a, 6) in lines for a, _ in spans])
    profiles, basses = tones2profiles(tones, spans), tones2basses(tones, spans)
    sounding = profiles.sum(axis=1) >= MIN_WEIGHT * np.array([b - a for a, b in spans])
    logs = emissions(profiles, basses)
    logs[~sounding] = 0.0
    path = viterbi(logs, at_bar, key_bonus([_key_at(keys, a) for a, _ in spans]))
    return _merge(spans, path, sounding, at_bar, basses)


def templates() -> tuple[Floats, Floats]:
    """[168, 12] log probabilities of pitch classes, and of bass notes; state = root * 14 + quality."""
    tones, basses = np.zeros((168, 12)), np.zeros((168, 12))
    for root in range(12):
        for q, name in enumerate(NAMES):
            row = np.zeros(12)
            low = np.full(12, 0.003)
            for degree in QUALITIES[name]:
                row[(root + degree) % 12] = TONE_WEIGHT[degree]
                low[(root + degree) % 12] = BASS_WEIGHT.get(degree % 12, 0.015)
            tones[root * 14 + q] = np.log((1 - STRAY) * row / row.sum() + STRAY / 12)
            basses[root * 14 + q] = np.log(low / low.sum())
    return tones, basses


_TONES, _BASSES = templates()
_PRIOR = np.tile([QUALITY_PRIOR[name] for name in NAMES], 12)


def emissions(profiles: Floats, basses: Floats) -> Floats:
    """[spans, 168] log-likelihood of every chord. Very short playing weighs less than a full half bar."""
    total = profiles.sum(axis=1, keepdims=True)
    share = np.divide(profiles, total, out=np.zeros_like(profiles), where=total > 0)
    sure = np.minimum(1.0, total / 0.5)
    return np.asarray(sure * (EVIDENCE * share @ _TONES.T + BASS_EVIDENCE * basses @ _BASSES.T) + _PRIOR)


def key_bonus(keys: Sequence[Key]) -> Floats:
    """[spans, 168] log prior of chords in the key of each span: less for every tone outside the scale (at most two)."""
    rows: dict[tuple[int, str], Floats] = {}
    for key in keys:
        if (key.tonic, key.mode) not in rows:
            out = [
                sum((root + d) % 12 not in key.scale for d in QUALITIES[name]) for root in range(12) for name in NAMES
            ]
            rows[key.tonic, key.mode] = OUT_OF_KEY * np.minimum(np.array(out, dtype=float), 2.0)
    return np.array([rows[k.tonic, k.mode] for k in keys])


def viterbi(logs: Floats, at_bar: Sequence[bool] | Floats, bonus: Floats) -> list[int]:
    """Best path of states. Staying is free; a change costs less at a bar line, and less for a root a fifth below."""
    roots = np.arange(168) // 14
    move = np.where((roots[:, None] - roots[None, :]) % 12 == 7, FIFTH_BONUS, 0.0)
    stay = np.eye(168, dtype=bool)
    score = logs[0] + bonus[0]
    back = np.zeros(logs.shape, dtype=np.int64)
    for t in range(1, len(logs)):
        change = CHANGE_AT_BAR if at_bar[t] else CHANGE_IN_BAR
        step = score[:, None] + np.where(stay, 0.0, change + move)
        back[t] = step.argmax(axis=0)
        score = step.max(axis=0) + logs[t] + bonus[t]
    path = [int(score.argmax())]
    for t in range(len(logs) - 1, 0, -1):
        path.append(int(back[t, path[-1]]))
    return path[::-1]


def _key_at(keys: Sequence[tuple[float, Key]], beat: float) -> Key:
    found = keys[0][1]
    for at, key in keys:
        if at <= beat + 1e-9:
            found = key
    return found


def _merge(spans: Spans, path: Sequence[int], sounding: Floats, at_bar: Floats, basses: Floats) -> tuple[Chord, ...]:
    """Chords with slash basses from states; equal neighbours become one."""
    chords: list[Chord] = []
    for (start, end), state, sounds, first, bass in zip(spans, path, sounding, at_bar, basses, strict=True):
        before = chords[-1] if chords and abs(chords[-1].end - start) < 1e-6 else None
        if not sounds:
            if before and not first:
                chords[-1] = Chord(before.beat, end - before.beat, before.root, before.quality, before.bass, True)
            continue
        root, quality = state // 14, NAMES[state % 14]
        low = int(bass.argmax())
        slash = low if bass[low] >= SLASH_SHARE and low != root else None
        if before and (before.root, before.quality, before.bass) == (root, quality, slash):
            chords[-1] = Chord(before.beat, end - before.beat, root, quality, slash, True)
        else:
            chords.append(Chord(start, end - start, root, quality, slash, True))
    return tuple(chords)
