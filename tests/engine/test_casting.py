"""What instruments are tried on: a sketch of a passage, that sounds there as the part does and costs little."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import numpy as np
import pytest

from bridge.arrangement import Arrangement, Section
from bridge.messages import Render, StemWanted
from bridge.timeline import Clock
from engine.casting import KITS, LEAST_EACH, RENDERED, TOUCH, counts, shortlist, sketch
from engine.match import clip2wanted
from engine.report import Stopwatch
from engine.sampler import Bank, choose_instrument, render_part
from engine.score import Key, Note, Part, Score
from engine.stems import StemMaker, request2frame

RATE = 24000
CLOCK = Clock.steady(120.0, 64.0)
PART = Part(
    "keys",
    "keys",
    (
        Note(0.0, 40.0, 48, 90),
        Note(3.0, 6.0, 60, 71),
        Note(8.0, 1.0, 64, 3, offset_ms=12.0),
        Note(10.0, 30.0, 67, 126),
        Note(40.0, 1.0, 72, 90),
    ),
)


def test_notes_of_a_sketch_lie_in_its_passage() -> None:
    drawn = sketch(PART, CLOCK, 4.0, 4.0)
    assert [n.pitch for n in drawn.notes] == [48, 60, 64, 67]
    assert [CLOCK.beat2second(n.start) for n in drawn.notes] == pytest.approx([4.0, 4.0, 4.012, 5.0])
    assert [CLOCK.beat2second(n.end) for n in drawn.notes] == pytest.approx([8.0, 4.5, 4.512, 8.0])
    assert [n.velocity for n in drawn.notes] == [96, 64, TOUCH, 127]
    assert not sketch(PART, CLOCK, 24.0, 4.0).notes
    assert (drawn.name, drawn.role) == (PART.name, PART.role)


def test_a_sketch_sounds_as_the_part_does_there() -> None:
    bank = Bank.open()
    organ = choose_instrument(bank, "keys", "rock organ", "")
    whole, drawn = (
        render_part(bank, part, organ, CLOCK, RATE, 4 * RATE, 4 * RATE, 0, lambda _: None)
        for part in (PART, sketch(PART, CLOCK, 4.0, 4.0))
    )
    power = [np.abs(np.fft.rfft(sound.mean(axis=0))) ** 2 for sound in (whole, drawn)]
    edges = np.geomspace(80, 8000, 16) * 4
    bands = [[10 * np.log10(p[int(a) : int(b)].sum()) for a, b in itertools.pairwise(edges)] for p in power]
    assert np.abs(np.subtract(bands[0], bands[1])).mean() < 1.0


def maker(*parts: Part) -> StemMaker:
    """Stems of a steady clock for the parts."""
    pairs = tuple(zip(CLOCK.beats, CLOCK.seconds, strict=True))
    arrangement = Arrangement(RATE * 2, pairs, sections=(Section("Song", "chorus", 0.0, CLOCK.end),))
    request = Render("cast", arrangement, stems=tuple(StemWanted(p.role, p.name) for p in parts))
    score = Score(Key(0, "major"), (), parts, ())
    frame = request2frame(request, CLOCK, score)
    return StemMaker(request, CLOCK, frame, score, None, Bank.open(), Stopwatch(), threading.Lock())


def test_a_named_instrument_is_not_chosen_against() -> None:
    named = replace(PART, name="keys 2", instrument="rhodes")
    stems = maker(PART, named)
    wanted = clip2wanted(np.random.default_rng(0).normal(0, 0.1, (2, 4 * RATE)).astype(np.float32))
    assert [i.name for i in shortlist(stems, named, wanted, 12)] == ["tine e-piano"]
    others = shortlist(stems, PART, wanted, 12)
    assert others[0] == stems.instrument(PART)
    assert len({i.name for i in others}) == len(others) == 12


def test_kits_are_tried_most_and_every_part_has_a_choice() -> None:
    drums = replace(PART, name="drums", role="drums")
    assert counts([drums, PART, PART]) == [KITS, (RENDERED - KITS) // 2, (RENDERED - KITS) // 2]
    assert counts([PART, PART]) == [RENDERED // 2] * 2
    assert counts([drums]) == [RENDERED]
    assert counts([drums, *[PART] * 20]) == [KITS, *[LEAST_EACH] * 20]
