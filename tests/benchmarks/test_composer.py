"""The composer's judge, judged: by the truth, by material that repeats itself, and by answers that are made worse."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from engine.diffusion.canvas import STREAMS
from engine.diffusion.parts import PartsModel
from engine.diffusion.tokens import notes2tokens
from engine.grooves import book
from engine.score import Note
from engine.training.songs import HELD_OUT, Song, make_song
from tests.benchmarks import composer_mma, composer_referee
from tests.benchmarks.composer_figures import Figures, combine
from tests.benchmarks.composer_measures import MUSICAL, Answer, found_notes, histograms, overlapping_area
from tests.benchmarks.composer_nats import MIXTURES, anchor_nats, best_mixtures, model_nats
from tests.benchmarks.composer_ours import Piece
from tests.benchmarks.composer_rows import NoAnswer, copy_notes, count_cells, other_song, previous_bar
from tests.benchmarks.composer_verdict import Row, verdict


@pytest.fixture(scope="module")
def songs() -> list[Song]:
    grooves = tuple(g for g in book() if g.name in HELD_OUT and g.metre == "4/4")
    return [make_song(i, grooves, 99) for i in range(3)]


@pytest.fixture(scope="module")
def hidden(songs: list[Song]) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [(rng.random((len(s.canvas.bars), len(STREAMS))) < 0.25) & s.playing.any() for s in songs]


@pytest.fixture(scope="module")
def true(songs: list[Song], hidden: list[np.ndarray]) -> list[Answer]:
    return [Answer(s.canvas, h, s.canvas.notes) for s, h in zip(songs, hidden, strict=True)]


def row(answers: list[Answer]) -> Row:
    """The table's row of these answers, without NLL and referee."""
    return combine(
        "anchor",
        [
            Figures(
                np.zeros((6, len(MIXTURES))).tolist(),
                {s: found.tolist() for s, found in found_notes(a).items()},
                {},
                {name: measure(a) for name, measure in MUSICAL.items()},
                *(
                    {f: {s: c.tolist() for s, c in streams.items()} for f, streams in counts.items()}
                    for counts in (histograms(a.canvas, a.notes), histograms(a.canvas, a.canvas.notes))
                ),
            )
            for a in answers
        ],
    )


def test_the_truth_is_perfect_and_overlaps_with_itself(true: list[Answer]) -> None:
    music = row(true)
    assert music["onset F1"] == music["pitch F1"] == 1.0
    assert music["dens ratio"] == 1.0
    assert music["dens err"] == 0.0
    assert all(music[f"OA {name}"] == pytest.approx(1.0) for name in ("pitch", "length", "IOI", "density"))


def test_a_wrong_pitch_costs_pitch_alone(true: list[Answer]) -> None:
    up = [
        replace(a, notes={s: [replace(n, pitch=n.pitch + 1) for n in notes] for s, notes in a.notes.items()})
        for a in true
    ]
    wrong = row(up)
    assert wrong["onset F1"] == 1.0
    assert (wrong["pitch F1"] or 0.0) < 0.35
    assert (wrong["in key"] or 1.0) < (row(true)["in key"] or 0.0) - 0.2


def test_silence_is_no_answer(true: list[Answer]) -> None:
    assert row([replace(a, notes=dict.fromkeys(STREAMS, ())) for a in true])["onset F1"] == 0.0


def test_copying_is_right_where_every_bar_is_the_same_and_another_song_is_not(
    songs: list[Song], hidden: list[np.ndarray]
) -> None:
    song, holes = songs[0], hidden[0].copy()
    holes[0] = False
    bars = song.canvas.bars
    first = {s: [n for n in notes if n.start < bars[0].end] for s, notes in song.canvas.notes.items()}
    same = {
        s: tuple(replace(n, start=n.start + b.start - bars[0].start) for b in bars for n in notes)
        for s, notes in first.items()
    }
    loop = replace(song, canvas=replace(song.canvas, notes=same))
    copied = Answer(loop.canvas, holes, copy_notes(loop, holes, previous_bar(loop, holes)))
    assert row([copied])["pitch F1"] == 1.0
    other = Answer(loop.canvas, holes, other_song(loop, holes, songs, np.random.default_rng(1)))
    assert (row([other])["pitch F1"] or 0.0) < 0.5


