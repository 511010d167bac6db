"""The published code's numbers on tiny weights: where they are, and the weights made anew from names and shapes."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.diffusion.songgeneration.tensors import TensorFile

FOLDER = Path(os.environ.get("STEMBRIDGE_PARITY") or Path(__file__).resolve().parents[5] / "shared" / "parity")


def fixtures(pattern: str) -> list[str]:
    """Names of the fixture files of a pattern; of one that is not there, so that its test says that it was skipped."""
    return sorted(path.name for path in FOLDER.glob(pattern)) or [pattern.replace("*", "-")]


def read_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Shapes by name from a list of the folder."""
    listed: dict[str, Any] = json.loads((FOLDER / name).read_text())
    return {n: tuple(s[0] if s and isinstance(s[0], list) else s) for n, s in listed.items()}


def read_arrays(name: str) -> dict[str, Tensor]:
    """A fixture's arrays."""
    with np.load(FOLDER / name, allow_pickle=False) as arrays:
        return {key: torch.from_numpy(np.asarray(arrays[key])) for key in arrays.files}


def make_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The deterministic weights behind the fixtures; buffers that they leave out as a new network has them."""
    spec = importlib.util.spec_from_file_location("parity_weights", FOLDER / "weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    weights = {name: torch.from_numpy(values) for name, values in module.renderer_weights(shapes).items()}
    for name in shapes.keys() - weights.keys():
        if name.endswith("inv_freq"):
            weights[name] = 10_000.0 ** -(torch.arange(0, 64, 2) / 64)
        else:
            weights[name] = torch.zeros(shapes[name])
    return weights


def in_memory(weights: dict[str, Tensor]) -> TensorFile:
    """Weights as if they came from a file."""
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}

    def read(names: Iterable[str]) -> dict[str, Tensor]:
        return {name: weights[name] for name in names}

    return TensorFile(Path("published.safetensors"), shapes, read)


def listed(shapes: dict[str, tuple[int, ...]]) -> TensorFile:
    """A file of these shapes whose data must not be read."""

    def read(names: Iterable[str]) -> dict[str, Tensor]:
        raise AssertionError(f"read {list(names)}")

    return TensorFile(Path("listed.safetensors"), shapes, read)


def apart(one: Tensor, other: Tensor) -> float:
    """The largest difference."""
    assert one.shape == other.shape
    return float((one - other).abs().max())
