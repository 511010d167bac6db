"""Settings of the kinds of Stable Audio 3 checkpoints, and what the model is told of a stretch: words only.

Kinds are told by the scheduler's configuration: `stochastic_sampling` is the distilled checkpoint's ping-pong sampler
(8 steps, guidance in the weights); without it, it is a base checkpoint, which needs guidance and obeys words of what
to avoid. Source: Stable Audio 3 (arXiv 2605.17991) and its pipelines in diffusers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.rendering import Stretch

LOGSNR = (-6.2, 2.0)
"""Log signal-to-noise ratios of the schedule's noisy and clean ends: the pipelines' own defaults."""
ALONE = {
    "drums": "solo drum kit", "bass": "solo bass", "keys": "solo keyboard", "guitar": "solo guitar",
    "pad": "solo synth pad", "strings": "solo string section", "brass": "solo brass section",
    "lead": "solo lead melody instrument", "arp": "solo arpeggiated synth", "vocals": "solo voice",
}  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """`steps`, guidance scale (1: none), and the default distance from the guide (noise level 0-1)."""

    steps: int
    guidance: float
    strength: float = 0.75


PRESETS = {"distilled": Preset(8, 1.0), "base": Preset(50, 7.0)}


def stretch2prompt(stretch: Stretch) -> str:
    """Instrument, tempo, key and metre as the model's captions have them; the user's words last: long texts are cut."""
    key = f"{stretch.tonic} {stretch.mode}" if stretch.tonic else ""
    told = (ALONE[stretch.role], f"{stretch.bpm:.4g} BPM", key, f"{stretch.beats}/{stretch.unit} time")
    return ", ".join(filter(None, (*told, "isolated stem, studio recording", stretch.words.strip())))


def schedule(steps: int, level: float) -> list[float]:
    """Noise levels of an audio-to-audio run told to start at `level`: as `logsnr_sigma_schedule` of diffusers.

    (Below level 1 the reference's schedule rises after its first entry; see `level_for`.)
    """
    low, high = LOGSNR
    times = [level * (1.0 - i / steps) for i in range(steps)]
    return [level, *(1.0 / (1.0 + math.exp(high - t * (high - low))) for t in times[1:])]


def level_for(strength: float, steps: int) -> float:
    """The start level at which the sound passes through noise of at most `strength`.

    The pipelines warp the schedule so that a start at 0.6 climbs to 0.9 on its next step, and a distilled sampler,
    which draws new noise at every step, forgets most of the guide there. So the level is searched whose highest point
    is what was asked for; below the schedule's floor (0.12) the start itself is the highest.
    """
    low, high = 1e-4, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if max(schedule(steps, middle)) < strength else (low, middle)
    return high


def levels_from(levels: Sequence[float], strength: float) -> list[float]:
    """What is left of a falling schedule for a start at `strength`."""
    return [strength, *(level for level in levels if level < strength)]


def words2remarks(stretch: Stretch, variant: str) -> tuple[str, ...]:
    """What of the wishes the checkpoint cannot follow."""
    remarks = []
    if stretch.avoid and PRESETS[variant].guidance == 1.0:
        remarks.append("This Stable Audio checkpoint is distilled: it cannot be told what to avoid.")
    if stretch.reference is not None:
        remarks.append("Stable Audio 3 takes no reference sound; only the words and the guide were used.")
    return tuple(remarks)
