"""The sampler: instruments chosen for roles, parts turned into placed, sample-accurate sound, stems into a mix."""

from engine.sampler.bank import Bank, Instrument, choose_instrument
from engine.sampler.mix import LimiterReport, mix_stems
from engine.sampler.part import render_part

__all__ = ["Bank", "Instrument", "LimiterReport", "choose_instrument", "mix_stems", "render_part"]
