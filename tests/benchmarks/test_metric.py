"""How `match_metric` tells whether a measure agrees with the judge: on distances whose agreement is known."""

from __future__ import annotations

import numpy as np
import pytest

from engine.match.frames import BANDS
from tests.benchmarks.match_encoder import Encoder
from tests.benchmarks.match_metric import Numbers, agreement, found, measure

SONGS = 12


def judged(seed: int = 0) -> np.ndarray:
    """[12, 12] distances; every song's own reference is its nearest."""
    away = np.random.default_rng(seed).uniform(1.0, 2.0, (SONGS, SONGS))
    return np.asarray(away - np.eye(SONGS))


def test_the_same_order_agrees_whatever_the_scale() -> None:
    a = agreement(judged() ** 3, judged())
    assert (a.all, a.each) == pytest.approx((1.0, 1.0))
    assert a.error == pytest.approx(0.0, abs=1e-9)
    assert agreement(-judged(), judged()).each == pytest.approx(-1.0)


def test_what_all_songs_have_against_one_reference_does_not_change_their_order_for_it() -> None:
    shifted = judged() + 100.0 * np.random.default_rng(1).permutation(SONGS)
    a = agreement(shifted, judged())
    assert a.each == pytest.approx(1.0)
    assert abs(a.all) < 0.5
    # What one song has against all references does change it.
    assert abs(agreement(shifted.T, judged().T).each) < 0.5


def test_a_measure_that_knows_nothing_agrees_by_chance() -> None:
    a = agreement(np.random.default_rng(2).uniform(size=(SONGS, 400)), judged(3).repeat(34, axis=1)[:, :400])
    assert abs(a.all) < 0.1
    assert abs(a.each) < 4 * a.error < 0.1


def test_own_songs_are_found_for_each_reference() -> None:
    away = judged()
    assert found(away) == 1.0
    assert found(np.roll(away, 1, axis=0)) == 0.0
    # One song that is near to everything is the answer for all references, though each song's nearest is its own.
    away[3] -= 2.0
    assert found(away) == pytest.approx(1 / SONGS)
    assert found(away.T) == 1.0


def test_every_measure_finds_a_sound_that_is_there_again() -> None:
    encoder = Encoder()
    heard = [[Numbers.of(moving(sound, piece), encoder) for sound in range(6)] for piece in (10, 11)]
    measures = measure([[song] * 6 for song in heard[0]], heard[1])
    assert len(measures) == 5
    for name, away in measures.items():
        assert away.shape == (6, 6)
        assert found(away) == 1.0, name
        assert found(np.roll(away, 1, axis=0)) == 0.0, name


def test_without_an_encoder_the_statistics_stand_alone() -> None:
    heard = [Numbers.of(moving(sound, 10)) for sound in range(3)]
    assert [name for name in measure([heard] * 3, heard) if "encoder" in name] == []


def moving(sound: int, piece: int) -> np.ndarray:
    """dB [frames, BANDS] of noise whose level, size and slowness in four regions are the sound's."""
    level, size, slow = (
        np.random.default_rng(sound).uniform((-40, 2, 0), (-10, 9, 0.95), (4, 3)).T.repeat(BANDS // 4, 1)
    )
    noise = np.random.default_rng(piece).normal(0, 1, (700, BANDS))
    for k in range(1, len(noise)):
        noise[k] = slow * noise[k - 1] + np.sqrt(1 - slow**2) * noise[k]
    return np.asarray(level + size * noise, dtype=np.float32)
