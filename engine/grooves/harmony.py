"""Chord degrees to pitches: local scales, degrees, ladders of chord tones, and a groove's default chords in a key."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.errors import JobError
from bridge.timeline import Bar
from engine.grooves.groove import Degree, Groove, Progression
from engine.score import QUALITIES, SCALES, TONES, Chord, Key

EPS = 1e-6


def chord_at(chords: Sequence[Chord], beat: float) -> Chord:
    """The chord sounding at `beat`; in a gap the one before it, ahead of the first the first.

    Raises `JobError` where there are no chords.
    """
    if not chords:
        raise JobError("grooves.no_chords", "a groove needs at least one chord to play.")
    found = chords[0]
    for chord in chords:
        if chord.beat > beat + EPS:
            break
        found = chord
    return found


def next_change(chords: Sequence[Chord], beat: float) -> float | None:
    """The first beat after `beat` at which the chord tones or the bass change, or None."""
    here = chord_at(chords, beat)
    for chord in chords:
        if chord.beat > beat + EPS and (
            chord.pitch_classes != here.pitch_classes or bass_class(chord) != bass_class(here)
        ):
            return chord.beat
    return None


def bass_class(chord: Chord) -> int:
    """Pitch class of the chord's bass."""
    return chord.root if chord.bass is None else chord.bass


def local_scale(chord: Chord, key: Key) -> tuple[int, ...]:
    """Pitch classes to pass through over `chord`, ascending from 0: the key's scale, bent where the chord leaves it."""
    scale = {(key.tonic + d) % 12 for d in SCALES[key.mode]}
    for tone in chord.pitch_classes - scale:
        scale -= {(tone + 1) % 12, (tone - 1) % 12} - chord.pitch_classes
        scale.add(tone)
    return tuple(sorted(scale))


def degree2semitones(degree: int, chord: Chord, key: Key) -> int:
    """Semitones above the chord's root of degree 1-9: chord tones where the chord has them, else the local scale's.

    A ninth that the scale makes minor would grate: it becomes the octave.
    """
    tones = TONES[chord.quality]
    if degree == 9:
        second = degree2semitones(2, chord, key)
        return 12 + (second if second == 2 else 0)
    if degree == 8:
        return 12
    own = {1: 0, 3: tones[1], 5: tones[2]}
    if len(tones) > 3 and tones[3] < 12:
        own[6 if tones[3] == 9 and chord.quality != "dim7" else 7] = tones[3]
    if degree in own:
        return own[degree]
    wanted = {2: (2, 1), 4: (5, 6), 6: (9, 8), 7: (10, 11)}[degree]
    scale = {(pc - chord.root) % 12 for pc in local_scale(chord, key)}
    return next((s for s in wanted if s in scale), wanted[0])


def ladder(chord: Chord, low: int, high: int) -> tuple[int, ...]:
    """Chord tones (without a slash bass) from `low` to `high`, ascending."""
    tones = {(chord.root + d) % 12 for d in TONES[chord.quality]}
    return tuple(p for p in range(low, high + 1) if p % 12 in tones)


def scale_step(pitch: int, steps: int, scale: Sequence[int]) -> int:
    """The pitch `steps` (+1 or -1) scale steps from `pitch`, which need not lie in the scale."""
    pitch += steps
    while pitch % 12 not in scale:
        pitch += steps
    return pitch


def groove2chords(groove: Groove, level: str, key: Key, bars: Sequence[Bar], index: int = 0) -> tuple[Chord, ...]:
    """The groove's own chord idea for `bars`, repeated to fill them. `index` picks among several.

    A level without chords of its own takes the verse's; the ending takes the tonic chord. An idea written for the other
    mode, or a key in a mode of neither, keeps the degrees and takes the qualities of the key's own scale.
    """
    family = "minor" if 3 in SCALES[key.mode] else "major"
    wanted = [p for p in groove.progressions if p.level == level]
    if not wanted and level == "ending":
        wanted = [_tonic(p, groove.bar_beats) for p in groove.progressions]
    wanted = wanted or [p for p in groove.progressions if p.level == "verse"]
    same = [p for p in wanted if p.mode == family]
    pool = same or wanted
    progression = pool[index % len(pool)]
    diatonic = not same or key.mode not in ("major", "minor")
    out: list[Chord] = []
    by_bar = _split_bars(progression.chords, groove.bar_beats)
    for i, bar in enumerate(bars):
        slots = by_bar[i % len(by_bar)]
        stretch = (bar.end - bar.start) / groove.bar_beats
        at = bar.start
        for k, degree in enumerate(slots):
            end = bar.end if k == len(slots) - 1 else at + degree.beats * stretch
            chord = _chord(degree, key, at, end - at, diatonic)
            last = out[-1] if out else None
            if (
                last
                and (last.root, last.quality, last.bass) == (chord.root, chord.quality, chord.bass)
                and i % len(by_bar)
            ):
                out[-1] = Chord(last.beat, chord.end - last.beat, last.root, last.quality, last.bass)
            else:
                out.append(chord)
            at = end
    return tuple(out)


def _tonic(progression: Progression, beats: float) -> Progression:
    """One bar of the tonic, in the quality that the progression gives it (no dominant seventh: it would not rest)."""
    plain = "m" if progression.mode == "minor" else ""
    found = next((c.quality for c in progression.chords if c.degree == 0 and not c.alter), plain)
    return Progression(
        "ending", progression.mode, 1, (Degree(0, 0, plain if found in ("7", "9") else found, None, beats),)
    )


def _split_bars(chords: Sequence[Degree], bar_beats: float) -> list[list[Degree]]:
    bars: list[list[Degree]] = [[]]
    room = bar_beats
    for chord in chords:
        left = chord.beats
        while left > EPS:
            if room <= EPS:
                bars.append([])
                room = bar_beats
            take = min(left, room)
            bars[-1].append(Degree(chord.degree, chord.alter, chord.quality, chord.bass, take))
            left -= take
            room -= take
    return bars


def _chord(degree: Degree, key: Key, beat: float, beats: float, diatonic: bool) -> Chord:
    scale = SCALES[key.mode]
    root = (key.tonic + scale[degree.degree] + degree.alter) % 12
    quality = degree.quality
    if diatonic and not degree.alter:
        quality = _diatonic_quality(key, degree)
    bass = None if degree.bass is None else (root + _bass_interval(degree.bass, quality)) % 12
    return Chord(beat, beats, root, quality, bass)


def _bass_interval(semitones: int, quality: str) -> int:
    tones = QUALITIES[quality]
    if semitones in (3, 4):
        return tones[1]
    return tones[2] if semitones == 7 else semitones


def _diatonic_quality(key: Key, degree: Degree) -> str:
    scale = SCALES[key.mode]
    above = [(scale[(degree.degree + 2 * k) % 7] - scale[degree.degree]) % 12 for k in range(4)]
    if key.mode == "minor" and degree.degree == 4 and degree.quality in ("", "7"):
        return degree.quality
    size = 4 if len(QUALITIES[degree.quality]) > 3 else 3
    tones = tuple(above[:size])
    if degree.quality in ("sus2", "sus4"):
        return degree.quality
    return next(
        (q for q, t in QUALITIES.items() if t == tones), next((q for q, t in QUALITIES.items() if t == tones[:3]), "")
    )
