"""Pitches of the single-line streams: bass, arp, lead."""

from __future__ import annotations

from engine.grooves.groove import Event, Pattern
from engine.grooves.harmony import bass_class, degree2semitones, ladder, local_scale, scale_step
from engine.score import Chord, Key

BASS_LOW, BASS_HIGH = 28, 55
"""E1 to G3."""


def bass_pitch(event: Event, chord: Chord, key: Key, pattern: Pattern, target: int | None) -> int:
    """A degree above the chord's bass, or an approach: "/" a semitone below `target`, "\\" a scale step above it."""
    home = pattern.low + (bass_class(chord) - pattern.low) % 12
    if event.symbol in "/\\":
        goal = home if target is None else target
        if event.symbol == "/":
            return _fold(goal - 1, BASS_LOW, BASS_HIGH)
        return _fold(scale_step(goal, 1, local_scale(chord, key)), BASS_LOW, BASS_HIGH)
    if event.symbol in "1x":
        pitch = home
    elif event.symbol == "8":
        pitch = home + 12
    else:
        wanted = chord.root + degree2semitones(int(event.symbol), chord, key)
        pitch = home + (wanted - home) % 12 + (12 if event.symbol == "9" else 0)
    return _fold(pitch + 12 * event.octave, max(BASS_LOW, pattern.low - 5), min(BASS_HIGH, pattern.high))


def arp_pitch(event: Event, chord: Chord, key: Key, pattern: Pattern) -> int:
    """Letters climb the chord tones from the bottom of the register; digits are degrees above the lowest root in it."""
    if event.symbol.isdigit():
        root = pattern.low + (chord.root - pattern.low) % 12
        pitch = root + degree2semitones(int(event.symbol), chord, key)
    else:
        rungs = ladder(chord, pattern.low, pattern.high + 24)
        pitch = rungs["abcdefgh".index(event.symbol)]
    return _fold(pitch + 12 * event.octave, pattern.low, pattern.high)


def lead_pitch(event: Event, chord: Chord, key: Key, pattern: Pattern, before: int | None) -> int:
    """A degree in the octave nearest the note before (`octave` forces a leap up or down), or a step from it.

    n: the nearest chord tone; u, d: a scale step; U, D: the next chord tone; =: the same pitch again, moved to a chord
    tone if it no longer fits the scale. At the edge of the register a step turns round.
    """
    low, high = pattern.low, pattern.high
    here = low + (high - low) * 2 // 5 if before is None else before
    if event.symbol.isdigit():
        wanted = (chord.root + degree2semitones(int(event.symbol), chord, key)) % 12
        places = [p for p in range(low, high + 1) if p % 12 == wanted]
        if event.octave and before is not None:
            beyond = [p for p in places if (p - here) * event.octave > 0]
            places = beyond or places
        return min(places, key=lambda p: (abs(p - here), -p))
    tones = {p % 12 for p in ladder(chord, 60, 71)}
    if event.symbol == "n" or (event.symbol == "=" and here % 12 not in local_scale(chord, key)):
        return min(ladder(chord, low, high), key=lambda p: (abs(p - here), -p))
    if event.symbol == "=":
        return here
    steps = tuple(sorted(tones)) if event.symbol in "UD" else local_scale(chord, key)
    way = 1 if event.symbol in "uU" else -1
    pitch = scale_step(here, way, steps)
    return pitch if low <= pitch <= high else scale_step(here, -way, steps)


def _fold(pitch: int, low: int, high: int) -> int:
    while pitch > high:
        pitch -= 12
    while pitch < low:
        pitch += 12
    return pitch
