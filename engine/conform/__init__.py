"""Held to the grid: what a renderer that may drift answers is judged against its guide, moved onto it, or refused."""

from engine.conform.fit import Fitted, Target, conform, guide2target, shape_faults, to_length, wave_faults
from engine.conform.level import PEAK, gain_to, is_silent, loudness
from engine.conform.windows import TooLong, Window, cut_windows, edit_windows, join_windows

__all__ = [
    "PEAK",
    "Fitted",
    "Target",
    "TooLong",
    "Window",
    "conform",
    "cut_windows",
    "edit_windows",
    "gain_to",
    "guide2target",
    "is_silent",
    "join_windows",
    "loudness",
    "shape_faults",
    "to_length",
    "wave_faults",
]
