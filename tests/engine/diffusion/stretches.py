"""Stretches for the renderers' tests, and the way to a renderer that a user's checkpoint takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from bridge.checkpoints import inspect_checkpoint
from engine.diffusion.ace_step import AceStep
from engine.diffusion.placement import Placement
from engine.diffusion.renderer import DiffusionRenderer
from engine.diffusion.stable_audio import StableAudio
from engine.rendering import Clip, Stretch


def tone(seconds: float = 1.0, rate: int = 44_100, channels: int = 2, pitch: float = 220.0, seed: int = 0) -> Clip:
    """A decaying tone every quarter of a second over a little noise; the channels differ."""
    samples = round(seconds * rate)
    time = np.arange(samples) / rate
    wave = 0.4 * np.sin(2 * np.pi * pitch * time) * np.exp(-8.0 * (time % 0.25))
    noise = 0.01 * np.random.default_rng(seed).standard_normal((channels, samples))
    sides = np.linspace(1.0, 0.6, channels)[:, None]
    return Clip((wave * sides + noise).astype(np.float32), rate)


def stretch(**wishes: Any) -> Stretch:
    """One second of bass, unless told otherwise."""
    usual: dict[str, Any] = {
        "stem": "bass", "role": "bass", "guide": tone(), "bpm": 120.0, "beats": 4, "unit": 4, "tonic": "A",
        "mode": "minor", "seed": 7, "words": "warm funk bass",
    }  # fmt: skip
    return Stretch(**{**usual, **wishes})


def open_renderer(folder: Path, name: str = "mine", rows: int = 1) -> DiffusionRenderer:
    """The renderer over a checkpoint's folder, on the CPU; `rows` share a call."""
    checkpoint = inspect_checkpoint(name, folder)
    kind = AceStep if checkpoint.family == "ace-step" else StableAudio
    return kind(checkpoint, Placement("cpu", torch.float32, rows=rows))


def silent_tick(_fraction: float) -> None:
    """Nobody listens."""
