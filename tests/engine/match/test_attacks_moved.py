"""How far attacks moved: planted shifts are found to a tenth of a millisecond, whatever was done to the bands besides,
an attack that is slowed down is found late, and the bus stage moves none by half a millisecond."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from bridge.timeline import Clock
from engine.checks.onsets import measure_onsets
from engine.match import apply_curves
from engine.score import Note, Part
from tests.benchmarks.match_onsets import attack_shifts, first_sign_shifts
from tests.engine.match.sounds import Audio
from tests.engine.match.test_bus import made

RATE = 48000
CLOCK = Clock.steady(120.0, 12.0)
HITS = Part("Hits", "drums", tuple(Note(float(beat), 0.5, 38, 100) for beat in range(12)))
PLUCKS = Part("Bass", "bass", tuple(Note(float(beat), 0.9, 33, 100) for beat in range(12)))
CLOSE_MS = 0.1


@lru_cache(maxsize=1)
def matched() -> tuple[Audio, Audio]:
    """(hits, what the bus stage makes of them)."""
    stems, _, curves = made(rate=RATE)
    return stems[0], apply_curves(stems[0], curves)


def later(sound: Audio, ms: float) -> Audio:
    """The sound so much later, or earlier."""
    count = round(ms / 1000 * RATE)
    return np.asarray(np.roll(np.pad(sound, ((0, 0), (0, abs(count)))), count, axis=1)[:, : sound.shape[1]])


def plucks(click: float) -> Audio:
    """A low string, 55 Hz, twice a second: it swells for 12 ms under a click of 2 ms at 3 kHz."""
    time = np.arange(6 * RATE) / RATE
    since = time % 0.5
    string = np.sin(2 * np.pi * 55 * since) + 0.5 * np.sin(2 * np.pi * 165 * since)
    string *= (
        np.sin(np.pi / 2 * np.minimum(since / 0.012, 1.0)) ** 2
        * np.exp(-since / 0.12)
        * np.minimum((0.5 - since) / 0.01, 1.0)
    )
    sound = 0.3 * string + click * np.sin(2 * np.pi * 3000 * since) * np.exp(-since / 0.002)
    return np.repeat(sound[None], 2, axis=0).astype(np.float32)


def test_the_bus_stage_moves_none() -> None:
    before, after = matched()
    shifts = attack_shifts(before, after, HITS, CLOCK, RATE)
    assert len(shifts) >= 10
    assert np.abs(shifts).max() < 0.5
    assert np.abs(after / np.abs(after).max() - before / np.abs(before).max()).max() > 0.1


@pytest.mark.parametrize("ms", [-20.0, -5.0, -1.0, -0.5, 0.5, 1.0, 5.0, 20.0])
def test_a_stem_that_is_late_or_early_as_a_whole_is_found(ms: float) -> None:
    before, after = matched()
    assert_found(before, after, later(after, ms), HITS, ms)


@pytest.mark.parametrize("ms", [-1.0, 1.0, 3.0])
def test_single_attacks_that_moved_are_found_and_no_others(ms: float) -> None:
    before, after = matched()
    moved, wrong, some = later(after, ms), {2, 5, 6, 9}, after
    for hit in wrong:
        low, high = (round((hit * 0.5 + at) * RATE) for at in (-0.05, 0.4))
        some = np.concatenate([some[:, :low], moved[:, low:high], some[:, high:]], axis=1)
    places = np.rint(measure_onsets(before, HITS, CLOCK, RATE, 0).times / 0.5).astype(int)
    assert wrong <= set(places.tolist())
    old, new = (np.array(attack_shifts(before, sound, HITS, CLOCK, RATE)) for sound in (after, some))
    assert np.abs(new - old - [ms if hit in wrong else 0.0 for hit in places]).max() < CLOSE_MS


@pytest.mark.parametrize("ms", [6.0, 12.0])
def test_attacks_that_are_faded_in_are_found_late(ms: float) -> None:
    before, after = matched()
    since = np.arange(after.shape[1]) / RATE % 0.5
    faded = (after * np.minimum(since / (ms / 1000), 1.0)).astype(np.float32)
    assert min(attack_shifts(before, faded, HITS, CLOCK, RATE)) >= ms / 4


@pytest.mark.parametrize("ms", [-1.0, 0.0, 1.0])
def test_gains_in_bands_move_nothing_and_hide_nothing(ms: float) -> None:
    """A click over a string is turned down by 40 dB; the string is where it was."""
    before, after = plucks(0.2), plucks(0.002)
    assert np.abs(attack_shifts(before, after, PLUCKS, CLOCK, RATE)).max() < 0.5
    assert_found(before, after, later(after, ms), PLUCKS, ms)


@pytest.mark.parametrize("ms", [-1.0, 0.0, 1.0])
def test_what_rings_softly_before_an_attack_moves_nothing_and_hides_nothing(ms: float) -> None:
    """600 Hz, swelling for 4 ms up to the attack, as moving gains of zero phase make it."""
    before, after = matched()
    since = np.arange(round(0.004 * RATE)) / RATE
    ring = 0.1 * np.sin(2 * np.pi * 600 * since) * since / since[-1]
    ringing = after.copy()
    for beat in range(1, 12):
        at = round(beat * 0.5 * RATE)
        top = np.abs(after[:, at : at + len(ring)]).max()
        ringing[:, at - len(ring) : at] += (top * ring).astype(np.float32)
    assert np.median(first_sign_shifts(before, ringing, HITS, CLOCK, RATE)) <= -1.0
    assert np.abs(attack_shifts(before, ringing, HITS, CLOCK, RATE)).max() < 0.5
    assert_found(before, ringing, later(ringing, ms), HITS, ms)


def assert_found(before: Audio, after: Audio, moved: Audio, part: Part, ms: float) -> None:
    """A shift by so much more is read in every attack but the first and the last, which it may bring to the edges."""
    old, new = (np.array(attack_shifts(before, sound, part, CLOCK, RATE))[1:-1] for sound in (after, moved))
    assert len(new) >= 8
    assert np.abs(new - old - ms).max() < CLOSE_MS
