"""What the token grid keeps of music: notes -> cells -> notes, as F1 of onsets and of onsets with pitch per stream.

Truth is what the source plays, every note of it, at the grid's steps; two notes of one stream, step and pitch are one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from engine.diffusion.canvas import STREAMS, Canvas
from engine.diffusion.tokens import notes2tokens, tokens2notes
from engine.diffusion.vocabulary import Vocabulary
from engine.score import Note

Scores = dict[str, tuple[float, float]]


def round_trip(canvases: Iterable[Canvas], vocabulary: Vocabulary) -> Scores:
    """Stream -> (F1 of onsets, F1 of onsets with pitch) over all canvases; streams that never play are left out."""
    counts = np.zeros((len(STREAMS), 2, 3))
    for canvas in canvases:
        cells = notes2tokens(canvas, vocabulary)
        back = tokens2notes(cells, replace(canvas, given=np.zeros_like(canvas.given)), vocabulary)
        for s, stream in enumerate(STREAMS):
            truth, mine = events(canvas, canvas.notes[stream]), events(canvas, back[stream])
            for kind, (a, b) in enumerate((({t for t, _ in truth}, {t for t, _ in mine}), (truth, mine))):
                counts[s, kind] += len(a & b), len(a), len(b)  # type: ignore[operator, arg-type]
    f1 = 2 * counts[..., 0] / np.maximum(counts[..., 1] + counts[..., 2], 1)
    return {
        stream: (round(float(f1[s, 0]), 4), round(float(f1[s, 1]), 4))
        for s, stream in enumerate(STREAMS)
        if counts[s, 0, 1]
    }


def events(canvas: Canvas, notes: Iterable[Note]) -> set[tuple[int, int]]:
    """(step, pitch) of the notes that begin within the canvas."""
    out = set()
    for note in notes:
        step = canvas.grid.beat2step(note.start)
        if step is not None and step < canvas.grid.steps:
            out.add((step, note.pitch))
    return out
