"""How players scatter: velocities and timing of drum tracks that were played in (Freedoom's music), and of ours.

    python -m tests.benchmarks.feel

A place is a drum on a sixteenth of the bar; a track counts where it has at least twelve different velocities. Timing
counts where most hits lie beside every grid (tracks that were not quantised). Standard deviations; medians over tracks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import numpy as np

from engine.perform import perform
from engine.score import Note
from engine.training.sources.freedoom import pieces
from tests.engine.compose.songs import composed, song

STYLES = ("pop", "funk", "hard rock", "soul", "indie rock", "disco")
TICK_MS = 1000 / 140
"""The time step of the file format that Freedoom's pieces were published in."""


class Scatter(NamedTuple):
    """Standard deviations around a place's mean velocity, and around the grid in milliseconds."""

    velocity: float
    timing_ms: float | None


def track2scatter(notes: Sequence[Note], beat_ms: float) -> Scatter | None:
    """The scatter of one drum track (starts in beats, micro-timing included); None where nothing varies or repeats."""
    if len({n.velocity for n in notes}) < 12:
        return None
    places: dict[tuple[int, int], list[int]] = defaultdict(list)
    for note in notes:
        step = round(note.start * 4)
        if abs(note.start * 4 - step) < 0.2:
            places[note.pitch, step % 16].append(note.velocity)
    around = [v - np.mean(group) for group in places.values() if len(group) >= 8 for v in group]
    if len(around) < 80:
        return None
    beside = np.array([(n.start * 4 - round(n.start * 4)) / 4 for n in notes])
    thirds = np.array([(n.start * 3 - round(n.start * 3)) / 3 for n in notes])
    free = np.mean(np.minimum(abs(beside), abs(thirds)) > 0.004) > 0.5
    near = beside[abs(beside) < 0.06]
    tight = free and np.std(near) < 0.02
    return Scatter(float(np.std(around)), float(np.std(near)) * beat_ms if tight else None)


def theirs() -> list[Scatter]:
    """Freedoom's drum tracks."""
    found = []
    for _, piece in pieces():
        speeds = [1000 * (b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(piece.tempo)]
        for track in piece.tracks:
            if track.is_drums:
                notes = [Note(n.start, n.length, n.pitch, n.velocity) for n in track.notes]
                found.append(track2scatter(notes, median(speeds) if speeds else 500.0))
    return [scatter for scatter in found if scatter is not None]


def ours() -> list[Scatter]:
    """The band's drums in several styles; swing is left out, so that the grid is the grid."""
    found = []
    for seed, style in enumerate(STYLES):
        request = song((("Verse", "verse", 32),), style=style, seed=seed, stems=("drums",))
        score, clock = composed(request), request.arrangement.timeline()
        played = perform(score, clock, score.feel, seed)
        beat_ms = 1000 * clock.beat2second(1.0)
        for part in played.parts:
            late = [Note(n.start + n.offset_ms / beat_ms, n.length, n.pitch, n.velocity) for n in part.notes]
            found.append(track2scatter(late, beat_ms))
    return [scatter for scatter in found if scatter is not None]


def main() -> None:
    """Prints both."""
    for name, rows in (("Freedoom's drummers", theirs()), ("our drummer", ours())):
        times = [row.timing_ms for row in rows if row.timing_ms is not None]
        timing = f"{median(times):.1f} ms ({len(times)} tracks)" if times else "-"
        print(f"{name}: velocity {median(r.velocity for r in rows):.1f} ({len(rows)} tracks), timing {timing}")
    print(f"a tick of their format is {TICK_MS:.1f} ms: {TICK_MS / 12**0.5:.1f} ms of their timing")


if __name__ == "__main__":
    main()
