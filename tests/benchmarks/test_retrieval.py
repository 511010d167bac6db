"""The measures of `match_retrieval`: on songs whose references are known, near to everything, or none's."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.match_retrieval import centred, share_found, without_hubs

SONGS, SIZE = 20, 50


def near(rng: np.random.Generator, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """(songs, references) [20, 50] whose own are alike."""
    references = rng.normal(size=(SONGS, SIZE))
    return references + noise * rng.normal(size=references.shape), references


def cosines(songs: np.ndarray, references: np.ndarray) -> np.ndarray:
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (songs, references)]
    return np.asarray(1 - units[0] @ units[1].T)


def test_what_is_alike_is_found_and_what_is_not_by_chance() -> None:
    songs, references = near(np.random.default_rng(0), 0.3)
    for away in (cosines(songs, references), centred(songs, references), without_hubs(cosines(songs, references))):
        assert share_found(away) == 1.0
        assert share_found(np.roll(away, 1, axis=1)) == 0.0
    strangers = np.random.default_rng(1).normal(size=(400, SIZE)), np.random.default_rng(2).normal(size=(400, SIZE))
    assert share_found(centred(*strangers)) < 0.02


def test_what_all_songs_share_hides_them_until_it_is_taken_away() -> None:
    rng = np.random.default_rng(3)
    songs, references = near(rng, 1.0)
    one = references[7]
    hidden = songs + 6 * one
    assert share_found(cosines(hidden, references)) < 0.2
    assert share_found(centred(hidden, references)) > 0.8


def test_a_reference_that_is_near_to_everything_is_no_longer_the_answer() -> None:
    rng = np.random.default_rng(4)
    away = cosines(*near(rng, 1.5))
    away[:, 3] -= 0.9
    assert share_found(away) <= 0.1
    assert share_found(without_hubs(away)) > 0.6
