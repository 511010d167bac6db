"""Whose sounds are shipped: licence and credit of every font, kit and patch (the full notices: `sounds/SOURCES.md`)."""

from __future__ import annotations

from engine.sampler import kit as kits
from engine.sampler.catalogue import Entry

FONTS = {
    "band": ("MIT (MuseScore_General)", "S. Christian Collins, Frank Wen, Michael Cowgill and others"),
    "more": ("MIT (MuseScore_General)", "S. Christian Collins, Frank Wen, Michael Cowgill and others"),
    "fluid": ("MIT (FluidR3)", "Frank Wen and others"),
    "salamander": ("CC-BY-3.0 (Salamander Grand Piano)", "Alexander Holm"),
}
OURS = ("Apache-2.0 (stembridge)", "the stembridge authors")


def licence(entry: Entry) -> str:
    """Of the sound. Raises KeyError for a font without a source."""
    if entry.kit:
        return kits.kit(entry.kit).licence
    return OURS[0] if entry.synth else FONTS[entry.font][0]


def credit(entry: Entry) -> str:
    """Who made the sound. Raises KeyError for a font without a source."""
    if entry.kit:
        return kits.kit(entry.kit).credit
    return OURS[1] if entry.synth else FONTS[entry.font][1]
