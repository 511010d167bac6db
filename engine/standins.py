"""Who plays in whose place where a matched stem does not pass its check, and how a sound says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from engine.sampler import Instrument
from engine.score import Part
from engine.sounds import Sound

STANDS_IN = "the sampler's guide stands in for the match"


def repaired(sound: Sound, why: str) -> Sound:
    """The sound with the reason why it is not what was chosen."""
    checks = msgspec.structs.replace(sound.verdict.checks, repaired=(why,))
    remarks = tuple(dict.fromkeys((*sound.remarks, why)))
    return replace(sound, verdict=replace(sound.verdict, checks=checks), remarks=remarks)


def replaced(
    parts: Sequence[Part], players: Mapping[str, Instrument], sounds: Sequence[Sound]
) -> dict[str, tuple[Instrument, str]]:
    """By part, the instrument that was matched in the place of the one that was chosen, and why; a guide that stands in
    as it is was not matched."""
    return {
        part.name: (sound.instrument, sound.verdict.checks.repaired[0])
        for part, sound in zip(parts, sounds, strict=True)
        if sound.instrument is not None and not sound.renderer and sound.instrument != players[part.name]
    }
