"""Voicings for comp and pad: which chord tones, and where they lie after the voicing before (closest motion).

Rules: no interval under a fourth below C3 (it turns to mud); at most two hands of ten notes; voice-led shapes choose,
among all close positions in their register, the one that moves least and stays near the register's middle; rooted
shapes (guitar, power chords, octaves) stand on the lowest root in the register.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.grooves.groove import ROOTED
from engine.grooves.harmony import local_scale
from engine.score import TONES, Chord, Key, Note

MUD = 48
"""Below this pitch (C3) neighbouring voices keep at least a fourth apart."""


@dataclass(frozen=True, slots=True)
class Voicing:
    """The pitches that a stream sounded last, ascending."""

    pitches: tuple[int, ...]


def last_voicing(notes: Sequence[Note]) -> Voicing | None:
    """The fullest chord struck last in `notes` (sorted by start): what the next bar is led from. None for no notes."""
    if not notes:
        return None
    by_start: dict[float, list[int]] = {}
    for note in notes:
        by_start.setdefault(round(note.start, 4), []).append(note.pitch)
    widest = max(len(p) for p in by_start.values())
    full = [t for t, p in by_start.items() if len(p) >= min(3, widest)]
    return Voicing(tuple(sorted(by_start[max(full)])))


def chord2pitches(chord: Chord, key: Key, shape: str, low: int, high: int, before: Voicing | None) -> tuple[int, ...]:
    """Pitches of `chord` in a shape of `SHAPES`, inside `low`-`high`, ascending."""
    if shape in ROOTED:
        return _rooted(chord, shape, low, high)
    classes = _classes(chord, key, shape)
    found = _close_positions(classes, low, high)
    if not found:
        found = _close_positions(classes[-3:], low, high) or [_rooted(chord, "fifths", low, high)]
    middle = (low + high) / 2

    def cost(pitches: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
        centre = abs(sum(pitches) / len(pitches) - middle)
        mud = sum(8.0 for a, b in pairwise(pitches) if a < MUD and b - a < 5)
        bite = 3.0 if len(pitches) > 2 and pitches[-1] - pitches[-2] == 1 else 0.0
        if before is None:
            return centre + mud + bite, pitches
        return _motion(before.pitches, pitches) + 0.35 * centre + mud + bite, pitches

    return min(found, key=cost)


def _motion(before: tuple[int, ...], after: tuple[int, ...]) -> float:
    """Semitones moved: each voice to its nearest, both ways, and the top voice, which is heard most, again."""
    there = sum(min(abs(p - q) for q in before) for p in after)
    back = sum(min(abs(p - q) for q in after) for p in before)
    return (there + back) / 2 + 0.5 * abs(before[-1] - after[-1])


def _classes(chord: Chord, key: Key, shape: str) -> tuple[int, ...]:
    """Pitch classes of a voice-led shape, from the bottom of its first position."""
    tones = TONES[chord.quality]
    root, third, fifth = tones[0], tones[1], tones[2]
    colour = next((t for t in tones[3:] if t < 12), None)
    own = next((t - 12 for t in tones[3:] if t > 12), None)
    ninth = 2 if (chord.root + 2) % 12 in local_scale(chord, key) and fifth == 7 and third in (3, 4) else root
    if own is not None:
        ninth = own
        if shape in ("triad", "seventh"):
            return tuple((chord.root + t) % 12 for t in (third, fifth if colour is None else colour, root, ninth))
    if shape == "triad":
        picked: tuple[int, ...] = (root, third, fifth)
    elif shape == "seventh":
        picked = (root, third, fifth) if colour is None else (root, third, fifth, colour)
    elif shape == "rootless":
        picked = (third, fifth, root, ninth) if colour is None else (third, fifth, colour, ninth)
    elif shape == "shell":
        picked = (third, fifth, root) if colour is None else (third, colour, ninth if ninth != root else fifth)
    elif shape == "add9":
        picked = (root, ninth, third, fifth) if colour is None else (ninth, third, fifth, colour)
    else:
        picked = (third, fifth) if colour is None else (third, colour)
    return tuple(dict.fromkeys((chord.root + t) % 12 for t in picked))


def _close_positions(classes: Sequence[int], low: int, high: int) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    for bottom in classes:
        above = sorted(((pc - bottom) % 12) for pc in classes)
        starts = (p for p in range(low, high + 1 - above[-1]) if p % 12 == bottom)
        found += [tuple(start + a for a in above) for start in starts]
    return found


def _rooted(chord: Chord, shape: str, low: int, high: int) -> tuple[int, ...]:
    tones = TONES[chord.quality]
    third, fifth = tones[1], tones[2]
    root = low + (chord.root - low) % 12
    stacks = {
        "power": (0, fifth, 12),
        "octaves": (0, 12),
        "fifths": (0, fifth, 12, 12 + fifth),
        "strum": (0, fifth, 12, 12 + third, 12 + fifth),
    }
    stack = stacks[shape]
    if shape == "strum" and len(tones) > 3:
        stack = (
            (0, fifth, 12, 12 + third, 12 + tones[3] % 12) if tones[3] < 12 else (0, fifth, 12, tones[3], 12 + third)
        )
    return tuple(sorted({root + s for s in stack if root + s <= high}))
