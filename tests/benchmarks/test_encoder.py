"""What `match_encoder` learns: from a band of noises whose sounds are known, and from a few of the catalogue's."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from engine.match.frames import BANDS, Floats
from engine.training.metric import ROLES
from tests.benchmarks.match_encoder import (
    KEPT,
    LEARNT,
    Encoder,
    Played,
    away,
    draw_pairs,
    instruments,
    learn,
    record,
    same_found,
)

PIECES, PLAYERS, FRAMES = 4, 6, 192
CHANCE = 1 / 31


@lru_cache(maxsize=1)
def noises() -> Played:
    """Every instrument has a size and a speed of movement, and every four bands of it a level; a piece is a noise."""
    played = {}
    for number, role in enumerate(ROLES):
        rng = np.random.default_rng(number)
        level = rng.uniform(-36, -24, (PLAYERS, 2, 1, BANDS // 4)).repeat(4, axis=3)
        size, slow = rng.uniform(2, 9, (PLAYERS, 1, 1, 1)), rng.uniform(0, 0.95, (PLAYERS, 1, BANDS))
        noise = rng.normal(0, 1, (PIECES, PLAYERS, 2, FRAMES, BANDS))
        for k in range(1, FRAMES):
            noise[..., k, :] = slow * noise[..., k - 1, :] + np.sqrt(1 - slow**2) * noise[..., k, :]
        played[role] = (10 ** ((level + size * noise) / 10)).astype(np.float32)
    return played


@lru_cache(maxsize=1)
def learnt() -> tuple[Encoder, list[float]]:
    return learn(noises(), steps=60, sounds=8, frames=96, seed=1)


def test_it_learns_to_find_the_same_sound_in_another_piece() -> None:
    def share(net: Encoder) -> float:
        return same_found(noises(), net.embed, away, foreseen=True, asked=4)

    net, losses = learnt()
    assert np.mean(losses[-20:]) < 0.9 * np.mean(losses[:20])
    assert share(net) > 8 * CHANCE
    assert share(net) > 1.2 * share(Encoder())


def test_what_hears_nothing_finds_nothing() -> None:
    def see(level: Floats) -> Floats:
        return np.asarray(level.shape, np.float32)

    assert same_found(noises(), see, away, foreseen=False, asked=2) < 3 * CHANCE


def test_the_same_seed_learns_the_same_net() -> None:
    level = draw_pairs(noises(), np.random.default_rng(1), 1, 96, foreseen=False)[0]
    first, again, other = (learn(noises(), 3, 4, 96, seed)[0].embed(level) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    assert np.linalg.norm(first) == pytest.approx(1.0, abs=1e-5)


def test_loudness_is_no_part_of_a_sound() -> None:
    net, _ = learnt()
    level = draw_pairs(noises(), np.random.default_rng(2), 1, FRAMES, foreseen=False)[0]
    assert away(net.embed(level), net.embed(level - 20)) < 1e-4
    assert away(net.embed(level), net.embed(level + np.linspace(-20, 20, BANDS, dtype=np.float32))) > 0.01


def test_pairs_brought_to_one_reference_have_its_spectrum() -> None:
    def spectra(*, foreseen: bool) -> np.ndarray:
        levels = draw_pairs(noises(), np.random.default_rng(3), 4, 96, foreseen=foreseen)
        assert levels.shape == (8, 96, BANDS)
        return np.asarray(10 * np.log10((10 ** (levels / 10)).mean(axis=1)))

    assert spectra(foreseen=False).std(axis=0).mean() > 4 * spectra(foreseen=True).std(axis=0).mean()


def test_instruments_that_are_asked_about_were_not_learnt_from() -> None:
    learnt_from, kept = instruments()
    for role in ROLES:
        assert len(kept[role]) == KEPT
        assert 3 * KEPT < len(learnt_from[role]) <= LEARNT
    names = [{one.name for some in band.values() for one in some} for band in (learnt_from, kept)]
    assert not names[0] & names[1]


def test_the_catalogue_plays_for_it() -> None:
    played = record({role: some[:1] for role, some in instruments()[1].items()}, 2, seed=1)
    for role in ROLES:
        assert played[role].shape[:3] == (2, 1, 2), role
        assert (played[role].sum(axis=(2, 3, 4)) > 1e-6).all(), role
        assert not np.array_equal(played[role][0], played[role][1]), role
