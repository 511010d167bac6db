"""The synthesiser: band-limited voices and machine drums of our own, where General MIDI sounds are dull."""

from engine.sampler.synth.patch import Patch, patch, patch_names
from engine.sampler.synth.voice import SynthPlayer

__all__ = ["Patch", "SynthPlayer", "patch", "patch_names"]
