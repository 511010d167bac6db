"""A small grammar of functional harmony in seven modes: chords for the sections of training songs.

A section is made of phrases; a phrase is either a loop that modern songs repeat, or a walk over functions (tonic ->
subdominant -> dominant -> tonic) that ends in a cadence. Sections end as their labels do: a verse or pre-chorus opens
towards what follows (half cadence), a chorus or outro closes (authentic, plagal or the mode's own cadence). Sections of
one label share their chords, now and then with another ending. All of it is ours; no song was copied.

Conventions: a degree is 0-6 of the key's scale; chords are (degree, quality) turned into semitones above the tonic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.lelm.slots import middle
from engine.score import QUALITIES, SCALES, Chord, FormSection, Key

LOOPS: dict[str, tuple[tuple[int, ...], ...]] = {
    "major": (
        (0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (0, 3, 4, 3), (0, 3, 0, 4), (3, 0, 4, 5), (0, 2, 3, 4), (0, 3, 5, 4),
        (3, 4, 2, 5), (1, 4, 0, 5), (0, 5, 1, 4), (0, 1, 3, 0), (5, 4, 3, 4), (0, 4, 1, 3), (3, 4, 0, 0), (0, 2, 5, 3),
    ),
    "minor": (
        (0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 6), (0, 5, 3, 4), (0, 2, 6, 3), (0, 3, 5, 4), (5, 6, 0, 0), (0, 6, 5, 4),
        (0, 3, 0, 4), (0, 5, 6, 0), (3, 0, 4, 0), (0, 2, 5, 4), (5, 2, 6, 0), (0, 4, 5, 3),
    ),
    "dorian": ((0, 3), (0, 3, 0, 6), (0, 2, 3, 0), (0, 6, 3, 0), (0, 1, 2, 3), (0, 3, 6, 0)),
    "phrygian": ((0, 1), (0, 1, 2, 1), (0, 6, 1, 0), (0, 5, 1, 0), (0, 1, 5, 0), (0, 3, 1, 0)),
    "lydian": ((0, 1), (0, 1, 5, 1), (0, 4, 1, 0), (0, 1, 4, 0), (5, 1, 0, 0), (0, 2, 1, 0)),
    "mixolydian": ((0, 6, 3, 0), (0, 3, 6, 3), (0, 6, 3, 4), (0, 4, 6, 3), (0, 6), (0, 1, 6, 0), (3, 0, 6, 0)),
    "locrian": ((0, 4), (0, 5, 4, 0), (0, 1, 4, 0), (0, 5, 6, 0), (0, 4, 2, 0)),
}  # fmt: skip
CADENCES: dict[str, dict[str, tuple[tuple[int, ...], ...]]] = {
    "major": {
        "closed": ((4, 0), (1, 4, 0), (3, 4, 0), (3, 0), (5, 4, 0)),
        "open": ((3, 4), (1, 4), (0, 4), (5, 4), (1, 3)),
    },
    "minor": {
        "closed": ((4, 0), (3, 4, 0), (5, 6, 0), (6, 0), (1, 4, 0)),
        "open": ((3, 4), (5, 4), (0, 6), (5, 6), (0, 4)),
    },
    "dorian": {"closed": ((3, 0), (6, 0), (6, 3, 0)), "open": ((0, 3), (2, 3), (0, 6))},
    "phrygian": {"closed": ((1, 0), (6, 1, 0), (2, 1, 0)), "open": ((0, 1), (5, 1), (0, 6))},
    "lydian": {"closed": ((1, 0), (4, 0), (1, 4, 0)), "open": ((0, 1), (5, 1), (0, 4))},
    "mixolydian": {"closed": ((6, 0), (3, 0), (6, 3, 0)), "open": ((0, 6), (3, 6), (0, 4))},
    "locrian": {"closed": ((4, 0), (6, 0), (5, 0)), "open": ((0, 4), (5, 4), (0, 6))},
}  # fmt: skip
NEXT: dict[str, dict[int, tuple[tuple[int, float], ...]]] = {
    "major": {
        0: ((3, 3), (5, 3), (4, 2), (1, 2), (2, 1)), 1: ((4, 4), (3, 1), (0, 0.5)), 2: ((5, 3), (3, 3)),
        3: ((4, 3), (0, 3), (1, 1.5), (5, 1)), 4: ((0, 4), (5, 2), (3, 1)), 5: ((3, 3), (1, 2), (4, 2), (2, 1)),
    },
    "minor": {
        0: ((3, 3), (5, 3), (6, 2), (2, 1.5), (4, 1)), 1: ((4, 1),), 2: ((5, 2), (3, 2), (6, 2)),
        3: ((4, 3), (0, 2), (6, 2)), 4: ((0, 4), (5, 2)), 5: ((6, 3), (2, 2), (3, 2), (4, 1)),
        6: ((2, 2), (0, 2), (5, 1)),
    },
}  # fmt: skip
OPEN_LABELS = ("verse", "pre-chorus", "bridge", "intro", "break", "interlude")
COLOURS = ("triads", "sevenths", "mixed")


@dataclass(frozen=True, slots=True)
class Taste:
    """What a song's harmony is like: `colour` of `COLOURS`, slots per chord (1 half a bar, 2 a bar, 4 two bars)."""

    colour: str
    pace: int


