"""What the tests of the song model share: the published numbers' folder, a tokenizer, tiny models."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import torch

from tests.engine.lelm.official import qwen_folder, tiny_checkpoint

PARITY = Path(os.environ.get("STEMBRIDGE_PARITY") or Path(__file__).parents[4] / "shared" / "parity")


@pytest.fixture(scope="session")
def parity() -> Path:
    """The folder of the published code's numbers. Skips where it is absent."""
    if not PARITY.is_dir():
        pytest.skip(f"no folder {PARITY} of parity fixtures (STEMBRIDGE_PARITY names one)")
    return PARITY


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Qwen2's tokenizer folder."""
    return qwen_folder(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny v2 model's folder."""
    return tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def published(parity: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The fixtures' tiny models, v1 and v2, as checkpoint folders in the official layout."""
    sys.path.insert(0, str(parity))
    try:
        import weights  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    folders = {}
    for version in ("v1", "v2"):
        listed = json.loads((parity / f"lm_state_dict_{version}.json").read_text())
        shapes = {name.removeprefix("audiolm."): shape for name, (shape, _) in listed.items()}
        folder = tmp_path_factory.mktemp(f"published-{version}")
        (folder / "config.yaml").write_text((parity / "tiny_config.yaml").read_text())
        tensors = {f"audiolm.{k}": torch.from_numpy(a) for k, a in weights.lm_weights(shapes).items()}
        torch.save(tensors, folder / "model.pt")
        folders[version] = folder
    return folders
