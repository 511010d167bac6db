"""Chords that the user wrote down by name: they stand where they are, above what was heard in the tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from bridge.arrangement import Arrangement
from bridge.chordnames import name2chord
from engine.compose.harmony import fill_between
from engine.score import SCALES, Chord, Heard, Key

COMMON = ("major", "minor", "mixolydian", "dorian", "lydian", "phrygian")
"""Modes, the commonest first."""
FIRST, LAST = 0.2, 0.1
"""What it is worth to a key that the song begins, and that it ends, on its tonic."""


def with_chords(heard: Heard, arrangement: Arrangement) -> Heard:
    """`heard` with the chords of `arrangement` in place of those heard in the same beats; and in the key that these
    chords spell, where none was given or heard."""
    named = named_chords(arrangement)
    if not named:
        return heard
    chords = fill_between(named, heard.chords)
    if heard.key_confidence > 0.0:
        return replace(heard, chords=chords)
    key, confidence = chords2key(named)
    return replace(heard, chords=chords, key=key, key_confidence=confidence)


def named_chords(arrangement: Arrangement) -> tuple[Chord, ...]:
    """The chords written by name, each to the next one, the last to the end of the sections."""
    if not arrangement.chords or not arrangement.sections:
        return ()
    ends = [*(later.beat for _, later in pairwise(arrangement.chords)), arrangement.end]
    out = []
    for entry, end in zip(arrangement.chords, ends, strict=True):
        found = name2chord(entry.symbol)
        if found is not None and end > entry.beat:
            root, quality, bass = found
            out.append(Chord(entry.beat, end - entry.beat, root, quality, bass, given=True))
    return tuple(out)


def chords2key(chords: Sequence[Chord]) -> tuple[Key, float]:
    """The key whose scale holds most of the chords' time and where they begin and end at home, with the share (0-1) of
    the time that it holds. Of modes that hold the same the commoner one is taken."""
    total = sum(c.beats for c in chords)

    def held(key: Key) -> float:
        inside = (c.beats * len(c.pitch_classes & key.scale) / len(c.pitch_classes) for c in chords)
        return sum(inside) / total

    def likes(key: Key) -> float:
        minor = 3 in SCALES[key.mode]
        at_home = [c.root == key.tonic and ((c.root + 3) % 12 in c.pitch_classes) == minor for c in chords]
        return held(key) + FIRST * at_home[0] + LAST * at_home[-1] - 0.01 * COMMON.index(key.mode)

    keys = [Key(tonic, mode) for tonic in range(12) for mode in COMMON]
    best = max(keys, key=lambda key: (round(likes(key), 6), -key.tonic))
    return best, max(held(best), 0.01)
