"""The plan model: slots and codes, given chords, and what the shipped weights write."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.arrangement import LABELS
from bridge.timeline import Bar, Metre
from engine.lelm.network import LeLMConfig
from engine.lelm.plan import WEIGHTS, PlanModel, write_plan
from engine.lelm.slots import CODES, HOLD, chords2codes, code2chord, form2slots
from engine.report import JobCancelled
from engine.score import QUALITIES, SCALES, Chord, FormSection, Key

SONG = (
    ("intro", 4),
    ("verse", 8),
    ("chorus", 8),
    ("verse", 8),
    ("chorus", 8),
    ("bridge", 4),
    ("chorus", 8),
    ("outro", 4),
)


def form(labels: tuple[tuple[str, int], ...], beats: int = 4, unit: int = 4) -> tuple[FormSection, ...]:
    metre, out, seen, bar = Metre(0.0, beats, unit), [], {}, 0
    for label, count in labels:
        width = metre.bar_beats
        bars = tuple(Bar(bar + i, (bar + i) * width, (bar + i + 1) * width, metre) for i in range(count))
        index = seen.get(label, 0)
        out.append(FormSection(f"{label} {index}", label, bars[0].start, bars[-1].end, 0.5, index, bars))
        seen[label] = index + 1
        bar += count
    return tuple(out)


@pytest.fixture(scope="module")
def tiny() -> PlanModel:
    torch.manual_seed(0)
    return PlanModel(LeLMConfig(CODES, 32, 64, 4, 2)).eval()


@pytest.fixture(scope="module")
def shipped() -> PlanModel:
    return PlanModel.load()


forms = st.lists(st.tuples(st.sampled_from(LABELS), st.integers(1, 5)), min_size=1, max_size=4).map(tuple)
metres = st.sampled_from([(4, 4), (3, 4), (6, 8), (7, 8), (5, 4), (1, 4)])
keys = st.builds(Key, st.integers(0, 11), st.sampled_from(sorted(SCALES)))
qualities = st.sampled_from(sorted(QUALITIES))


@settings(max_examples=15, deadline=None)
@given(forms, metres, keys, st.data())
def test_any_form_is_covered_and_given_chords_stand(
    tiny: PlanModel, labels: tuple[tuple[str, int], ...], metre: tuple[int, int], key: Key, data: st.DataObject
) -> None:
    sections = form(labels, *metre)
    end = sections[-1].end
    cuts = sorted(data.draw(st.lists(st.integers(0, int(end * 2)), max_size=6, unique=True)))
    given_chords = tuple(
        Chord(a / 2, (b - a) / 2, data.draw(st.integers(0, 11)), data.draw(qualities), given=True)
        for a, b in list(pairwise(cuts))[::2]
        if b / 2 <= end
    )
    chords = write_plan(tiny, sections, key, given_chords, seed=1)
    assert [c for c in chords if c.given] == list(given_chords)
    assert chords[0].beat == sections[0].start
    assert chords[-1].end == pytest.approx(end)
    for a, b in pairwise(chords):
        assert a.end == pytest.approx(b.beat)
    starts = {round(c.beat, 6) for c in chords}
    inside = [s for s in sections if not any(c.beat < s.start < c.end for c in given_chords)]
    assert all(round(s.start, 6) in starts for s in inside)


@given(keys, st.integers(0, 11), qualities)
def test_codes_say_chords_exactly(key: Key, root: int, quality: str) -> None:
    sections = form((("verse", 1),))
    slots = form2slots(sections, key.mode)
    codes = chords2codes((Chord(0.0, 4.0, root, quality),), slots, key)
    assert codes[1] == HOLD
    assert codes[0] is not None
    back = code2chord(codes[0], 0.0, 4.0, key.tonic)
    assert (back.root, back.quality) == (root, quality)


def test_same_seed_same_chords_other_seed_other_chords(tiny: PlanModel) -> None:
    sections = form(SONG[:3])
    first, again, other = (write_plan(tiny, sections, Key(2, "minor"), seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_key_only_transposes(shipped: PlanModel) -> None:
    sections = form(SONG[:3])
    in_c = write_plan(shipped, sections, Key(0, "major"), seed=3)
    in_e = write_plan(shipped, sections, Key(4, "major"), seed=3)
    assert [((c.root + 4) % 12, c.quality, c.beat) for c in in_c] == [(c.root, c.quality, c.beat) for c in in_e]


def test_cancel(tiny: PlanModel) -> None:
    calls = []

    def tick(fraction: float) -> None:
        calls.append(fraction)
        if len(calls) == 3:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        write_plan(tiny, form(SONG), Key(0, "major"), seed=1, tick=tick)
    assert len(calls) == 3


def test_shipped_weights_are_those_of_the_card() -> None:
    card = (WEIGHTS.parent / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() in card


@pytest.mark.parametrize("mode", sorted(SCALES))
def test_shipped_plan_stays_in_the_key_and_comes_home(shipped: PlanModel, mode: str) -> None:
    key, sections = Key(9, mode), form((("verse", 4), ("chorus", 4), ("outro", 4)))
    songs = [write_plan(shipped, sections, key, seed=s) for s in range(2)]
    assert all(c.pitch_classes <= key.scale for chords in songs for c in chords)
    assert all(chords[-1].root == key.tonic for chords in songs)


@pytest.mark.parametrize("mode", ["major", "minor", "mixolydian"])
def test_shipped_plan_repeats_its_labels(shipped: PlanModel, mode: str) -> None:
    sections = form((("verse", 8), ("chorus", 8), ("verse", 8), ("chorus", 8)))
    same = total = 0
    for seed in range(2):
        chords = write_plan(shipped, sections, Key(0, mode), seed=seed)
        for first, second in ((0, 2), (1, 3)):
            for a, b in zip(sections[first].bars, sections[second].bars, strict=True):
                one, two = (next(c for c in chords if c.beat <= bar.start + 1e-6 < c.end) for bar in (a, b))
                same, total = same + ((one.root, one.quality) == (two.root, two.quality)), total + 1
    assert same / total > 0.75


def test_given_verse_is_taken_up_by_the_second_verse(shipped: PlanModel) -> None:
    key, sections = Key(0, "major"), form(SONG)
    verse = sections[1]
    roots = (9, 5, 0, 7, 9, 5, 2, 7)
    idea = tuple(
        Chord(b.start, 4.0, r, "m" if r in (9, 2) else "", given=True) for b, r in zip(verse.bars, roots, strict=True)
    )
    chords = write_plan(shipped, sections, key, idea, seed=4)
    second = [next(c for c in chords if c.beat <= b.start + 1e-6 < c.end).root for b in sections[3].bars]
    assert sum(a == b for a, b in zip(second, roots, strict=True)) >= 6
