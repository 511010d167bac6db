"""How a sound says that it is not what was chosen."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from engine.sounds import Sound

STANDS_IN = "the sampler's guide stands in for the match"


def repaired(sound: Sound, why: str) -> Sound:
    """The sound with the reason why it is not what was chosen."""
    checks = msgspec.structs.replace(sound.verdict.checks, repaired=(why,))
    remarks = tuple(dict.fromkeys((*sound.remarks, why)))
    return replace(sound, verdict=replace(sound.verdict, checks=checks), remarks=remarks)
