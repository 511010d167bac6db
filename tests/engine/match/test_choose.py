"""Who plays: the choice finds the sound it was given, together for all parts, and keeps to its vetoes."""

from __future__ import annotations

import numpy as np
import pytest

from engine.match import Levels, Wanted, choose_together, clip2wanted, passage2levels
from engine.match.texture import RATE, SIZE, distance, levels2texture
from tests.engine.match.sounds import Audio, beats, steady

SHORT, LONG, PAD = 0.05, 0.6, 3.0


def hits(seed: int, decay: float) -> Audio:
    return beats(4.0, rate=RATE, seed=seed, decay=decay)


def swell(seed: int, wide: float) -> Audio:
    return steady(4.0, rate=RATE, seed=seed, wide=wide) * 0.3


def options() -> list[list[Levels]]:
    """Two parts of three candidates each."""
    return [
        [passage2levels(hits(1, decay)) for decay in (0.2, SHORT, LONG)],
        [passage2levels(swell(2, wide)) for wide in (0.3, 0.02, 0.9)],
    ]


@pytest.mark.parametrize("decay", [0, 1, 2])
@pytest.mark.parametrize("wide", [0, 1, 2])
def test_the_very_sound_is_found_in_other_music(decay: int, wide: int) -> None:
    clip = hits(7, (0.2, SHORT, LONG)[decay]) + swell(8, (0.3, 0.02, 0.9)[wide])
    chosen = choose_together(options(), clip2wanted(clip))
    assert chosen.indices == (decay, wide)
    assert chosen.after <= chosen.before


def test_one_sound_in_two_pieces_is_nearer_than_two_sounds_in_one() -> None:
    def texture(seed: int, decay: float) -> np.ndarray:
        levels = passage2levels(hits(seed, decay))
        return levels2texture(levels.mid, levels.side)

    assert texture(1, SHORT).shape == (SIZE,)
    assert distance(texture(1, SHORT), texture(2, SHORT)) < 0.5 * distance(texture(1, SHORT), texture(1, LONG))


def test_what_the_bus_stage_could_not_put_right_is_not_chosen() -> None:
    levels = options()
    near = clip2wanted(hits(7, SHORT) + swell(8, 0.3))
    assert choose_together(levels, near).indices[0] == 1
    # The same candidate with its treble 60 dB down has the same texture but for means, and is out of reach.
    dull = np.where(np.arange(levels[0][1].mid.shape[1]) > 24, 1e-6, 1.0).astype(np.float32)
    old = levels[0][1]
    levels[0][1] = Levels(old.mid * dull, old.side * dull, old.heard)
    levels[1] = [Levels(row.mid * 1e-9, row.side * 1e-9, row.heard) for row in levels[1]]
    assert choose_together(levels, near).indices[0] != 1


def test_a_clip_of_one_channel_leaves_width_open() -> None:
    clip = hits(7, SHORT) + swell(8, 0.02)
    mono = clip2wanted(clip.mean(axis=0, keepdims=True))
    assert isinstance(mono, Wanted)
    assert mono.width is None
    assert choose_together(options(), mono).indices[0] == 1
