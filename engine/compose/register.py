"""A part that lies higher or lower: chords turn over, lines go by octaves phrase by phrase, the lowest (highest) first.

A wish of 1 is an octave up, -1 an octave down. Pitch classes never change; what would leave the instrument's range
stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from engine.compose.pitches import EPS, chord_at
from engine.compose.seats import RANGES, Seat
from engine.compose.song import Song
from engine.compose.strikes import Strike, notes2strikes, sections_of
from engine.grooves.voicing import MUD
from engine.score import Note

OCTAVE = 12
BEYOND = 5
"""Semitones by which a part may leave its range, as everywhere in a band."""
BREATH = 0.4
"""Beats of rest that part two phrases of a tune."""


def with_register(
    song: Song, seat: Seat, notes: Sequence[Note], amount: float, rows: Sequence[int]
) -> tuple[Note, ...]:
    """`notes` (sorted by start) with those of the bars `rows` moved by `amount` octaves on average."""
    semitones = OCTAVE * amount
    low, high = RANGES[seat.role]
    low, high = low - BEYOND, high + BEYOND
    moved: dict[Note, Note] = {}
    for group in sections_of(rows, song.owners):
        spans = [(song.bars[row].bar.start, song.bars[row].bar.end) for row in group]
        here = [n for n in notes if any(a - EPS <= n.start < b - EPS for a, b in spans)]
        if not here:
            continue
        strikes = notes2strikes(here)
        if seat.stream in ("comp", "pad"):
            moved |= {old: new for s in strikes for old, new in zip(s, _turned(s, semitones, low, high), strict=True)}
        else:
            phrases = _phrases(strikes, _breaks(song, seat.stream))
            moved |= _by_octaves(phrases, semitones, low, high)
    return tuple(sorted((moved.get(n, n) for n in notes), key=lambda n: (n.start, n.pitch)))


def _turned(strike: Strike, semitones: float, low: int, high: int) -> Strike:
    """The strike with its lowest notes an octave up (its highest down) until its mean is nearest to what is wished."""
    pitches = [n.pitch for n in strike]
    goal = sum(pitches) / len(pitches) + semitones
    way = 1 if semitones > 0 else -1
    while True:
        k = pitches.index(min(pitches) if way > 0 else max(pitches))
        trial = [*pitches]
        while trial[k] in pitches:
            trial[k] += way * OCTAVE
        nearer = abs(sum(trial) / len(trial) - goal) < abs(sum(pitches) / len(pitches) - goal)
        if not nearer or not low <= trial[k] <= high or (way < 0 and _muddy(trial)):
            break
        pitches = trial
    return tuple(replace(n, pitch=p) for n, p in zip(strike, pitches, strict=True))


def _muddy(pitches: Sequence[int]) -> bool:
    return any(a < MUD and b - a < 5 for a, b in pairwise(sorted(pitches)))


def _breaks(song: Song, stream: str) -> Callable[[Note, Note], bool]:
    """Where a line may go to another octave: at a new chord; a tune only where it breathes."""
    if stream == "lead":
        return lambda a, b: b.start - a.end >= BREATH
    return lambda a, b: chord_at(song.chords, a.start) != chord_at(song.chords, b.start)


def _phrases(strikes: Sequence[Strike], breaks: Callable[[Note, Note], bool]) -> list[list[Note]]:
    phrases: list[list[Note]] = []
    for strike in strikes:
        if phrases and not breaks(phrases[-1][-1], strike[0]):
            phrases[-1] += strike
        else:
            phrases.append([*strike])
    return phrases


def _by_octaves(phrases: list[list[Note]], semitones: float, low: int, high: int) -> dict[Note, Note]:
    """Whole phrases an octave further, as many as bring the mean nearest to what is wished."""
    way = 1 if semitones > 0 else -1
    due = abs(semitones) * sum(len(p) for p in phrases)
    order = sorted(phrases, key=lambda p: (way * sum(n.pitch for n in p) / len(p), p[0].start))
    moved: dict[Note, Note] = {}
    for phrase in order:
        new = [n.pitch + way * OCTAVE for n in phrase]
        if OCTAVE * len(phrase) / 2 <= due and low <= min(new) and max(new) <= high:
            due -= OCTAVE * len(phrase)
            moved |= {n: replace(n, pitch=p) for n, p in zip(phrase, new, strict=True)}
    return moved
