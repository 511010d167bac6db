"""Held to the grid: what a renderer that may drift answers is judged against its guide, moved onto it, or refused."""

from engine.conform.fit import Fitted, Target, conform, conform_voice, guide2target
from engine.conform.level import hold_peak, is_silent
from engine.conform.windows import TooLong, Window, cut_windows, edit_windows, join_windows

__all__ = [
    "Fitted",
    "Target",
    "TooLong",
    "Window",
    "conform",
    "conform_voice",
    "cut_windows",
    "edit_windows",
    "guide2target",
    "hold_peak",
    "is_silent",
    "join_windows",
]
