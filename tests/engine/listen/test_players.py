"""Which roles are heard to play: on songs of patterns and instruments that the reading was not fitted to."""

from __future__ import annotations

from itertools import combinations, islice

import numpy as np
import pytest

from engine.listen.onsets import sound2strength
from engine.listen.players import CLIP_AT, LEAST_FRAMES, TRAITS, load_reading, sound2players, sound2traits
from engine.training.players import LEAST_AUC, area, fit, master, nobody, surprise
from tests.engine.listen.played_songs import play, steady
from tests.engine.listen.sounds import RATE, noise

ROLES = ("drums", "bass", "keys")
MIXES = [roles for count in (1, 2, 3) for roles in combinations(ROLES, count)]


def heard(roles: tuple[str, ...], pattern: str, bpm: float) -> dict[str, float]:
    mono = play(steady(bpm, 6), pattern=pattern, roles=roles).mono
    return dict(sound2players(mono, sound2strength(mono)))


def test_the_shipped_reading_is_whole_and_says_how_well_it_does() -> None:
    reading = load_reading()
    assert reading.mean.shape == reading.scale.shape == (TRAITS,)
    assert reading.weights.shape == (len(reading.roles), TRAITS)
    assert reading.bias.shape == (len(reading.roles),)
    assert (reading.scale > 0).all()
    assert {"drums", "bass"} <= set(reading.roles)


def test_drums_and_bass_are_told_from_songs_without_them() -> None:
    rows = [(roles, heard(roles, pattern, bpm)) for roles in MIXES for pattern, bpm in (("rock", 104), ("house", 124))]
    for role in ("drums", "bass"):
        scores = np.array([activity[role] for _, activity in rows])
        truth = np.array([float(role in roles) for roles, _ in rows])
        assert area(scores, truth) >= 0.85, role
    assert min(activity["drums"] for roles, activity in rows if "drums" in roles) > 0.4


def test_roles_come_surest_first_between_nought_and_one() -> None:
    mono = play(steady(100.0, 6)).mono
    found = sound2players(mono, sound2strength(mono))
    assert [a for _, a in found] == sorted((a for _, a in found), reverse=True)
    assert all(0.0 <= a <= 1.0 for _, a in found)
    assert sound2players(mono, sound2strength(mono)) == found


@pytest.mark.parametrize("seconds", [0.0, 0.01, 1.0])
def test_of_silence_and_short_sounds_nobody_is_heard(seconds: float) -> None:
    mono = noise(seconds)
    assert sound2players(mono, sound2strength(mono)) == ()
    still = np.zeros(5 * RATE, np.float32)
    assert sound2players(still, sound2strength(still)) == ()
    assert sound2traits(noise(LEAST_FRAMES * 1024 / RATE + 1), sound2strength(noise(3.0))) is not None


def test_how_loud_a_clip_is_does_not_matter() -> None:
    mono = play(steady(100.0, 6)).mono
    loud, soft = (dict(sound2players(m, sound2strength(m))) for m in (mono, (0.05 * mono).astype(np.float32)))
    assert all(abs(loud[role] - soft[role]) < 0.1 for role in loud)


def test_a_regression_finds_what_separates() -> None:
    """Of ten traits the third says it; with much ridge the answer stays near even."""
    rng = np.random.default_rng(0)
    traits = rng.normal(size=(400, 10))
    truth = (traits[:, 2] + 0.3 * rng.normal(size=400) > 0).astype(float)
    weights, bias = fit(traits[:300], truth[:300], 0.01)
    assert int(np.abs(weights).argmax()) == 2
    assert area(traits[300:] @ weights + bias, truth[300:]) > 0.95
    assert np.abs(fit(traits, truth, 100.0)[0]).max() < 0.05
    assert area(np.array([1.0, 1.0]), np.array([0.0, 1.0])) == 0.5
    assert LEAST_AUC >= 0.8


def test_in_noise_of_any_colour_nobody_is_heard() -> None:
    """Noises that the reading was not fitted to (another seed)."""
    reading = load_reading()
    traits = np.array([traits for traits, _ in islice(nobody(seed=5), 12)])
    place = np.clip((traits - reading.mean) / reading.scale, -CLIP_AT, CLIP_AT)
    sure = 1.0 / (1.0 + np.exp(-(place @ reading.weights.T + reading.bias)))
    assert (sure.mean(axis=0) < 0.2).all(), dict(zip(reading.roles, sure.mean(axis=0), strict=True))
    assert (sure > 0.5).mean() < 0.05


def test_a_mastered_mix_is_heard_as_the_mix() -> None:
    mono = play(steady(104.0, 6)).mono
    plain = dict(sound2players(mono, sound2strength(mono)))
    rows = []
    for seed in range(6):
        loud = master(mono, np.random.default_rng(seed))
        assert np.abs(loud).max() <= 1.0
        rows.append(dict(sound2players(loud, sound2strength(loud))))
    assert np.mean([row["drums"] for row in rows]) > 0.7
    assert plain["drums"] > 0.7


def test_surprise_is_least_where_confidence_is_honest() -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 1.5, 20000)
    truth = (rng.random(20000) < 1 / (1 + np.exp(-margin))).astype(float)
    assert surprise(margin, truth) < min(surprise(3 * margin, truth), surprise(margin / 3, truth))
