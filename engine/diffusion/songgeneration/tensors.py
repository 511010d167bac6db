"""A checkpoint file's tensors by name: shapes first, the data only of those that are taken.

safetensors, or torch's format read with `weights_only`, so that no code of the file is run, and memory-mapped (but for
files of torch's first format, which are read whole).
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from bridge.errors import JobError

AGAIN = "Download it again, or check that it is the file that SongGeneration publishes under this name."
Shape = tuple[int, ...]
NAMED = 6
"""How many tensors an error names."""


@dataclass(frozen=True)
class TensorFile:
    """`shapes`: every tensor's shape by its name; `read` gives the tensors of some names as the file keeps them."""

    path: Path
    shapes: Mapping[str, Shape]
    read: Callable[[Iterable[str]], dict[str, Tensor]]

    @classmethod
    def open(cls, path: Path) -> TensorFile:
        """Raises `JobError` renderer.load where the file is absent, damaged, or holds anything but tensors."""
        try:
            return cls._open_safetensors(path) if path.suffix == ".safetensors" else cls._open_torch(path)
        except pickle.UnpicklingError as problem:
            raise _refusal(path, f"is damaged or holds more than tensors ({_first_line(problem)})") from problem
        except (OSError, RuntimeError, SafetensorError, ValueError, KeyError, AttributeError, EOFError) as problem:
            raise _refusal(path, f"cannot be read ({_first_line(problem)})") from problem

    @classmethod
    def _open_safetensors(cls, path: Path) -> TensorFile:
        def read(names: Iterable[str]) -> dict[str, Tensor]:
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in names}

        with safe_open(path, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        return cls(path, shapes, read)

    @classmethod
    def _open_torch(cls, path: Path) -> TensorFile:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        held = loaded.get("state_dict", loaded)
        shapes = {name: tuple(tensor.shape) for name, tensor in held.items()}
        return cls(path, shapes, lambda names: {name: held[name] for name in names})

    def take(self, names: Iterable[str]) -> dict[str, Tensor]:
        """The named tensors, floating ones as float32, in the computer's memory."""
        found = self.read(names)
        return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in found.items()}

    def under(self, prefix: str) -> dict[str, Shape]:
        """Shapes of the tensors whose names start with `prefix`, without it."""
        return {name.removeprefix(prefix): shape for name, shape in self.shapes.items() if name.startswith(prefix)}

    def shape(self, name: str, dims: int) -> Shape:
        """The shape of a tensor that must be there with `dims` dimensions."""
        if name not in self.shapes:
            raise self.refusal(f"lacks the tensor {name}")
        if len(self.shapes[name]) != dims:
            raise self.refusal(f"{name} has the shape {list(self.shapes[name])}, not {dims} dimensions")
        return self.shapes[name]

    def refusal(self, why: str) -> JobError:
        """The error that names this file."""
        return _refusal(self.path, why)


def check_tensors(
    file: TensorFile, prefix: str, wanted: Mapping[str, Shape], unused: Iterable[str] = ()
) -> dict[str, str]:
    """Names in the file of the `wanted` tensors (names without `prefix`), when those and no others are under it.

    Names that start with one of `unused` may be there or not. Raises `JobError` that names what is missing, surplus or
    of another shape.
    """
    found = file.under(prefix)
    skipped = tuple(unused)
    missing = [name for name in wanted if name not in found]
    surplus = [name for name in found if name not in wanted and not name.startswith(skipped)]
    other = [name for name in wanted if name in found and found[name] != tuple(wanted[name])]
    complaints = []
    if missing:
        complaints.append(f"lacks {_names(prefix, missing)}")
    if surplus:
        complaints.append(f"has tensors that are not known: {_names(prefix, surplus)}")
    if other:
        name = other[0]
        shapes = f"{list(found[name])} instead of {list(wanted[name])}"
        complaints.append(f"has other shapes: {_names(prefix, other)} ({prefix}{name} is {shapes})")
    if complaints:
        raise file.refusal("; ".join(complaints))
    return {name: prefix + name for name in wanted}


def load_tensors(module: nn.Module, file: TensorFile, names: Mapping[str, str]) -> None:
    """Gives a module made on the meta device its weights; `names` maps its own names to the file's."""
    held = file.take(names.values())
    module.load_state_dict(
        {own: held[theirs].reshape(_shape(module, own)) for own, theirs in names.items()}, assign=True
    )
    module.eval().requires_grad_(False)


def shapes_of(module: nn.Module) -> dict[str, Shape]:
    """What a module's state dict wants."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _shape(module: nn.Module, name: str) -> torch.Size:
    owner, _, own = name.rpartition(".")
    tensor: Tensor = getattr(module.get_submodule(owner), own)
    return tensor.shape


def _names(prefix: str, names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(prefix + name for name in names[:NAMED]) + more


def _refusal(path: Path, why: str) -> JobError:
    return JobError("renderer.load", f"the checkpoint file {path} {why}.", hint=AGAIN)


def _first_line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0][:200]
