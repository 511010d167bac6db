"""Judges the parts model on unseen music: `python -m engine.training.evaluate --weights FILE --out report.json`.

Two tasks on held-out songs of each source (engine/training/heldout.py), per stream, over the hidden bars only:
  seeds    two bars of the first section of each label are given, and the fills
  inside   a quarter of all bars of each stream is hidden, both sides visible
Scores are F1 of onsets and of onsets with pitch, to the grid. Baselines: `repeat` says the seed bars again (seeds),
`copy` takes the same bar of another section of the label, else four bars before, two, one (inside); both copy tokens,
which follow the chords by themselves. They are strong: most of a groove is repetition.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.diffusion.canvas import STREAMS, Canvas
from engine.diffusion.parts import PartsModel, fill_parts
from engine.diffusion.sampling import Unmasking
from engine.diffusion.tokens import notes2tokens, tokens2notes
from engine.diffusion.vocabulary import HOLD, REST, Vocabulary
from engine.score import Note
from engine.training.heldout import SOURCES, held_out
from engine.training.songs import Song
from engine.training.sources import SourceMissing

Cells = NDArray[np.int16]
Given = NDArray[np.bool_]
Notes = Mapping[str, tuple[Note, ...]]


def given_seeds(song: Song, count: int = 2) -> Given:
    """Given bars [B, 6]: the first bars of each label's first section, fills, and streams that rest in a section."""
    owner = section_of_bar(song.canvas)
    given = (~song.playing)[owner] | song.fills[:, None]
    done: set[str] = set()
    for i, section in enumerate(song.canvas.sections):
        if section.label not in done:
            done.add(section.label)
            given[np.flatnonzero(owner == i)[:count]] = True
    return np.asarray(given)


def given_around(song: Song, rng: np.random.Generator) -> Given:
    """A quarter of the bars of every playing stream hidden."""
    owner = section_of_bar(song.canvas)
    hidden = (rng.random((len(owner), len(STREAMS))) < 0.25) & song.playing[owner]
    return np.asarray(~hidden)


def section_of_bar(canvas: Canvas) -> NDArray[np.int64]:
    """Section number of each bar."""
    return np.repeat(np.arange(len(canvas.sections)), [len(s.bars) for s in canvas.sections])


def repeat_seeds(song: Song, given: Given, vocabulary: Vocabulary, count: int = 2) -> Notes:
    """Hidden bars say the label's seed bars again, in turn."""

    def source(b: int, s: int) -> int | None:
        owner = section_of_bar(song.canvas)
        label = song.canvas.sections[owner[b]].label
        home = next(i for i, x in enumerate(song.canvas.sections) if x.label == label)
        seeds = np.flatnonzero(owner == home)[:count]
        inside = b - int(np.flatnonzero(owner == owner[b])[0])
        return int(seeds[inside % len(seeds)])

    return copy_bars(song, given, vocabulary, source)


def copy_label(song: Song, given: Given, vocabulary: Vocabulary) -> Notes:
    """Hidden bars take the same bar of another section of the label, else the bar 4, 2 or 1 before or after."""
    owner = section_of_bar(song.canvas)
    first = np.concatenate(([0], np.cumsum([len(s.bars) for s in song.canvas.sections])))

    def source(b: int, s: int) -> int | None:
        section = song.canvas.sections[owner[b]]
        at = b - int(first[owner[b]])
        kin = [
            int(first[i]) + at
            for i, x in enumerate(song.canvas.sections)
            if x.label == section.label and i != owner[b] and at < len(x.bars)
        ]
        near = [b + d for d in (-4, 4, -2, 2, -1, 1) if 0 <= b + d < len(owner)]
        return next((c for c in (*kin, *near) if given[c, s]), None)

    return copy_bars(song, given, vocabulary, source)


def copy_bars(song: Song, given: Given, vocabulary: Vocabulary, source: Callable[[int, int], int | None]) -> Notes:
    """Notes where each hidden bar's cells come from the bar that `source(bar, stream)` names (None: rests)."""
    canvas = song.canvas
    whole = notes2tokens(canvas, vocabulary)
    cells = whole.copy()
    first = canvas.grid.first
    for b, s in zip(*np.nonzero(~given), strict=True):
        span = slice(int(first[b]), int(first[b + 1]))
        cells[span, s] = REST
        a = source(int(b), int(s))
        if a is not None:
            taken = whole[int(first[a]) : int(first[a + 1]), s][: span.stop - span.start].copy()
            taken[: int(np.argmax(taken != HOLD))] = REST
            cells[span.start : span.start + len(taken), s] = taken
    return tokens2notes(cells, replace(canvas, given=given), vocabulary)


