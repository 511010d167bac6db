"""A font's drum preset as a kit: every hit rings out, hats and their like choke each other as General MIDI says.

A hit is a pure function of (font, preset, pitch, velocity, rate). Velocities share a recording in steps of
`VELOCITY_STEP`; the level is exact to the step's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.sampler.player import Player

Audio = NDArray[np.float32]

CHOKES = {42: "hat", 44: "hat", 46: "hat", 71: "whistle", 72: "whistle", 73: "guiro", 74: "guiro", 78: "cuica",
          79: "cuica", 80: "triangle", 81: "triangle"}  # fmt: skip
"""General MIDI's exclusive groups."""
KICKS = (35, 36)
KICK_ROOM = 0.15
"""How much of a kick goes to the room."""
VELOCITY_STEP = 4
STEP_DB = 40.0
"""dB per decade of velocity between steps: the SoundFont's own curve."""
MAX_SECONDS = 4.0
FADE_SECONDS = 0.3


def velocity2step(velocity: int) -> int:
    """The velocity that is played for this one."""
    return min(127, max(1, round(velocity / VELOCITY_STEP) * VELOCITY_STEP))


@dataclass
class DrumFont:
    """Plays hits; keeps those that were played. Not to be shared between threads."""

    player: Player
    rate: int
    _kept: dict[tuple[int, int], Audio] = field(default_factory=dict)

    def hit(self, pitch: int, velocity: int) -> Audio:
        """float32 [2, n]: one hit, from its onset to silence (4 s at most). Empty where the preset has no such drum."""
        step = velocity2step(velocity)
        if (pitch, step) not in self._kept:
            hold = int(MAX_SECONDS * self.rate)
            sound = self.player.note(pitch, step, hold)[:, :hold]
            loud = np.flatnonzero(np.abs(sound).max(axis=0) > 1e-5)
            sound = sound[:, : int(loud[-1]) + 1 if len(loud) else 0].copy()
            if sound.shape[1] == hold:
                fade = int(FADE_SECONDS * self.rate)
                sound[:, -fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
            self._kept[pitch, step] = sound
        gain = 10 ** (STEP_DB / 20 * np.log10(velocity / step))
        return self._kept[pitch, step] * np.float32(gain)
