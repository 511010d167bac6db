"""Small changes to a bar that keep it recognisable: what makes the second verse live, and a re-roll differ.

Every change keeps onsets on the grid, pitches in the chord or scale, and notes inside the bar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bridge.timeline import Bar
from engine.compose.pitches import EPS, chord_at, in_order, nearest, scale_tones, step
from engine.score import Chord, Key, Note

KICK, SNARE, CLOSED, OPEN = 36, 38, 42, 46


@dataclass(frozen=True, slots=True)
class Here:
    """The bar that is changed, the chords around it, its key, and the grid: 4 or 3 steps per quarter note."""

    bar: Bar
    chords: Sequence[Chord]
    key: Key
    steps: int


Change = Callable[[tuple[Note, ...], Here, np.random.Generator], tuple[Note, ...]]


def vary_bar(
    stream: str,
    notes: Sequence[Note],
    bar: Bar,
    chords: Sequence[Chord],
    key: Key,
    rng: np.random.Generator,
    *,
    steps: int,
    changes: int = 1,
) -> tuple[Note, ...]:
    """`notes` of one bar with `changes` small changes of the stream's own kind, on a grid of `steps` per quarter note.

    An empty bar stays empty.
    """
    here = Here(bar, chords, key, steps)
    before = in_order(notes)
    varied = before
    for _ in range(changes if before else 0):
        kinds = CHANGES[stream]
        for k in rng.permutation(len(kinds)):
            changed = in_order(kinds[int(k)](varied, here, rng))
            if changed and changed != varied and changed != before:
                varied = changed
                break
    return varied


def _free(notes: Sequence[Note], bar: Bar, step_beats: float, rng: np.random.Generator) -> float | None:
    """A grid place of the bar, not its first beat, where nothing begins."""
    taken = {round(n.start - bar.start, 3) for n in notes}
    places = [k * step_beats for k in range(1, int((bar.end - bar.start - EPS) / step_beats) + 1)]
    open_places = [p for p in places if round(p, 3) not in taken and p < bar.end - bar.start - EPS]
    return bar.start + float(rng.choice(open_places)) if open_places else None


def _weak(notes: Sequence[Note], bar: Bar) -> list[int]:
    """Indices of the notes off the quarter-note beats."""
    return [i for i, n in enumerate(notes) if abs((n.start - bar.start) - round(n.start - bar.start)) > 0.01]


def _add_ghost(notes: tuple[Note, ...], here: Here, rng: np.random.Generator) -> tuple[Note, ...]:
    """A soft snare, where one plays already."""
    if not any(n.pitch in (SNARE, 40) for n in notes):
        return notes
    place = _free([n for n in notes if n.pitch in (SNARE, 40)], here.bar, 1 / here.steps, rng)
    return notes if place is None else (*notes, Note(place, 0.125, SNARE, 34))


def _add_kick(notes: tuple[Note, ...], here: Here, rng: np.random.Generator) -> tuple[Note, ...]:
    """One more kick, where one plays already."""
    if not any(n.pitch in (35, KICK) for n in notes):
        return notes
    spread = 0.5 if here.steps == 4 else 1 / 3
    place = _free([n for n in notes if n.pitch in (35, KICK, SNARE)], here.bar, spread, rng)
    return notes if place is None else (*notes, Note(place, 0.25, KICK, 84))


def _open_hat(notes: tuple[Note, ...], here: Here, rng: np.random.Generator) -> tuple[Note, ...]:
    hats = [i for i in _weak(notes, here.bar) if notes[i].pitch == CLOSED]
    if not hats:
        return notes
    i = hats[-1]
    return (*notes[:i], replace(notes[i], pitch=OPEN), *notes[i + 1 :])


def _drop_weak(notes: tuple[Note, ...], here: Here, rng: np.random.Generator) -> tuple[Note, ...]:
    weak = _weak(notes, here.bar)
    if len(weak) < 2:
        return notes
    start = notes[int(rng.choice(weak))].start
    return tuple(n for n in notes if abs(n.start - start) > EPS)


def _approach(notes: tuple[Note, ...], here: Here, rng: np.random.Generator) -> tuple[Note, ...]:
    """The bar's last bass note leads into the next chord by a step of the scale."""
    last = notes[-1]
    following = chord_at(here.chords, here.bar.end + EPS)
    if following is None or last.start - here.bar.start < (here.bar.end - here.bar.start) / 2:
        return notes
    goal = nearest(last.pitch, {following.root}, 28, 55)
    lead = step(goal, int(rng.choice((-1, 1))), scale_tones(here.key, chord_at(here.chords, last.start)))
    return (*notes[:-1], replace(last, pitch=min(max(lead, 28), 55)))


def _octave(notes: tuple[Note, ...], here: Here, rng: np.random.Generator) -> tuple[Note, ...]:
    weak = [i for i in _weak(notes, here.bar) if notes[i].pitch + 12 <= 55]
    if not weak:
        return notes
    i = int(rng.choice(weak))
    return (*notes[:i], replace(notes[i], pitch=notes[i].pitch + 12), *notes[i + 1 :])


