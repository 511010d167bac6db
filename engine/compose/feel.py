"""How the band shall play: the groove's swing, and the push and pull that the style's words ask for."""

from __future__ import annotations

import re

from engine.grooves import Groove
from engine.score import Feel

LAID_BACK = (
    "laid",
    "lazy",
    "relaxed",
    "behind",
    "sleepy",
    "dub",
    "neo",
    "soul",
    "lo",
    "lofi",
    "chill",
    "slow",
    "reggae",
)
DRIVING = ("driving", "urgent", "punk", "metal", "fast", "energetic", "pushing", "aggressive", "hard", "ska")
TIGHT = (
    "tight",
    "techno",
    "house",
    "electronic",
    "synthwave",
    "edm",
    "trance",
    "trap",
    "quantized",
    "robotic",
    "mechanical",
)
LOOSE = ("loose", "live", "jam", "human", "sloppy", "brushed", "folk", "jazz")
STILL = ("flat", "compressed", "wall")
PUSHES = {
    "even": {"bass": 2.0, "snare": 2.0, "keys": -2.0, "guitar": -1.0, "lead": 3.0, "pad": -8.0, "strings": -8.0},
    "laid back": {"bass": 8.0, "snare": 9.0, "keys": 4.0, "guitar": 5.0, "lead": 10.0, "pad": -4.0, "strings": -6.0},
    "driving": {"bass": -3.0, "snare": -2.0, "keys": -4.0, "guitar": -5.0, "lead": -2.0, "pad": -8.0, "strings": -8.0},
}
"""Milliseconds that a role plays after the beat (negative: before it). Slow attacks begin early to sound in time."""


def style2feel(style: str, groove: Groove, as_played: tuple[tuple[str, float, float], ...] = ()) -> tuple[Feel, str]:
    """The feel and its name for people: "even", "laid back" or "driving"."""
    words = set(re.findall(r"[a-z]+", f"{style} {' '.join(groove.tags)}".lower()))
    own = set(re.findall(r"[a-z]+", style.lower()))
    name = "even"
    for said in (own, words):
        if said & set(LAID_BACK):
            name = "laid back"
        elif said & set(DRIVING):
            name = "driving"
        if name != "even":
            break
    loose = 2.0 if words & set(TIGHT) else 6.0 if words & set(LOOSE) else 4.0
    pushes = PUSHES[name] if not own & set(TIGHT) else PUSHES["even"]
    feel = Feel(
        swing=groove.swing,
        swing_unit=groove.swing_unit,
        push_ms=tuple(pushes.items()),
        loose_ms=loose,
        dynamics=0.6 if own & set(STILL) else 1.0,
        as_played=as_played,
        groove=groove.name,
    )
    return feel, name
