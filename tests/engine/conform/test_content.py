"""The music of other bars, at the right moments: refused where it is heard, in roles whose rhythm repeats; and what is
right is not, whoever plays it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.conform import Target, conform, guide2target
from engine.conform.pitch import STEPS, displaced_bar
from engine.score import Note
from tests.engine.conform.adversaries import BARS_MOVED, played, swapped
from tests.engine.conform.material import RATE, Song, make_song

WHERE = {"guitar": "ramp", "arp": "120"}
PLAYERS = {
    "guitar": ("nylon guitar", "overdriven guitar", "banjo"),
    "arp": ("marimba", "dulcimer", "banjo"),
}
"""Others than the guide's: those whose overtones lead furthest astray."""


@lru_cache(maxsize=4)
def case(role: str) -> tuple[Song, Target]:
    """Every bar of the part has the rhythm of the first, so that nothing but the notes can tell the bars apart."""
    song = make_song(role, WHERE[role])
    first = sorted({note.start % 4.0 for note in song.part.notes if note.start < 4.0})
    chords = [sorted({n.pitch for n in song.part.notes if n.start // 4 == bar}) for bar in range(4)]
    notes = [
        Note(bar * 4.0 + at, 0.22 if role == "arp" else 0.4, pitch, 90)
        for bar, chord in enumerate(chords)
        for k, at in enumerate(first)
        for pitch in (chord[k % len(chord) :][:1] if role == "arp" else chord)
    ]
    song = replace(song, part=replace(song.part, notes=tuple(sorted(notes, key=lambda n: (n.start, n.pitch)))))
    song = replace(song, guide=played(song, lambda note: note))
    return song, guide2target(song.guide, song.bars, song.onsets, RATE, drums=False)


@pytest.mark.parametrize("role", WHERE)
@pytest.mark.parametrize("order", [name for name in BARS_MOVED if name != "in place"])
def test_bars_in_another_order_are_refused(role: str, order: str) -> None:
    song, target = case(role)
    fitted = conform(played(song, BARS_MOVED[order], words=PLAYERS[role][0]), target)
    assert fitted.audio is None
    assert " of the stretch has " in fitted.faults[0]
    assert fitted.before_ms is not None
    assert fitted.before_ms[1] <= 10.0, "its onsets lie where they belong"


@pytest.mark.parametrize("role", WHERE)
def test_one_bar_of_another_bar_s_music_is_refused_and_named(role: str) -> None:
    song, target = case(role)
    right, wrong = song.guide, played(song, swapped)
    start, end = song.bars[1]
    fitted = conform(np.concatenate([right[:, :start], wrong[:, start:end], right[:, end:]], axis=1), target)
    assert fitted.audio is None
    assert fitted.faults == ("bar 2 of the stretch has the notes of bar 1",)


@pytest.mark.parametrize("role", WHERE)
def test_an_edited_bar_that_copies_the_one_beside_it_is_refused(role: str) -> None:
    song, _ = case(role)
    onsets = song.onsets[(song.onsets >= song.bars[1][0]) & (song.onsets < song.bars[1][1])]
    beside = [song.bars[0], *song.bars[2:]]
    target = guide2target(song.guide, [song.bars[1]], onsets, RATE, drums=False, beside=beside)
    assert conform(song.guide, target).faults == ()
    fitted = conform(played(song, swapped), target)
    assert fitted.audio is None
    assert fitted.faults == ("bar 1 of the stretch has the notes of a bar beside it",)


@pytest.mark.parametrize(("role", "words"), [(role, words) for role in WHERE for words in PLAYERS[role]])
def test_the_right_bars_land_whoever_plays_them(role: str, words: str) -> None:
    song, target = case(role)
    assert conform(played(song, lambda note: note, words=words), target).faults == ()


bars = st.lists(st.sets(st.integers(0, 11), min_size=1, max_size=4), min_size=2, max_size=6)


def circles(chords: list[set[int]], overtones: float = 0.3) -> np.ndarray:
    """[bars, STEPS] pitch classes of each bar with their fifths, as an instrument's third partial gives them."""
    out = np.zeros((len(chords), STEPS))
    for k, chord in enumerate(chords):
        for pitch in chord:
            out[k, pitch * 10] += 1.0
            out[k, (pitch + 7) % 12 * 10] += overtones
    return out


@given(bars, st.floats(0.0, 0.7))
def test_other_overtones_move_no_bar(chords: list[set[int]], overtones: float) -> None:
    assert displaced_bar(circles(chords), circles(chords, overtones)) is None


@given(bars, st.data())
def test_a_bar_that_became_another_is_named(chords: list[set[int]], data: st.DataObject) -> None:
    bar, other = data.draw(st.permutations(range(len(chords))))[:2]
    heard = [chords[other] if k == bar else chord for k, chord in enumerate(chords)]
    found = displaced_bar(circles(chords), circles(heard))
    if chords[bar] == chords[other]:
        assert found is None
    elif found is not None:
        assert found[0] == bar
        assert heard[found[0]] == chords[found[1]]
    else:
        likeness = np.corrcoef(circles([chords[bar], chords[other]]))[0, 1]
        assert likeness > 0.7, "only what sounds much alike is let through"


def test_the_other_bar_is_the_one_that_it_is_most_like() -> None:
    chords: list[set[int]] = [{0, 11}, {0, 1, 2}, {0}]
    assert displaced_bar(circles(chords), circles([chords[1], *chords[1:]])) == (0, 1)