def hidden_events(
    canvas: Canvas, notes: Notes, given: Given, stream: int
) -> tuple[Counter[int], Counter[tuple[int, int]]]:
    """(onset steps, onset steps with pitches) of a stream's notes that begin in hidden bars."""
    onsets: Counter[int] = Counter()
    pitched: Counter[tuple[int, int]] = Counter()
    for note in notes.get(STREAMS[stream], ()):
        step = canvas.grid.beat2step(note.start)
        if step is not None and step < canvas.grid.steps and not given[canvas.grid.bar[step], stream]:
            onsets[step] = 1
            pitched[step, note.pitch] = 1
    return onsets, pitched


class Tally:
    """Sums of hits and misses per stream, and the music's own numbers."""

    def __init__(self) -> None:
        self.counts = np.zeros((len(STREAMS), 2, 3))
        self.chord_tones = np.zeros(2)
        self.kicks = np.zeros(2)

    def add(self, song: Song, notes: Notes, given: Given) -> None:
        """One song's answer."""
        canvas = song.canvas
        for s in range(len(STREAMS)):
            truth = hidden_events(canvas, canvas.notes, given, s)
            mine = hidden_events(canvas, notes, given, s)
            for kind in range(2):
                common = sum((truth[kind] & mine[kind]).values())  # type: ignore[operator]
                self.counts[s, kind] += common, sum(mine[kind].values()), sum(truth[kind].values())
        _, lead = hidden_events(canvas, notes, given, STREAMS.index("lead"))
        for step, pitch in lead:
            chord = canvas.chords[int(canvas.grid.chord[step])]
            self.chord_tones += pitch % 12 in chord.pitch_classes, 1
        _, drums = hidden_events(canvas, notes, given, 0)
        bass, _ = hidden_events(canvas, notes, given, 1)
        for step in bass:
            self.kicks += (step, 36) in drums, 1

    def report(self) -> dict[str, object]:
        """Scores as plain values."""

        def f1(hit: float, mine: float, truth: float) -> float:
            return round(2 * hit / max(mine + truth, 1), 3)

        return {
            "onset": {s: f1(*self.counts[i, 0]) for i, s in enumerate(STREAMS)},
            "onset_pitch": {s: f1(*self.counts[i, 1]) for i, s in enumerate(STREAMS)},
            "density": {
                s: round(float(self.counts[i, 0, 1] / max(self.counts[i, 0, 2], 1)), 3) for i, s in enumerate(STREAMS)
            },
            "lead_chord_tones": round(float(self.chord_tones[0] / max(self.chord_tones[1], 1)), 3),
            "bass_on_kick": round(float(self.kicks[0] / max(self.kicks[1], 1)), 3),
        }


def evaluate(model: PartsModel, songs: Sequence[Song], steps: int, how: Unmasking | None = None) -> dict[str, object]:
    """Report over some songs."""
    out: dict[str, object] = {"songs": [s.groove for s in songs], "steps": steps}
    for task in ("seeds", "inside"):
        tallies = {name: Tally() for name in ("truth", "model", "repeat" if task == "seeds" else "copy")}
        for i, song in enumerate(songs):
            given = given_seeds(song) if task == "seeds" else given_around(song, np.random.default_rng((7, i)))
            tallies["truth"].add(song, song.canvas.notes, given)
            filled = fill_parts(model, replace(song.canvas, given=given), steps=steps, seed=i, how=how)
            tallies["model"].add(song, filled.notes, given)
            if task == "seeds":
                tallies["repeat"].add(song, repeat_seeds(song, given, model.vocabulary), given)
            else:
                tallies["copy"].add(song, copy_label(song, given, model.vocabulary), given)
        out[task] = {name: tally.report() for name, tally in tallies.items()}
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sources", default=",".join(SOURCES))
    parser.add_argument("--songs", type=int, default=12, help="songs of each source")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = PartsModel.load(args.weights)
    report: dict[str, object] = {}
    for source in args.sources.split(","):
        try:
            songs = held_out(source, args.songs)
        except SourceMissing as error:
            print(f"left out: {error}")
            continue
        report[source] = found = evaluate(model, songs, args.steps)
        for task in ("seeds", "inside"):
            for name, scores in found[task].items():  # type: ignore[attr-defined]
                print(source, task, name, json.dumps(scores), flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
