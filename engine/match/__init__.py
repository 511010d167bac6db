"""The `match` renderer: sounds chosen for a reference, then the whole band brought to it by curves on the bus."""

from engine.match.apply import apply_curves, reach, stream_curves
from engine.match.choose import (
    GAIN,
    LEAST_GAIN,
    Chosen,
    Wanted,
    choose_together,
    clip2wanted,
    mix2distance,
    passage2levels,
)
from engine.match.curves import Curves, bytes2curves, curves2bytes, flat_curves
from engine.match.design import Goal, design_curves
from engine.match.distance import Distances, profiles2distances
from engine.match.frames import Grid, Levels, audio2levels
from engine.match.hits import Hit, audio2hits
from engine.match.level import limit_curves
from engine.match.notes import CutNote, audio2notes
from engine.match.profile import Profile, audio2profile, levels2profile
from engine.match.room import change_room
from engine.match.silence import Blocks, Placed, audio2blocks, hold_silence, hold_silence_in_place, loud_rests
from engine.match.texture import RATE
from engine.match.tone import Tone, audio2tone, fit_tone

__all__ = [
    "GAIN",
    "LEAST_GAIN",
    "RATE",
    "Blocks",
    "Chosen",
    "Curves",
    "CutNote",
    "Distances",
    "Goal",
    "Grid",
    "Hit",
    "Levels",
    "Placed",
    "Profile",
    "Tone",
    "Wanted",
    "apply_curves",
    "audio2blocks",
    "audio2hits",
    "audio2levels",
    "audio2notes",
    "audio2profile",
    "audio2tone",
    "bytes2curves",
    "change_room",
    "choose_together",
    "clip2wanted",
    "curves2bytes",
    "design_curves",
    "fit_tone",
    "flat_curves",
    "hold_silence",
    "hold_silence_in_place",
    "levels2profile",
    "limit_curves",
    "loud_rests",
    "mix2distance",
    "passage2levels",
    "profiles2distances",
    "reach",
    "stream_curves",
]
