"""Chords and keys of generated songs, whose truth is known, and of small cases written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.arrangement import KeyAt
from bridge.timeline import Clock, Metre
from engine.listen.chords import bars2spans
from engine.listen.key import KeyGuess
from engine.listen.tones import parts2tones
from engine.listen.tracks import hear
from engine.score import Chord, Note, Part
from tests.engine.listen.known_songs import make_song, right_share


def listen(parts: tuple[Part, ...], beats: float, *keys: KeyAt) -> tuple[KeyGuess, tuple[Chord, ...]]:
    return hear(parts, parts2tones(parts), Clock.steady(100, beats), keys)


def chords_part(*chords: tuple[float, float, tuple[int, ...]], role: str = "keys") -> Part:
    return Part(role, role, tuple(Note(beat, beats, p, 80) for beat, beats, pitches in chords for p in pitches))


@pytest.mark.parametrize(("bass", "melody"), [(True, True), (False, False), (False, True)])
def test_chords_of_many_songs(bass: bool, melody: bool) -> None:
    songs = [make_song(seed, bass=bass, melody=melody) for seed in range(40)]
    heard = [listen(song.parts, song.beats)[1] for song in songs]
    exact = np.mean([right_share(s, h, roots_only=False) for s, h in zip(songs, heard, strict=True)])
    roots = np.mean([right_share(s, h, roots_only=True) for s, h in zip(songs, heard, strict=True)])
    assert exact >= 0.93
    assert roots >= 0.95


def test_keys_of_many_songs_and_their_confidence() -> None:
    """The tonic is a matter of taste in loops of relative keys; the scale is not, and confidence tells them apart."""
    right, scale, sure = [], [], []
    for seed in range(100, 160):
        song = make_song(seed)
        guess, _ = listen(song.parts, song.beats)
        right.append((guess.key.tonic, guess.key.mode) == (song.tonic, song.mode))
        home = song.tonic if song.mode == "major" else song.tonic + 3
        scale.append(guess.key.scale >= {(home + d) % 12 for d in (0, 2, 4, 5, 9, 11)})
        sure.append(guess.confidence)
    assert np.mean(right) >= 0.7
    assert np.mean(scale) >= 0.85
    correct = np.array(right)
    assert np.mean(np.array(sure)[correct]) > np.mean(np.array(sure)[~correct]) + 0.1


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), up=st.integers(-6, 6))
def test_transposed_songs_give_transposed_chords(seed: int, up: int) -> None:
    song = make_song(seed, bars=4)
    moved = tuple(
        Part(p.name, p.role, tuple(Note(n.start, n.length, n.pitch + up, n.velocity) for n in p.notes))
        for p in song.parts
    )
    tonics = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    _, chords = listen(song.parts, song.beats, KeyAt(0.0, "C", "major"))
    _, chords_up = listen(moved, song.beats, KeyAt(0.0, tonics[up % 12], "major"))
    assert [(c.beat, (c.root + up) % 12, c.quality) for c in chords] == [(c.beat, c.root, c.quality) for c in chords_up]


def test_silence_is_left_open_but_a_bar_keeps_its_chord() -> None:
    part = chords_part((0.0, 1.0, (57, 60, 64)), (8.0, 1.0, (53, 57, 60)))
    _, chords = listen((part,), 16.0)
    assert [(c.beat, c.beats, c.symbol) for c in chords] == [(0.0, 4.0, "Am"), (8.0, 4.0, "F")]
    assert all(c.given for c in chords)


def test_a_slash_bass_is_heard() -> None:
    keys = chords_part((0.0, 4.0, (60, 64, 67)), (4.0, 4.0, (60, 64, 67)))
    bass = chords_part((0.0, 4.0, (36,)), (4.0, 4.0, (40,)), role="bass")
    _, chords = listen((keys, bass), 8.0)
    assert [c.symbol for c in chords] == ["C", "C/E"]


def test_pushed_chords_belong_to_the_bar_they_are_held_into() -> None:
    part = chords_part((0.0, 3.4, (57, 60, 64)), (3.5, 3.9, (53, 57, 60)), (7.5, 4.0, (55, 59, 62)))
    _, chords = listen((part,), 12.0)
    assert [(c.beat, c.symbol) for c in chords] == [(0.0, "Am"), (4.0, "F"), (8.0, "G")]


def test_a_melody_alone_gives_no_chords_and_drums_nothing() -> None:
    melody = chords_part((0.0, 1.0, (72,)), (1.0, 1.0, (76,)), (2.0, 1.0, (79,)), role="lead")
    drums = chords_part((0.0, 0.1, (36, 42)), (1.0, 0.1, (38,)), role="drums")
    assert listen((melody, drums), 4.0)[1] == ()
    guess, chords = listen((drums,), 4.0)
    assert chords == ()
    assert guess.confidence == 0.0


def test_few_notes_make_a_low_confidence() -> None:
    assert listen((chords_part((0.0, 1.0, (60,))),), 4.0)[0].confidence < 0.4


def test_the_key_given_wins_and_changes() -> None:
    part = chords_part(*((4.0 * k, 4.0, (57, 60, 64)) for k in range(4)))
    guess, _ = listen((part,), 16.0, KeyAt(0.0, "F#", "major"), KeyAt(8.0, "A", "minor"))
    assert (guess.key.tonic, guess.key.mode, guess.key.given, guess.confidence) == (6, "major", True, 1.0)


def test_spans_are_half_bars() -> None:
    clock = Clock.from_pairs(
        [(0.0, 0.0), (30.0, 15.0)], [Metre(0.0, 4, 4), Metre(8.0, 3, 4), Metre(14.0, 6, 8), Metre(20.0, 5, 4)]
    )
    spans = bars2spans(list(clock.bars()))
    assert spans[:4] == [(0.0, 2.0), (2.0, 4.0), (4.0, 6.0), (6.0, 8.0)]
    assert spans[4:6] == [(8.0, 11.0), (11.0, 14.0)]
    assert spans[6:10] == [(14.0, 15.5), (15.5, 17.0), (17.0, 18.5), (18.5, 20.0)]
    assert spans[10:] == [(20.0, 23.0), (23.0, 25.0), (25.0, 28.0), (28.0, 30.0)]
