"""Tiny checkpoints, saved once for the session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.diffusion import ace_step_presets, stable_audio_words
from tests.engine.diffusion.tiny_models import save_ace_step, save_stable_audio

FEW_STEPS = 8


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders by kind. `ace-sft` is as the published conversion leaves it: no codes, no scheduler."""
    root = tmp_path_factory.mktemp("checkpoints")
    return {
        "ace-turbo": save_ace_step(root / "ace-turbo", "turbo"),
        "ace-base": save_ace_step(root / "ace-base", "base"),
        "ace-sft": save_ace_step(root / "ace-sft", "sft", codes=False),
        "sa-distilled": save_stable_audio(root / "sa-distilled", "distilled"),
        "sa-base": save_stable_audio(root / "sa-base", "base"),
    }


@pytest.fixture(scope="module")
def few_steps() -> Iterator[None]:
    """Base and sft checkpoints take 8 steps in place of 50, where their number is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        for presets in (ace_step_presets.PRESETS, stable_audio_words.PRESETS):
            for variant, preset in presets.items():
                patch.setitem(presets, variant, replace(preset, steps=min(preset.steps, FEW_STEPS)))
        yield
