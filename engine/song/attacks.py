"""Attacks in a stretched sound as sharp as they came.

Stretching smears what begins suddenly over several milliseconds, before and after. So the first milliseconds of every
attack are laid over the stretched sound as they are in the source, at the place where the map puts them: what rings
after them is stretched, they are not. The way in lies just before the attack, which covers it; the way out where both
sounds are most alike.

Conventions: float32 [channels, samples]; places in samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.conform.warp import crossfade

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]

HOP = 0.001
WINDOW, BEFORE = 0.006, 0.042
"""To find an attack, the energy of a window after a moment is compared with the greatest of a window before it: chords
beat, but not higher than they did."""
SUDDEN = 4.0
"""An attack has so many times that energy (6 dB), in the whole sound or in its heights."""
AUDIBLE = 1e-3
"""And this share of the energy of the loudest one at least."""
APART = 0.060
"""Of two attacks that are nearer to each other the stronger one counts."""
LEAD = 0.010
"""So much before an attack is laid over, too, where stretching has put echoes of it."""
KEPT = 0.022
"""So much of an attack is kept at least."""
IN, OUT, SEARCH = 0.004, 0.014, 0.016
"""Lengths of the ways in and out, and how much later than it could the second may begin."""


def find_attacks(audio: Audio, rate: int) -> list[int]:
    """Where sounds begin suddenly, in order."""
    hop, window, before = (max(round(seconds * rate), 1) for seconds in (HOP, WINDOW, BEFORE))
    if audio.shape[1] < before + 2 * window:
        return []
    mono = audio.mean(axis=0, dtype=np.float64)
    mono = np.concatenate((np.zeros(before), mono))
    at = np.arange(before, len(mono) - window, hop)
    strength = np.zeros(len(at))
    for sound in (mono, np.diff(mono, prepend=mono[:1])):
        sums = np.concatenate(([0.0], np.cumsum(np.square(sound))))
        energy = sums[window:] - sums[:-window]
        coming = energy[at]
        past = np.max([energy[at - back] for back in range(window, before + 1, hop)], axis=0)
        loudest = coming.max()
        ratio = coming / (past + 1e-4 * loudest + 1e-20)
        strength = np.maximum(strength, np.where(coming > AUDIBLE * loudest, ratio, 0.0))
    found: list[int] = []
    taken = np.zeros(len(at), dtype=bool)
    apart = round(APART / HOP)
    for n in np.argsort(-strength, kind="stable"):
        if strength[n] < SUDDEN:
            break
        if not taken[n]:
            taken[max(n - apart, 0) : n + apart + 1] = True
            found.append(int(at[n]) - before)
    return sorted(found)


def keep_attacks(
    made: Audio, source: Audio, attacks: Sequence[int], places: Sequence[int], rate: int, semitones: int = 0
) -> None:
    """Lays the source's attacks over the stretched sound, each at its place in it, in place. Where that was made
    `semitones` higher, so are they."""
    lead, kept, fade_in, fade_out, search = (round(seconds * rate) for seconds in (LEAD, KEPT, IN, OUT, SEARCH))
    ends = [*places, made.shape[1]][1:]
    for attack, place, following in zip(attacks, places, ends, strict=True):
        last = min(made.shape[1], following - lead - fade_in)
        start = place - lead - fade_in
        if start < 0 or place + kept + fade_out > last:
            continue
        until = min(place + kept + search + fade_out, last)
        piece = _excerpt(source, attack, place - start, until - place, rate, semitones)
        under = made[:, start:until]
        places_out = range(lead + fade_in + kept, until - start - fade_out + 1, max(rate // 2000, 1))
        out = min(places_out, key=lambda at: _unlike(under, piece, at, fade_out))
        piece[:, :fade_in] = crossfade(under[:, :fade_in], piece[:, :fade_in])
        piece[:, out : out + fade_out] = crossfade(piece[:, out : out + fade_out], under[:, out : out + fade_out])
        made[:, start : start + out + fade_out] = piece[:, : out + fade_out]


def _excerpt(source: Audio, attack: int, before: int, after: int, rate: int, semitones: int) -> Audio:
    """[channels, before + after] of the source around an attack."""
    if not semitones:
        return _cut(source, attack - before, attack + after)
    import soxr

    ratio = 2.0 ** (semitones / 12)
    margin = round(0.01 * rate)
    wide = _cut(source, attack - round((before + margin) * ratio), attack + round((after + margin) * ratio))
    higher = np.asarray(soxr.resample(wide.T, rate * ratio, rate), dtype=np.float32).T
    at = round(round((before + margin) * ratio) / ratio)
    return np.ascontiguousarray(_cut(higher, at - before, at + after))


def _cut(audio: Audio, first: int, last: int) -> Audio:
    """Samples [first, last), a copy, silence outside the sound."""
    inside = audio[:, max(first, 0) : max(min(last, audio.shape[1]), 0)]
    before = min(max(-first, 0), last - first)
    return np.pad(inside, ((0, 0), (before, last - first - before - inside.shape[1])))


def _unlike(under: Audio, piece: Audio, at: int, length: int) -> float:
    return float(np.square(under[:, at : at + length] - piece[:, at : at + length], dtype=np.float64).sum())
