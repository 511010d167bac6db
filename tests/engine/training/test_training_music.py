"""The grammar of harmony, the forms, and the judge of the parts model."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.timeline import Metre
from engine.grooves import book, groove
from engine.score import SCALES, Key
from engine.training.corpus import collect_vocabulary
from engine.training.evaluate import Tally, copy_label, given_around, given_seeds, repeat_seeds
from engine.training.form import random_form
from engine.training.harmony import CADENCES, LOOPS, NEXT, song2chords
from engine.training.songs import HELD_OUT, Song, make_song, mash

metres = st.sampled_from([(4, 4), (3, 4), (6, 8), (7, 8), (5, 4)])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(SCALES)), metres, st.integers(0, 11))
def test_harmony_covers_the_form_in_key_and_comes_home(
    seed: int, mode: str, metre: tuple[int, int], tonic: int
) -> None:
    rng = np.random.default_rng(seed)
    sections, key = random_form(Metre(0.0, *metre), rng), Key(tonic, mode)
    chords = song2chords(sections, key, rng)
    assert chords[0].beat == 0.0
    assert chords[-1].end == pytest.approx(sections[-1].end)
    assert all(a.end == pytest.approx(b.beat) for a, b in pairwise(chords))
    assert all(c.pitch_classes <= key.scale for c in chords)
    assert chords[-1].root == tonic
    starts = {round(c.beat, 6) for c in chords}
    assert all(round(s.start, 6) in starts for s in sections)


def test_tables_hold_degrees_of_a_scale() -> None:
    for mode in SCALES:
        assert all(0 <= d < 7 for loop in LOOPS[mode] for d in loop)
        for kind in ("closed", "open"):
            assert all(0 <= d < 7 for end in CADENCES[mode][kind] for d in end)
    for table in NEXT.values():
        assert all(target in table for options in table.values() for target, _ in options)


def test_sections_of_a_label_share_their_chords() -> None:
    same = total = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        sections, key = random_form(Metre(0.0, 4, 4), rng), Key(0, "major")
        chords = song2chords(sections, key, rng)
        first: dict[str, list[tuple[int, str]]] = {}
        for s in sections:
            row = [next((c.root, c.quality) for c in chords if c.beat <= b.start + 1e-6 < c.end) for b in s.bars]
            known = first.setdefault(s.label, row)
            if known is not row and len(known) == len(row):
                same, total = same + sum(a == b for a, b in zip(known, row, strict=True)), total + len(row)
    assert total > 100
    assert same / total > 0.9


@pytest.fixture(scope="module")
def judged() -> Song:
    return make_song(2, (groove("pop"),), 11, plain=True)


def test_the_judge_gives_truth_full_marks_and_silence_none(judged: Song) -> None:
    mask = given_seeds(judged)
    truth, nothing = Tally(), Tally()
    truth.add(judged, judged.canvas.notes, mask)
    nothing.add(judged, dict.fromkeys(judged.canvas.notes, ()), mask)
    for kind in ("onset", "onset_pitch"):
        assert set(truth.report()[kind].values()) == {1.0}  # type: ignore[attr-defined]
        assert set(nothing.report()[kind].values()) == {0.0}  # type: ignore[attr-defined]


def test_copying_a_plain_groove_is_a_strong_baseline(judged: Song) -> None:
    vocabulary = collect_vocabulary([judged])
    repeat, copy = Tally(), Tally()
    seeds, around = given_seeds(judged), given_around(judged, np.random.default_rng(0))
    repeat.add(judged, repeat_seeds(judged, seeds, vocabulary), seeds)
    copy.add(judged, copy_label(judged, around, vocabulary), around)
    assert repeat.report()["onset"]["drums"] > 0.9  # type: ignore[index]
    assert copy.report()["onset"]["bass"] > 0.8  # type: ignore[index]


def test_mash_ups_never_mix_held_out_grooves_with_others() -> None:
    grooves, rng = book(), np.random.default_rng(0)
    by_pattern = {id(p): g.name for g in grooves for level in g.levels.values() for p in level.streams.values()}
    borrowed = 0
    for base in grooves:
        for _ in range(12):
            mixed = mash(base, grooves, rng)
            owners = {by_pattern[id(p)] for level in mixed.levels.values() for p in level.streams.values()}
            assert len({name in HELD_OUT for name in owners}) == 1
            borrowed += len(owners) > 1
    assert borrowed > 30
