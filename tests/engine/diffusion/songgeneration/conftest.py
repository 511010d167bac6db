"""A tiny runtime folder, written once; and the folder of numbers that the published code gave, where it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.diffusion.songgeneration.renderer import SongRenderer
from tests.engine.diffusion.songgeneration.published import FOLDER
from tests.engine.diffusion.songgeneration.songs import WINDOW
from tests.engine.songgeneration_runtime import write_runtime


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `ckpt` in it."""
    root = tmp_path_factory.mktemp("songgeneration")
    write_runtime(root, window=WINDOW)
    return root


@pytest.fixture(scope="session")
def renderer(runtime: Path) -> SongRenderer:
    """The tiny renderer in full precision."""
    return SongRenderer.open(runtime, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="session")
def published() -> Path:
    """The folder of the published numbers; skips where it is absent."""
    if not (FOLDER / "weights.py").is_file():
        pytest.skip(f"no published numbers in {FOLDER} (STEMBRIDGE_PARITY)")
    return FOLDER
