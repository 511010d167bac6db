"""Songs with known key and chords for the tests of listening: progressions in every key, in several voicings and
textures, with a bass and a melody that hold passing notes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np

from engine.score import QUALITIES, SCALES, Note, Part

PROGRESSIONS: dict[str, tuple[tuple[tuple[int, str], ...], ...]] = {
    "major": (
        ((0, ""), (7, ""), (9, "m"), (5, "")),
        ((0, "maj7"), (9, "m7"), (2, "m7"), (7, "7")),
        ((0, ""), (5, ""), (0, ""), (7, "7")),
        ((0, ""), (4, "m"), (5, ""), (5, "m")),
        ((0, ""), (9, "7"), (2, "m7"), (7, "sus4")),
        ((0, ""), (11, "dim"), (9, "m"), (5, "maj7")),
    ),
    "minor": (
        ((0, "m"), (8, ""), (3, ""), (10, "")),
        ((0, "m7"), (5, "m7"), (10, "7"), (3, "maj7")),
        ((0, "m"), (10, ""), (8, ""), (7, "7")),
        ((0, "m"), (5, "m"), (7, "7"), (0, "m")),
        ((0, "m"), (2, "m7b5"), (7, "7"), (0, "m")),
    ),
}
"""Chords as (semitones above the tonic, quality)."""
TEXTURES = ("block", "broken", "pushed", "strummed")


@dataclass(frozen=True)
class Song:
    """`chords`: (beat, beats, root, quality) that were written; four beats to the bar."""

    tonic: int
    mode: str
    chords: tuple[tuple[float, float, int, str], ...]
    parts: tuple[Part, ...]

    @property
    def beats(self) -> float:
        """Where the last chord ends."""
        return self.chords[-1][0] + self.chords[-1][1]


def make_song(seed: int, *, bass: bool = True, melody: bool = True, bars: int = 16) -> Song:
    """A song from a seed: key, progression, chord rhythm (whole or half bars), voicing, texture, melody."""
    rng = np.random.default_rng(seed)
    tonic, mode = int(rng.integers(12)), ("major", "minor")[int(rng.integers(2))]
    progression = PROGRESSIONS[mode][int(rng.integers(len(PROGRESSIONS[mode])))]
    length = 2.0 if rng.random() < 0.3 else 4.0
    count = int(bars * 4 / length)
    chords = tuple(
        (k * length, length, (progression[k % 4][0] + tonic) % 12, progression[k % 4][1]) for k in range(count)
    )
    texture = TEXTURES[int(rng.integers(len(TEXTURES)))]
    parts = [Part("Keys", "keys", tuple(n for c in chords for n in _comp(c, texture, rng)))]
    if bass:
        parts.append(Part("Bass", "bass", tuple(n for c in chords for n in _bass(c, rng))))
    if melody:
        parts.append(Part("Lead", "lead", tuple(_melody(chords, tonic, mode, rng))))
    return Song(tonic, mode, chords, tuple(parts))


def _voicing(root: int, quality: str, rng: np.random.Generator) -> list[int]:
    """Close position between C3 and C5 in a random inversion, now and then without the fifth or with a doubled root."""
    degrees = list(QUALITIES[quality])
    if len(degrees) > 3 and 7 in degrees and rng.random() < 0.3:
        degrees.remove(7)
    pitches = sorted(52 + (root + d - 52) % 12 for d in degrees)
    for _ in range(int(rng.integers(3))):
        pitches = [*pitches[1:], pitches[0] + 12]
    return pitches + ([max(pitches) + (root - max(pitches)) % 12] if rng.random() < 0.2 else [])


def _comp(chord: tuple[float, float, int, str], texture: str, rng: np.random.Generator) -> list[Note]:
    beat, beats, root, quality = chord
    pitches = _voicing(root, quality, rng)
    velocity = int(rng.integers(60, 100))
    if texture == "block":
        return [Note(beat, beats * 0.95, p, velocity) for p in pitches]
    if texture == "broken":
        count = int(beats * 2)
        return [
            Note(beat + k / 2, 0.5, pitches[(k if k < len(pitches) else k + 1) % len(pitches)], velocity)
            for k in range(count)
        ]
    if texture == "pushed":
        early = 0.5 if beat else 0.0
        return [Note(beat - early, beats * 0.9, p, velocity) for p in pitches]
    return [Note(beat + at, 0.4, p, velocity) for at in np.arange(0, beats, 1.0) for p in pitches]


def _bass(chord: tuple[float, float, int, str], rng: np.random.Generator) -> list[Note]:
    """Root first, then roots, fifths of the chord and now and then a passing note at the end."""
    beat, beats, root, quality = chord
    low = 33 + (root - 33) % 12
    fifth = next((d for d in QUALITIES[quality] if d in (6, 7, 8)), 7)
    notes = [Note(beat, 0.9, low, 90)]
    for k in range(1, int(beats)):
        step = fifth if rng.random() < 0.4 else 0
        if k == int(beats) - 1 and rng.random() < 0.25:
            step = int(rng.choice([2, -2, 1, -1]))
        notes.append(Note(beat + k, 0.9, low + step, 85))
    return notes


def _melody(
    chords: tuple[tuple[float, float, int, str], ...], tonic: int, mode: str, rng: np.random.Generator
) -> list[Note]:
    """Half of its notes are chord tones; the rest is any note of the scale."""
    scale = [(tonic + d) % 12 for d in SCALES[mode]]
    notes = []
    for beat, beats, root, quality in chords:
        at = 0.0
        while at < beats:
            long = min(float(rng.choice([0.5, 0.5, 1.0, 1.5])), beats - at)
            if rng.random() < 0.85:
                tones = [(root + d) % 12 for d in QUALITIES[quality]] if rng.random() < 0.5 else scale
                notes.append(
                    Note(beat + at, long * 0.9, 67 + (int(rng.choice(tones)) - 67) % 12, int(rng.integers(70, 110)))
                )
            at += long
    return notes


def save(path: Path, parts: tuple[Part, ...], *, names: bool = True) -> Path:
    """Writes parts as a MIDI file, one track each, 480 ticks per beat; drums on channel 10."""
    midi = mido.MidiFile(ticks_per_beat=480)
    for index, part in enumerate(parts):
        track, now = mido.MidiTrack(), 0
        if names:
            track.append(mido.MetaMessage("track_name", name=part.name))
        channel = 9 if part.role == "drums" else index
        events = [(round(max(n.start, 0) * 480), 1, n.pitch, n.velocity) for n in part.notes]
        events += [(round(n.end * 480), 0, n.pitch, 0) for n in part.notes]
        for tick, kind, pitch, velocity in sorted(events):
            name = "note_on" if kind else "note_off"
            track.append(mido.Message(name, note=pitch, velocity=velocity, channel=channel, time=tick - now))
            now = tick
        midi.tracks.append(track)
    midi.save(path)
    return path


def right_share(song: Song, heard: tuple[object, ...], *, roots_only: bool) -> float:
    """Share of the song's beats at which the chord heard is the chord written (or has its root)."""
    good = total = 0
    for beat in np.arange(0.25, song.beats, 0.5):
        truth = next(c for c in song.chords if c[0] <= beat < c[0] + c[1])
        found = next((c for c in heard if c.beat <= beat < c.end), None)  # type: ignore[attr-defined]
        total += 1
        good += found is not None and found.root == truth[2] and (roots_only or found.quality == truth[3])
    return good / total
