"""Names and shapes of the tensors in a PyTorch file (`.pt`, `.ckpt`), read without torch and without running anything.

Such a file is a zip archive: `<any>/data.pkl` says what is there, `<any>/data/<n>` holds the numbers. The pickle is
read by an unpickler that knows no class but its own placeholders, so that whatever code the file names stays unrun.
"""

from __future__ import annotations

import math
import pickle
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_PICKLE = 64 << 20
SIZES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
"""Bytes of a number in each kind of storage."""


class NoTensors(ValueError):
    """The file is damaged, or not of this kind; the text says how."""


@dataclass(frozen=True)
class _Storage:
    """Where numbers lie: the record's key and the bytes of one number."""

    key: str
    width: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]


class _Inert:
    """Stands for every class and function that the pickle names but tensors do not need. It does nothing."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        del args, kwargs

    def __setstate__(self, state: object) -> None:
        del state

    def __setitem__(self, key: object, value: object) -> None:
        del key, value

    def append(self, value: object) -> None:
        """Takes what a pickled list subclass would."""

    def extend(self, values: object) -> None:
        """Takes what a pickled list subclass would."""


def _rebuild_tensor(storage: object, offset: object, shape: object, *rest: object) -> object:
    del rest
    if not (isinstance(storage, _Storage) and isinstance(offset, int) and isinstance(shape, tuple)):
        raise NoTensors("a tensor is not described as PyTorch does")
    return _Tensor(storage, offset, tuple(int(n) for n in shape))


def _rebuild_parameter(tensor: object, *rest: object) -> object:
    del rest
    return tensor


class _Reader(pickle.Unpickler):
    """Understands tensors in nested dicts; everything else becomes `_Inert`."""

    def find_class(self, module: str, name: str) -> Any:
        """See `pickle.Unpickler`; nothing is ever imported."""
        if (module, name) in (("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor")):
            return _rebuild_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _rebuild_parameter
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and name in SIZES:
            return type(name, (_Inert,), {})
        return _Inert

    def persistent_load(self, pid: Any) -> object:
        """A storage: ("storage", kind, key, device, count)."""
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"):
            raise NoTensors("it refers to something that is no storage")
        width = SIZES.get(getattr(pid[1], "__name__", ""), 0)
        return _Storage(str(pid[2]), width)


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor of the state dict in the file; one under the key "state_dict" is looked into.

    Raises `NoTensors` where the file is no such archive, is cut off, or holds no tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records = {info.filename: info.file_size for info in archive.infolist()}
            name = next((n for n in records if n.endswith("/data.pkl") or n == "data.pkl"), None)
            if name is None:
                raise NoTensors("it is a zip archive without data.pkl")
            if records[name] > MAX_PICKLE:
                raise NoTensors("its table of contents is too large")
            with archive.open(name) as file:
                value = _Reader(file, encoding="utf-8").load()
    except NoTensors:
        raise
    except (
        OSError,
        zipfile.BadZipFile,
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        struct.error,
        zlib.error,
    ) as problem:
        raise NoTensors(f"it cannot be read ({problem or type(problem).__name__})") from None
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, MemoryError, OverflowError) as problem:
        raise NoTensors(f"its table of contents is damaged ({type(problem).__name__})") from None
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):
        value = value["state_dict"]
    tensors = {k: v for k, v in value.items() if isinstance(v, _Tensor)} if isinstance(value, dict) else {}
    if not tensors:
        raise NoTensors("it holds no tensors")
    folder = name.removesuffix("data.pkl")
    for key, tensor in tensors.items():
        held = records.get(f"{folder}data/{tensor.storage.key}", -1)
        if held < (tensor.offset + math.prod(tensor.shape)) * tensor.storage.width:
            raise NoTensors(f"the numbers of {key} are not all there")
    return {str(key): tensor.shape for key, tensor in tensors.items()}
