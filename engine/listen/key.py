"""The key of a piece from how much each pitch class sounds.

A key is a tonic and one of seven modes. The pitch classes of a piece are read as draws from the key's profile; the
posterior over all 84 keys gives the best one and an honest confidence: few notes, or notes that fit many keys, make
it low.
Profiles of major and minor: D. Temperley, "Music and Probability" (2007), from the Kostka-Payne corpus; the minor one
is softened towards the natural seventh of popular music, the other modes are derived from their altered degree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.listen.tones import Floats, Tones
from engine.score import SCALES, Chord, Key

MAJOR = (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400)
MINOR = (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.300, 0.200)
MODES = tuple(SCALES)
PRIOR = {
    "major": 0.0,
    "minor": -0.2,
    "mixolydian": -2.2,
    "dorian": -2.2,
    "lydian": -3.5,
    "phrygian": -3.5,
    "locrian": -7.0,
}
"""Log prior of a mode."""
EVIDENCE_MAX = 30.0
"""A piece never counts for more than this many independent notes: its notes depend on each other."""
NOTES_ENOUGH = 16
"""With fewer notes than this the chords say less about the tonic."""


@dataclass(frozen=True)
class KeyGuess:
    """`key` heard, `confidence` 0-1 (posterior of the key), `ranking`: the best keys with theirs."""

    key: Key
    confidence: float
    ranking: tuple[tuple[Key, float], ...] = ()


def _profiles() -> Floats:
    """[7 modes, 12 degrees] probabilities."""
    swaps = {
        "major": (MAJOR, None), "mixolydian": (MAJOR, (10, 11)), "lydian": (MAJOR, (5, 6)), "minor": (MINOR, None),
        "dorian": (MINOR, (8, 9)), "phrygian": (MINOR, (1, 2)), "locrian": (MINOR, (1, 2)),
    }  # fmt: skip
    rows = []
    for mode in MODES:
        base, swap = swaps[mode]
        row = np.array(base)
        if swap:
            row[list(swap)] = row[list(reversed(swap))]
        if mode in ("phrygian", "dorian", "locrian"):
            row[10], row[11] = 0.42, 0.08
        if mode == "locrian":
            row[[6, 7]] = row[[7, 6]]
        rows.append(row / row.sum())
    return np.array(rows)


PROFILES = _profiles()


def profile2key(profile: Floats, evidence: float, tonic_evidence: Floats | None = None) -> KeyGuess:
    """Key from weights of the 12 pitch classes. `evidence`: number of independent notes behind them (the posterior
    from few stays flat). `tonic_evidence` [12]: log-likelihoods for each tonic from elsewhere (chords)."""
    total = float(profile.sum())
    logs = np.zeros((12, len(MODES))) + np.array([PRIOR[m] for m in MODES])
    if total > 0:
        share = profile / total
        for tonic in range(12):
            logs[tonic] += min(evidence, EVIDENCE_MAX) * (np.log(PROFILES + 0.004) @ np.roll(share, -tonic))
        if tonic_evidence is not None:
            logs += tonic_evidence[:, None]
    posterior = np.exp(logs - logs.max())
    posterior /= posterior.sum()
    order = np.argsort(posterior, axis=None, kind="stable")[::-1][:5]
    ranking = tuple((Key(int(i) // len(MODES), MODES[int(i) % len(MODES)]), float(posterior.flat[i])) for i in order)
    return KeyGuess(ranking[0][0], ranking[0][1] if total > 0 else 0.0, ranking)


def tones2key(tones: Tones, chords: Sequence[Chord] = ()) -> KeyGuess:
    """Key of a piece of notes. `chords`, when already heard, say which tonic the piece comes from and goes to."""
    profile = np.zeros(12)
    length = np.minimum(tones.end - tones.start, 2.0) ** 0.5
    np.add.at(profile, tones.pitch % 12, length * tones.weight)
    enough = min(1.0, len(tones.start) / NOTES_ENOUGH)
    tonics = enough * chords2tonics(chords) if chords else None
    return profile2key(profile, 0.7 * len(tones.start) ** 0.8, tonics)


def chords2tonics(chords: Sequence[Chord]) -> Floats:
    """[12] log-likelihood of each tonic: the share of time on its chord, the first (loops begin at home), the last."""
    out = np.zeros(12)
    total = sum(c.beats for c in chords)
    for chord in chords:
        out[chord.root] += 3.0 * chord.beats / total
    out[chords[0].root] += 2.0
    out[chords[-1].root] += 1.0
    return out