def test_a_song_without_another_has_no_shuffled_row(songs: list[Song], hidden: list[np.ndarray]) -> None:
    with pytest.raises(NoAnswer, match="no other song"):
        other_song(songs[0], hidden[0], songs[:1], np.random.default_rng(1))


def test_histograms_of_other_music_overlap_less(true: list[Answer]) -> None:
    mine, theirs = (histograms(a.canvas, a.notes) for a in true[:2])
    assert 0.0 < (overlapping_area(mine["pitch"], theirs["pitch"]) or 0.0) < 0.95


def test_nats_fall_when_the_answer_is_the_truth_and_the_model_knows_more_than_a_unigram(
    songs: list[Song], hidden: list[np.ndarray]
) -> None:
    model = PartsModel.load()
    counts = count_cells(songs, model.vocabulary)
    right, silent = (
        best_mixtures(anchor_nats(songs[0], hidden[0], notes, counts, model.vocabulary))
        for notes in (songs[0].canvas.notes, {})
    )
    assert 0.0 < right < silent / 20
    model_total = float(model_nats(model, songs[0], hidden[0], 1).sum())
    unigram = 0.0
    cells = notes2tokens(songs[0].canvas, model.vocabulary)
    where = hidden[0][songs[0].canvas.grid.bar]
    for s, said in enumerate(counts):
        unigram -= float(np.log((said / said.sum())[cells[where[:, s], s]]).sum())
    assert 0.0 < model_total < unigram
    assert model_total == float(model_nats(model, songs[0], hidden[0], 1).sum())


def test_the_verdict_names_what_is_lost() -> None:
    rows: dict[str, Row] = {
        "truth": {"groove": 0.8, "dens ratio": 1.0, "NLL": None, "pitch F1": 1.0},
        "copy previous bar": {"NLL": 2.0, "pitch F1": 0.5, "groove": 0.9},
        "ours: band": {"NLL": 1.0, "pitch F1": 0.4, "groove": 0.75, "dens ratio": 0.8},
    }
    said = verdict(rows)
    assert said[0] == "ours: band beats 'copy previous bar' on NLL; NOT on pitch F1 0.40 against 0.50"
    assert said[1] == "ours: band lies within 10% of the truth on groove; NOT on dens ratio 0.80 (truth 1.00)"


@pytest.mark.skipif(composer_referee.why_absent() != "", reason=composer_referee.why_absent())
def test_the_referee_agrees_on_what_is_the_same(
    true: list[Answer], songs: list[Song], hidden: list[np.ndarray]
) -> None:
    assert all(value == pytest.approx(1.0) for value in composer_referee.judge(true[0]).values())
    worse = other_song(songs[0], hidden[0], songs, np.random.default_rng(2))
    assert composer_referee.judge(replace(true[0], notes=worse))["smg F1"] < 0.5


def test_mma_plays_the_chords_that_it_is_given(songs: list[Song]) -> None:
    piece = Piece("book", 0, songs[0], 100.0)
    try:
        notes = composer_mma.arrange(piece)
    except composer_mma.NoMma as problem:
        pytest.skip(str(problem))
    assert notes["drums"]
    assert notes["bass"]
    chords = songs[0].canvas.chords
    roots = [
        _root_at(chords, n) == n.pitch % 12 for n in notes["bass"] if math.isclose(n.start % 4.0, 0.0, abs_tol=0.1)
    ]
    assert sum(roots) / len(roots) > 0.7


def _root_at(chords: tuple, note: Note) -> int:  # type: ignore[type-arg]
    return next(c.root for c in reversed(chords) if c.beat <= note.start + 0.2)
