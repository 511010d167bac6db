"""Pitches said relative to chord and key, so that a token means the same in every key and over every chord.

A tone is a form and an octave. Forms: 0-4 the chord's tones in order (root, third, fifth, seventh, ninth); 5-11 the
scale's tones, counted in scale steps above the chord's root, for pitches that are not chord tones; 12-23 any other
pitch, in semitones above the root. The octave counts C-octaves of the root below the tone.
"""

from __future__ import annotations

from functools import lru_cache

from engine.score import QUALITIES, SCALES, Chord, Key

FORMS = 24
OCTAVES = 10


@lru_cache(maxsize=4096)
def intervals(root: int, quality: str, tonic: int, mode: str) -> tuple[int, ...]:
    """Semitones above the root, 0-11, of each of the 24 forms."""
    tones = [d % 12 for d in QUALITIES[quality]]
    chord = [tones[i] if i < len(tones) else tones[i % len(tones)] for i in range(5)]
    steps = sorted((tonic + d - root) % 12 for d in SCALES[mode])
    return (*chord, *steps, *range(12))


@lru_cache(maxsize=4096)
def forms(root: int, quality: str, tonic: int, mode: str) -> tuple[int, ...]:
    """The form of each interval 0-11 above the root: chord tone first, then scale tone, else chromatic."""
    table = intervals(root, quality, tonic, mode)
    return tuple(table.index(i) for i in range(12))


def pitch2tone(pitch: int, chord: Chord, key: Key) -> tuple[int, int]:
    """(form, octave) of a MIDI pitch over a chord."""
    interval = (pitch - chord.root) % 12
    octave = (pitch - interval - chord.root) // 12
    return forms(chord.root, chord.quality, key.tonic, key.mode)[interval], octave


def tone2pitch(form: int, octave: int, chord: Chord, key: Key) -> int:
    """MIDI pitch of a tone over a chord, inverse of `pitch2tone` over the same chord."""
    return chord.root + 12 * octave + intervals(chord.root, chord.quality, key.tonic, key.mode)[form]