def _fifth(notes: tuple[Note, ...], here: Here, rng: np.random.Generator) -> tuple[Note, ...]:
    """One later bass note becomes another tone of its chord."""
    later = [i for i, n in enumerate(notes) if n.start > here.bar.start + EPS]
    if not later:
        return notes
    i = int(rng.choice(later))
    chord = chord_at(here.chords, notes[i].start)
    others = (chord.pitch_classes if chord else frozenset()) - {notes[i].pitch % 12}
    if not others:
        return notes
    return (*notes[:i], replace(notes[i], pitch=nearest(notes[i].pitch, others, 28, 55)), *notes[i + 1 :])


def _split_long(notes: tuple[Note, ...], here: Here, rng: np.random.Generator) -> tuple[Note, ...]:
    """The longest strike is struck a second time in its middle."""
    longest = max(n.length for n in notes)
    if longest < 0.9:
        return notes
    at = next(n.start for n in notes if n.length == longest)
    if here.steps == 3:
        half = float(round(longest / 2)) if longest >= 1.5 else 2 / 3
    else:
        half = round(longest) / 2 if longest >= 1.5 else 0.5
    if at + half > here.bar.end - EPS:
        return notes
    first = tuple(replace(n, length=half) if n.start == at and n.length > half else n for n in notes)
    second = tuple(
        replace(n, start=at + half, length=n.length - half, velocity=max(n.velocity - 10, 1))
        for n in notes
        if n.start == at and n.length > half + EPS
    )
    return first + second


def _invert(notes: tuple[Note, ...], here: Here, rng: np.random.Generator) -> tuple[Note, ...]:
    """Every chord of the bar in its neighbouring inversion; power chords and octaves stay."""
    by_start: dict[float, list[Note]] = {}
    for note in notes:
        by_start.setdefault(note.start, []).append(note)
    up = bool(rng.integers(2))
    turned: list[Note] = []
    for strike in by_start.values():
        strike = sorted(strike, key=lambda n: n.pitch)
        turns = len({n.pitch % 12 for n in strike}) == len(strike) > 1
        if turns and up and strike[0].pitch + 12 <= 79:
            strike[0] = replace(strike[0], pitch=strike[0].pitch + 12)
        elif turns and strike[-1].pitch - 12 >= 45:
            strike[-1] = replace(strike[-1], pitch=strike[-1].pitch - 12)
        turned += strike
    return tuple(turned)


def _rotate(notes: tuple[Note, ...], here: Here, rng: np.random.Generator) -> tuple[Note, ...]:
    """The pitches of the bar in another order, chord by chord."""
    groups: dict[Chord | None, list[int]] = {}
    for i, note in enumerate(notes):
        groups.setdefault(chord_at(here.chords, note.start), []).append(i)
    turned = list(notes)
    shift = int(rng.integers(1, 4))
    backwards = bool(rng.integers(2))
    for group in groups.values():
        order = [group[(k + shift) % len(group)] for k in range(len(group))]
        order = order[::-1] if backwards else order
        for i, j in zip(group, order, strict=True):
            turned[i] = replace(notes[i], pitch=notes[j].pitch)
    return tuple(turned)


def _neighbour(notes: tuple[Note, ...], here: Here, rng: np.random.Generator) -> tuple[Note, ...]:
    """One weak note of the tune moves by a step of the scale."""
    weak = _weak(notes, here.bar)
    if not weak:
        return notes
    i = int(rng.choice(weak))
    moved = step(notes[i].pitch, int(rng.choice((-1, 1))), scale_tones(here.key, chord_at(here.chords, notes[i].start)))
    return (*notes[:i], replace(notes[i], pitch=moved), *notes[i + 1 :])


def _other_tone(notes: tuple[Note, ...], here: Here, rng: np.random.Generator) -> tuple[Note, ...]:
    """One note of the line becomes the next tone of its chord, upwards or downwards."""
    i = int(rng.integers(len(notes)))
    chord = chord_at(here.chords, notes[i].start)
    tones = chord.pitch_classes if chord else scale_tones(here.key, None)
    moved = step(notes[i].pitch, int(rng.choice((-1, 1))), frozenset(tones))
    return (*notes[:i], replace(notes[i], pitch=moved), *notes[i + 1 :])


CHANGES: dict[str, tuple[Change, ...]] = {
    "drums": (_add_ghost, _add_kick, _open_hat, _drop_weak),
    "percussion": (_drop_weak,),
    "bass": (_approach, _octave, _fifth, _drop_weak, _split_long),
    "comp": (_drop_weak, _invert, _split_long),
    "pad": (_invert, _split_long),
    "arp": (_rotate, _other_tone),
    "lead": (_neighbour, _other_tone, _split_long),
}
