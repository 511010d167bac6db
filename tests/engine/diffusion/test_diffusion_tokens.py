"""Tones, vocabulary, grid and tokens: what is said comes back."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.diffusion.canvas import STREAMS, Canvas
from engine.diffusion.tokens import notes2tokens, tokens2notes
from engine.diffusion.tones import pitch2band_tone, pitch2root_tone, pitch2rung_tone, tone2pitch
from engine.diffusion.vocabulary import FIRST, HOLD, REST, Vocabulary, level2velocity, velocity2level
from engine.score import QUALITIES, SCALES, Chord, Key, Note
from tests.engine.diffusion.material import empty_canvas, songs, vocabulary

chords = st.builds(Chord, st.just(0.0), st.just(4.0), st.integers(0, 11), st.sampled_from(sorted(QUALITIES)))
keys = st.builds(Key, st.integers(0, 11), st.sampled_from(sorted(SCALES)))


@pytest.mark.parametrize("say", [pitch2root_tone, pitch2rung_tone, pitch2band_tone])
@given(pitch=st.integers(12, 115), chord=chords, key=keys)
def test_a_tone_over_its_own_chord_is_its_pitch(say, pitch: int, chord: Chord, key: Key) -> None:  # type: ignore[no-untyped-def]
    assert tone2pitch(say(pitch, chord, key), chord, key) == pitch


@given(st.integers(24, 100), st.integers(0, 11), st.integers(0, 11))
def test_chord_tones_follow_the_chord(pitch: int, root: int, other: int) -> None:
    key, here, there = Key(0, "major"), Chord(0, 4, root, ""), Chord(0, 4, other, "m")
    for say in (pitch2root_tone, pitch2rung_tone, pitch2band_tone):
        if pitch % 12 in here.pitch_classes:
            assert tone2pitch(say(pitch, here, key), there, key) % 12 in there.pitch_classes


@given(st.integers(1, 127), st.sampled_from(STREAMS), st.sampled_from([36, 38, 42, 51, 60]))
def test_loudness_levels_are_kept(velocity: int, stream: str, pitch: int) -> None:
    level = velocity2level(velocity, stream, pitch)
    again = level2velocity(level, stream, pitch)
    assert 1 <= again <= 127
    assert velocity2level(again, stream, pitch) == level


def score(canvas: Canvas, stream: str, back: tuple[Note, ...]) -> tuple[float, float]:
    """F1 of onsets and of onsets with pitch."""
    found = []
    for whole in (False, True):
        truth, mine = (
            Counter({(round(n.start, 3), n.pitch if whole else 0) for n in notes})
            for notes in (canvas.notes[stream], back)
        )
        common = sum((truth & mine).values())
        found.append(2 * common / max(1, sum(truth.values()) + sum(mine.values())))
    return found[0], found[1]


@pytest.mark.parametrize("stream", STREAMS)
def test_the_groove_book_comes_back_whole(stream: str) -> None:
    for song in songs():
        canvas = song.canvas
        cells = notes2tokens(canvas, vocabulary())
        back = tokens2notes(cells, replace(canvas, given=np.zeros_like(canvas.given)), vocabulary())
        if canvas.notes[stream]:
            onset, pitch = score(canvas, stream, back[stream])
            assert onset > 0.995
            assert pitch > 0.98


def test_an_unknown_voicing_and_drum_combination_take_the_nearest() -> None:
    small = Vocabulary.collect(
        [((36, 1), (42, 1)), ((38, 1), (42, 1))],
        {"comp": [((24, 10), (24, 11), (24, 12))], "pad": [((24, 10), (24, 11), (24, 12)), ((24, 15), (24, 16))]},
    )
    assert small.drums[small.hits2id(((36, 2), (42, 1), (54, 1)))] == ((36, 1), (42, 1))
    chord, key = Chord(0.0, 4.0, 0, ""), Key(0, "major")
    high = small.shape2pitches(((24, 15), (24, 16)), chord, key)
    assert small.voices2id("pad", (*high, high[-1] + 2), 1, chord, key) // 3 == small.shapes["pad"].index(
        ((24, 15), (24, 16))
    )


def test_vocabulary_survives_json() -> None:
    import json

    again = Vocabulary.from_json(json.loads(json.dumps(vocabulary().to_json())))
    assert again == vocabulary()
    assert again.sizes == vocabulary().sizes


@pytest.mark.parametrize(
    ("metre", "per_quarter", "steps"), [((4, 4), 4, 16), ((4, 4), 3, 12), ((6, 8), 4, 12), ((7, 8), 4, 14)]
)
def test_bars_have_whole_numbers_of_steps(metre: tuple[int, int], per_quarter: int, steps: int) -> None:
    grid = empty_canvas(metre=metre, steps_per_quarter=per_quarter, gap=2.5).grid
    assert set(np.diff(grid.first)) == {steps}
    for step in range(grid.steps):
        assert grid.beat2step(grid.step2beat(step)) == step
    assert grid.beat2step(grid.bar_ends[-1] + 0.1) is None


def test_sections_with_a_gap_are_not_joined_by_a_hold() -> None:
    canvas = empty_canvas(gap=3.0)
    cells = np.zeros((canvas.grid.steps, len(STREAMS)), dtype=np.int16)
    end = int(canvas.grid.first[3])
    cells[end - 2, 1] = FIRST
    cells[end - 1 : end + 6, 1] = HOLD
    (note,) = tokens2notes(cells, canvas, vocabulary())["bass"]
    assert note.end == pytest.approx(canvas.sections[0].end)


def test_a_push_into_the_next_chord_is_read_against_it() -> None:
    canvas = empty_canvas()
    first, second = canvas.chords[0], canvas.chords[1]
    pushed = Note(second.beat - 0.5, 1.5, 28 + (second.root - 28) % 12, 84)
    short = Note(second.beat - 0.5, 0.5, 28 + (first.root - 28) % 12, 84)
    cells = [notes2tokens(replace(canvas, notes={"bass": (n,)}), vocabulary()) for n in (pushed, short)]
    at = canvas.grid.beat2step(second.beat - 0.5)
    assert cells[0][at, 1] == cells[1][at, 1]
    assert cells[0][at + 3, 1] == HOLD
    assert cells[1][at + 3, 1] == REST
