"""Canvases for the tests: a small form, chords, a vocabulary, a tiny parts model, and the groove book's notes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from bridge.timeline import Bar, Metre
from engine.diffusion.canvas import STREAMS, Canvas
from engine.diffusion.network import PartsNet, PartsShape
from engine.diffusion.parts import PartsModel
from engine.diffusion.vocabulary import Vocabulary
from engine.grooves import book
from engine.score import Chord, FormSection, Key
from engine.training.corpus import collect_vocabulary
from engine.training.songs import Song, make_song

LABELS = ("verse", "chorus", "verse")


def empty_canvas(
    *,
    bars: int = 3,
    metre: tuple[int, int] = (4, 4),
    steps_per_quarter: int = 4,
    gap: float = 0.0,
    key: Key | None = None,
) -> Canvas:
    """Three sections of `bars` bars, a chord per bar, no notes, nothing given; `gap` beats between the sections."""
    measure, sections, chords, at, number = Metre(0.0, *metre), [], [], 0.0, 0
    key = key or Key(2, "minor")
    for i, label in enumerate(LABELS):
        built = []
        for k in range(bars):
            built.append(Bar(number, at, at + measure.bar_beats, measure))
            chords.append(Chord(at, measure.bar_beats, (key.tonic + 5 * k) % 12, ("m", "7", "")[k % 3]))
            at += measure.bar_beats
            number += 1
        sections.append(FormSection(f"{label} {i}", label, built[0].start, built[-1].end, 0.5, i // 2, tuple(built)))
        at += gap
    given = np.zeros((3 * bars, len(STREAMS)), dtype=bool)
    return Canvas(tuple(sections), tuple(chords), key, steps_per_quarter, dict.fromkeys(STREAMS, ()), given)


@lru_cache(maxsize=1)
def songs() -> tuple[Song, ...]:
    """A dozen songs of the groove book."""
    return tuple(make_song(i, book(), 3) for i in range(12))


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The vocabulary of `songs`."""
    return collect_vocabulary(songs())


@lru_cache(maxsize=1)
def tiny_model() -> PartsModel:
    """A parts model with random weights."""
    torch.manual_seed(0)
    sizes = tuple(vocabulary().sizes[s] for s in STREAMS)
    shape = PartsShape(sizes, dim=32, inner=48, heads=2, layers=2, cell=8, head=16, window=64)
    return PartsModel(PartsNet(shape).eval(), vocabulary())
