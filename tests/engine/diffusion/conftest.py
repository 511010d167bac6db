"""Tiny checkpoints, saved once for the session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.diffusion.tiny_models import save_ace_step, save_stable_audio


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
