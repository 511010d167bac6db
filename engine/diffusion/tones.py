"""Pitches said relative to chord and key, so that a token means the same in every key and over every chord.

A tone is (form, place). Degrees: 0-4 the chord's tones in order (root, third, fifth, seventh, ninth), 5-11 the
scale's other tones, counted in scale steps above the chord's root, 12-23 any other pitch, in semitones above the root.
Three ways of saying where the tone lies:

  root  form = degree; place = octave of the root under the tone, counted from E1. A bass or a power chord that stands
        on its root says the same over every chord.
  rung  form 24, chord tones only; place = 5 * octave + rung: the chord's tones counted from the bottom of an octave
        that begins on G. Arpeggios and voice-led chords, which keep their register, say the same over every chord.
  band  form = 25 + degree; place = octave of the tone itself, counted from D1. Melodies.
"""

from __future__ import annotations

from functools import lru_cache

from engine.score import QUALITIES, SCALES, Chord, Key

DEGREES = 24
CHORD_DEGREES = 5
RUNG = 24
BAND = 25
ROOT_BASE, RUNG_BASE, BAND_BASE = 28, 31, 26
"""E1, G1, D1."""

Tone = tuple[int, int]


@lru_cache(maxsize=4096)
def intervals(root: int, quality: str, tonic: int, mode: str) -> tuple[int, ...]:
    """Semitones above the root, 0-11, of each of the 24 degrees."""
    tones = [d % 12 for d in QUALITIES[quality]]
    chord = [tones[i % len(tones)] for i in range(CHORD_DEGREES)]
    steps = sorted((tonic + d - root) % 12 for d in SCALES[mode])
    return (*chord, *steps, *range(12))


@lru_cache(maxsize=4096)
def degrees(root: int, quality: str, tonic: int, mode: str) -> tuple[int, ...]:
    """The degree of each interval 0-11 above the root: chord tone first, then scale tone, else chromatic."""
    table = intervals(root, quality, tonic, mode)
    return tuple(table.index(i) for i in range(12))


@lru_cache(maxsize=4096)
def rungs(root: int, quality: str) -> tuple[int, ...]:
    """The chord's tones in semitones above the bottom of an octave on G, ascending."""
    return tuple(sorted({(root + d - RUNG_BASE) % 12 for d in QUALITIES[quality]}))


def pitch2root_tone(pitch: int, chord: Chord, key: Key) -> Tone:
    """A tone by degree and the octave of its root."""
    interval = (pitch - chord.root) % 12
    degree = degrees(chord.root, chord.quality, key.tonic, key.mode)[interval]
    return degree, (pitch - interval - ROOT_BASE) // 12


def pitch2band_tone(pitch: int, chord: Chord, key: Key) -> Tone:
    """A tone by degree and its own octave."""
    degree = degrees(chord.root, chord.quality, key.tonic, key.mode)[(pitch - chord.root) % 12]
    return BAND + degree, (pitch - BAND_BASE) // 12


def pitch2rung_tone(pitch: int, chord: Chord, key: Key) -> Tone:
    """A chord tone by its rung; any other pitch as `pitch2band_tone`."""
    octave, above = divmod(pitch - RUNG_BASE, 12)
    ladder = rungs(chord.root, chord.quality)
    if above in ladder:
        return RUNG, 5 * octave + ladder.index(above)
    return pitch2band_tone(pitch, chord, key)


def tone2pitch(tone: Tone, chord: Chord, key: Key) -> int:
    """MIDI pitch of a tone over a chord: the inverse of the three ways, over the same chord.

    A rung above a chord's last one goes on in the next octave.
    """
    form, place = tone
    if form == RUNG:
        ladder = rungs(chord.root, chord.quality)
        over, rung = divmod(place % 5, len(ladder))
        return RUNG_BASE + 12 * (place // 5 + over) + ladder[rung]
    table = intervals(chord.root, chord.quality, key.tonic, key.mode)
    if form < RUNG:
        return ROOT_BASE + 12 * place + (chord.root - ROOT_BASE) % 12 + table[form]
    low = BAND_BASE + 12 * place
    return low + (chord.root + table[form - BAND] - low) % 12
