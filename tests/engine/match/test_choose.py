"""Who plays: the choice finds the sound it was given, together for all parts, and keeps to its vetoes."""

from __future__ import annotations

import numpy as np
import pytest

from engine.match import LEAST_GAIN, Chosen, Levels, Wanted, choose_together, clip2wanted, passage2levels
from engine.match.frames import power2db
from engine.match.texture import RATE, SIZE, distance, levels2texture
from tests.engine.match.sounds import Audio, beats, steady

SHORT, LONG = 0.05, 0.6
DECAYS = (0.2, SHORT, LONG)
TREMOLOS = (0.5, 4.0, 15.0)


def hits(seed: int, decay: float) -> Audio:
    return beats(4.0, rate=RATE, seed=seed, decay=decay)


def swell(seed: int, tremolo: float) -> Audio:
    """A pad whose level trembles so many times a second."""
    sound = steady(4.0, rate=RATE, seed=seed) * 0.3
    return (sound * (1 + 0.9 * np.sin(2 * np.pi * tremolo * np.arange(sound.shape[1]) / RATE))).astype(np.float32)


def options() -> list[list[Levels]]:
    """Two parts of three candidates each."""
    return [
        [passage2levels(hits(1, decay)) for decay in DECAYS],
        [passage2levels(swell(2, tremolo)) for tremolo in TREMOLOS],
    ]


def clip(decay: int, tremolo: int) -> Audio:
    """Other music in the sounds of these candidates."""
    return hits(7, DECAYS[decay]) + swell(8, TREMOLOS[tremolo])


def choose(parts: list[list[Levels]], wanted: Wanted, rest: Levels | None = None) -> Chosen:
    return choose_together(parts, wanted, [LEAST_GAIN] * len(parts), rest)


@pytest.mark.parametrize("decay", [0, 1])
@pytest.mark.parametrize("tremolo", [0, 1, 2])
def test_the_very_sounds_are_found_together_in_other_music(decay: int, tremolo: int) -> None:
    chosen = choose(options(), clip2wanted(clip(decay, tremolo)))
    assert chosen.indices == (decay, tremolo)
    assert chosen.after <= chosen.before


@pytest.mark.parametrize("decay", [0, 1, 2])
@pytest.mark.parametrize("tremolo", [0, 1, 2])
def test_the_very_sound_is_found_beside_another_that_stays(decay: int, tremolo: int) -> None:
    wanted, (drums, pads) = clip2wanted(clip(decay, tremolo)), options()
    assert choose([drums, [pads[tremolo]]], wanted).indices == (decay, 0)
    assert choose([[drums[decay]], pads], wanted).indices == (0, tremolo)
    assert choose([drums], wanted, rest=pads[tremolo]).indices == (decay,)


def test_a_part_changes_only_for_the_gain_it_is_asked_for() -> None:
    drums, pads = options()
    wanted = clip2wanted(clip(1, 0))
    found = choose([drums, pads[:1]], wanted)
    gain = found.before - found.after
    assert gain > LEAST_GAIN
    assert choose_together([drums, pads[:1]], wanted, [0.9 * gain, LEAST_GAIN]).indices == (1, 0)
    assert choose_together([drums, pads[:1]], wanted, [1.1 * gain, LEAST_GAIN]).indices == (0, 0)


def test_one_sound_in_two_pieces_is_nearer_than_two_sounds_in_one() -> None:
    def texture(seed: int, decay: float) -> np.ndarray:
        levels = passage2levels(hits(seed, decay))
        return levels2texture(power2db(levels.total))

    assert texture(1, SHORT).shape == (SIZE,)
    assert distance(texture(1, SHORT), texture(2, SHORT)) < 0.5 * distance(texture(1, SHORT), texture(1, LONG))


def test_what_the_bus_stage_could_not_put_right_is_not_chosen() -> None:
    levels = options()
    near = clip2wanted(hits(7, SHORT) + swell(8, TREMOLOS[0]))
    assert choose(levels, near).indices[0] == 1
    # The same candidate with its treble 60 dB down has the same texture but for means, and is out of reach.
    dull = np.where(np.arange(levels[0][1].mid.shape[1]) > 24, 1e-6, 1.0).astype(np.float32)
    old = levels[0][1]
    levels[0][1] = Levels(old.mid * dull, old.side * dull, old.heard)
    levels[1] = [Levels(row.mid * 1e-9, row.side * 1e-9, row.heard) for row in levels[1]]
    assert choose(levels, near).indices[0] != 1


def test_a_clip_of_one_channel_leaves_width_open() -> None:
    mono = clip2wanted(clip(1, 1).mean(axis=0, keepdims=True))
    assert isinstance(mono, Wanted)
    assert mono.width is None
    assert choose(options(), mono).indices[0] == 1
