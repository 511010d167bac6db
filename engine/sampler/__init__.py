"""The sampler: instruments chosen for roles, parts turned into placed, sample-accurate sound, stems into a mix."""

from engine.sampler.bank import Bank
from engine.sampler.choose import candidates, choose_instrument, describe
from engine.sampler.instrument import Instrument
from engine.sampler.mix import LimiterReport, mix_stems
from engine.sampler.part import render_part, stream_part

__all__ = [
    "Bank",
    "Instrument",
    "LimiterReport",
    "candidates",
    "choose_instrument",
    "describe",
    "mix_stems",
    "render_part",
    "stream_part",
]