def song2chords(sections: Sequence[FormSection], key: Key, rng: np.random.Generator) -> tuple[Chord, ...]:
    """Chords over all bars of a form."""
    taste = Taste(str(rng.choice(COLOURS, p=(0.5, 0.2, 0.3))), int(rng.choice((1, 2, 4), p=(0.12, 0.7, 0.18))))
    patterns: dict[str, list[int]] = {}
    qualities: dict[tuple[str, int], str] = {}
    chords: list[Chord] = []
    for number, section in enumerate(sections):
        last = number == len(sections) - 1
        shared = section.label if section.label not in ("outro", "post-chorus") else "chorus"
        if shared not in patterns:
            patterns[shared] = section_pattern(section.label, key.mode, taste, rng)
        degrees = fit(patterns[shared], 2 * len(section.bars))
        if last or (section.index and rng.random() < 0.15):
            closed = last or section.label not in OPEN_LABELS
            degrees = end_with(degrees, cadence(key.mode, closed=closed, rng=rng), taste)
        spans = [(b.start, middle(b)) for b in section.bars], [(middle(b), b.end) for b in section.bars]
        slots = [s for pair in zip(*spans, strict=True) for s in pair]
        before = None
        for (start, end), degree in zip(slots, degrees, strict=True):
            if degree == before:
                c = chords[-1]
                chords[-1] = Chord(c.beat, end - c.beat, c.root, c.quality)
                continue
            before = degree
            if (section.label, degree) not in qualities:
                qualities[section.label, degree] = choose_quality(degree, key.mode, taste, rng)
            root = (key.tonic + SCALES[key.mode][degree]) % 12
            chords.append(Chord(start, end - start, root, qualities[section.label, degree]))
    return tuple(chords)


def section_pattern(label: str, mode: str, taste: Taste, rng: np.random.Generator) -> list[int]:
    """Degrees per slot of one section, 8 or 16 slots, to be repeated."""
    if rng.random() < 0.55:
        pool = LOOPS[mode]
        loop = pool[int(rng.integers(len(pool)))]
        pattern = [d for d in loop for _ in range(taste.pace)]
        if len(pattern) < 8:
            pattern *= 8 // len(pattern)
        if label in OPEN_LABELS or rng.random() < 0.5:
            return pattern
        return end_with(pattern * 2, cadence(mode, closed=True, rng=rng), taste)[:32]
    length = int(rng.choice((8, 16)))
    walk: list[int] = []
    degree = int(rng.choice((0, 0, 0, 5, 3))) if mode in NEXT else 0
    while len(walk) < length:
        walk += [degree] * taste.pace
        degree = step(degree, mode, rng)
    closed = label not in OPEN_LABELS or rng.random() < 0.2
    return end_with(walk[:length], cadence(mode, closed=closed, rng=rng), taste)


def step(degree: int, mode: str, rng: np.random.Generator) -> int:
    """The next degree of a walk. Modes without a table of their own move as their loops do."""
    if mode in NEXT:
        options = NEXT[mode].get(degree, ((0, 1.0),))
    else:
        pairs = [(a, b) for loop in LOOPS[mode] for a, b in zip(loop, (*loop[1:], loop[0]), strict=True) if a == degree]
        options = tuple((b, 1.0) for _, b in pairs) or ((0, 1.0),)
    weights = np.array([w for _, w in options])
    return options[int(rng.choice(len(options), p=weights / weights.sum()))][0]


def cadence(mode: str, *, closed: bool, rng: np.random.Generator) -> tuple[int, ...]:
    """Degrees that end a phrase."""
    pool = CADENCES[mode]["closed" if closed else "open"]
    return pool[int(rng.integers(len(pool)))]


def end_with(degrees: Sequence[int], close: Sequence[int], taste: Taste) -> list[int]:
    """The same length, its last slots replaced by a cadence: the goal takes a bar, its approach less or as much."""
    each = 2 if taste.pace >= 2 and len(degrees) >= 2 * len(close) + 2 else 1
    tail = [d for d in close[:-1] for _ in range(each)] + [close[-1]] * 2
    keep = max(len(degrees) - len(tail), 0)
    return [*degrees[:keep], *tail][-len(degrees) :] if degrees else []


def fit(pattern: Sequence[int], slots: int) -> list[int]:
    """The pattern repeated and cut to `slots`; a section that is longer ends as the pattern ends."""
    if slots <= len(pattern):
        return list(pattern[:slots])
    extra = slots % len(pattern)
    body = list(pattern) * (slots // len(pattern))
    return [*pattern[:extra], *body] if extra else body


def choose_quality(degree: int, mode: str, taste: Taste, rng: np.random.Generator) -> str:
    """A diatonic quality; minor keys make their dominant major."""
    scale = SCALES[mode]
    tones = tuple((scale[(degree + 2 * k) % 7] - scale[degree]) % 12 for k in range(4))
    if mode == "minor" and degree == 4 and rng.random() < 0.7:
        tones = (0, 4, 7, 10)
    four = taste.colour == "sevenths" or (taste.colour == "mixed" and rng.random() < 0.4)
    wanted = tones if four else tones[:3]
    name = next((q for q, t in QUALITIES.items() if t == wanted), None)
    name = name if name is not None else next((q for q, t in QUALITIES.items() if t == tones[:3]), "")
    if name == "" and taste.colour != "triads" and degree in (0, 3) and rng.random() < 0.15:
        return "6"
    if name in ("", "m") and rng.random() < 0.06:
        second, fourth = (scale[(degree + 1) % 7] - scale[degree]) % 12, (scale[(degree + 3) % 7] - scale[degree]) % 12
        if degree == 4 and fourth == 5 and tones[2] == 7:
            return "sus4"
        if second == 2 and tones[2] == 7:
            return "sus2"
    return name
