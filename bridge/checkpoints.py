"""The user's own checkpoints: which were added, where they lie, what they are, under which licence.

A checkpoint is a folder in the diffusers layout (`model_index.json`, one folder for each component), or one of
SongGeneration (`bridge.songgeneration`). Nothing in it is executed: only safetensors weights and components of
diffusers and transformers are taken. The register is one JSON
file in the data folder; whoever needs it reads it again when it has changed, so that an engine need not be restarted.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from bridge.errors import RequestError
from bridge.licences import FAMILY_LICENCES, Licence, folder2licence
from bridge.paths import data_folder

REGISTER = "checkpoints.json"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}\Z")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}\Z")
TAKEN = ("auto", "guide", "match", "songgeneration", "band", "as-written")
FAMILIES = {
    "AceStepPipeline": "ace-step",
    "StableAudio3Pipeline": "stable-audio-3",
    "StableAudio3AudioToAudioPipeline": "stable-audio-3",
    "StableAudio3InpaintPipeline": "stable-audio-3",
}
COMPONENTS = {
    "ace-step": ("vae", "text_encoder", "tokenizer", "transformer", "condition_encoder"),
    "stable-audio-3": ("vae", "text_encoder", "tokenizer", "duration_embedder", "transformer", "scheduler"),
}
WITHOUT_WEIGHTS = ("tokenizer", "scheduler")
LIBRARIES = ("diffusers", "transformers", "ace_step", "stable_audio_3")
"""Where components may come from: the libraries, and the two pipelines' own modules within diffusers."""
VARIANTS = {"ace-step": ("turbo", "sft", "base"), "stable-audio-3": ("distilled", "base")}
CODES = "audio_tokenizer"
"""The ACE-Step component that a cover by semantic codes needs; many conversions leave it out."""
WHOLE = ("model.safetensors", "diffusion_pytorch_model.safetensors")
"""What is loaded where files of other precisions lie beside."""
MAX_HEADER = 100 << 20
DTYPES = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I64", "I32", "I16", "I8", "U8", "BOOL")


class WeightFile(msgspec.Struct, frozen=True):
    """A file as it was when it was added: absolute path, bytes, time of change (ns), SHA-256 in hex."""

    path: str
    size: int
    changed_ns: int
    sha256: str


class SongShape(msgspec.Struct, frozen=True):
    """What the memory of a SongGeneration model depends on, and its longest song in seconds."""

    width: int
    main_layers: int
    sub_layers: int
    seconds: float


class Checkpoint(msgspec.Struct, frozen=True):
    """One checkpoint of the user's.

    `family` is the renderer that runs it, `variant` one of `VARIANTS`; `source` what the user gave (folder or hub
    id), `folder` where it lies. `parameters` counts the weights of each component. `sha256` is over its configuration
    and the names and sizes of its weight files. `licence` is that of `bridge.licences`; `accepted` by the user.
    SongGeneration alone: `runtime` is the folder of what its models share, `song` its size, `files` its weight files,
    over whose contents `sha256` is; `int8`: the user wants its language model in 8 bits.
    """

    name: str
    family: str
    variant: str
    source: str
    folder: str
    parameters: dict[str, int]
    sha256: str
    licence: Licence
    accepted: bool = False
    codes: bool = False
    runtime: str = ""
    song: SongShape | None = None
    files: tuple[WeightFile, ...] = ()
    int8: bool = False

    @property
    def total(self) -> int:
        """Weights of all components."""
        return sum(self.parameters.values())

    @property
    def weights(self) -> str:
        """How a manifest names it."""
        return f"{Path(self.source).name} ({self.variant}{', int8' if self.int8 else ''}) sha256:{self.sha256[:16]}"

    @property
    def sings(self) -> bool:
        """Whether it can add a voice to what the others play."""
        return self.family == "ace-step" and self.variant == "base"


class Register(msgspec.Struct, frozen=True):
    """What the file holds."""

    version: int = 1
    checkpoints: tuple[Checkpoint, ...] = ()


def register_path() -> Path:
    """Where the register lies."""
    return data_folder() / REGISTER


def read_register() -> tuple[Checkpoint, ...]:
    """All checkpoints that were added, oldest first. Raises `RequestError` where the file is damaged."""
    path = register_path()
    try:
        stamp = path.stat()
    except OSError:
        return ()
    return _read(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, _mtime: int, _size: int) -> tuple[Checkpoint, ...]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Register).checkpoints
    except (OSError, msgspec.MsgspecError) as problem:
        raise RequestError(
            "checkpoint.register",
            f"the list of checkpoints {path} cannot be read ({problem}).",
            hint="Remove the file and add the checkpoints again with `stembridge models add`.",
        ) from None


def add_checkpoint(checkpoint: Checkpoint) -> None:
    """Puts it into the register, in place of one of the same name."""
    others = tuple(c for c in read_register() if c.name != checkpoint.name)
    _write((*others, checkpoint))


def remove_checkpoint(name: str) -> Checkpoint:
    """Takes it out of the register; its files stay. Raises `RequestError` where there is none of that name."""
    found = {c.name: c for c in read_register()}
    if name not in found:
        known = ", ".join(found) or "none was added"
        raise RequestError("checkpoint.unknown", f"there is no checkpoint {name!r}.", hint=f"Known: {known}.")
    _write(tuple(c for c in found.values() if c.name != name))
    return found[name]


def _write(checkpoints: tuple[Checkpoint, ...]) -> None:
    path = register_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(Register(1, checkpoints)), indent=2))
    os.replace(draft, path)


def check_name(name: str) -> None:
    """Raises `RequestError` where a checkpoint cannot be called so."""
    if not NAME.match(name) or name in TAKEN:
        raise RequestError(
            "checkpoint.name",
            f"{name!r} cannot name a checkpoint.",
            hint="Use 1-40 small letters, digits, '.', '_' or '-', such as ace-step or ace-xl-turbo.",
        )


def inspect_checkpoint(name: str, folder: Path, source: str = "", variant: str = "") -> Checkpoint:
    """What the folder holds; no weights are loaded. `variant` overrules what its configuration tells.

    Raises `RequestError` where it is no checkpoint that a renderer here can run.
    """
    check_name(name)
    folder = folder.expanduser().resolve()
    source = source or str(folder)
    index = _json(folder / "model_index.json", "Give the folder with model_index.json (the diffusers layout).")
    family = FAMILIES.get(str(index.get("_class_name")))
    if family is None:
        raise RequestError(
            "checkpoint.kind",
            f"{source} holds a {index.get('_class_name')}, which no renderer here can run.",
            hint=f"Pipelines that can: {', '.join(FAMILIES)}.",
        )
    present = {part for part, value in index.items() if not part.startswith("_") and value != [None, None]}
    lacking = [part for part in COMPONENTS[family] if part not in present]
    if lacking:
        raise _broken(source, f"{', '.join(lacking)} is missing")
    parameters: dict[str, int] = {}
    for part in sorted(present):
        library = index[part][0] if isinstance(index[part], list) and index[part] else None
        if library not in LIBRARIES:
            raise _broken(source, f"its {part} brings code of its own, which is not run")
        if part not in WITHOUT_WEIGHTS:
            parameters[part] = _count_weights(folder / part, source)
    if not variant:
        variant = _variant(family, folder, source)
    if variant not in VARIANTS[family]:
        raise RequestError(
            "checkpoint.variant",
            f"{variant!r} is no variant of {family}.",
            hint=f"One of {', '.join(VARIANTS[family])}.",
        )
    return Checkpoint(
        name=name,
        family=family,
        variant=variant,
        source=source,
        folder=str(folder),
        parameters=parameters,
        sha256=folder2hash(folder),
        licence=folder2licence(folder, FAMILY_LICENCES[family]),
        codes={CODES, "audio_token_detokenizer"} <= present,
    )


def folder2hash(folder: Path) -> str:
    """SHA-256 over the bytes of the configuration files and the names and sizes of the weight files.

    The weights themselves are gigabytes; a file of the same name and size in the same place is taken for the same.
    """
    digest = hashlib.sha256()
    for path in (*sorted(p for p in folder.glob("*/*") if p.is_file()), folder / "model_index.json"):
        name = str(path.relative_to(folder))
        if path.suffix == ".json" and path.stat().st_size < 1 << 20:
            digest.update(f"{name}\0".encode() + path.read_bytes())
        elif path.suffix == ".safetensors":
            digest.update(f"{name}\0{path.stat().st_size}\0".encode())
    return digest.hexdigest()


def find_checkpoint(source: str) -> Path:
    """The folder that `source` means: a path, or a hub id whose files are fetched into the hub's cache.

    Raises `RequestError` where there is nothing, or no way to the hub.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if path.exists() or not HUB_ID.match(source):
        raise RequestError(
            "checkpoint.missing", f"there is no folder {source}.", hint="Give a folder, or a hub id such as OWNER/NAME."
        )
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.txt", "*.model", "*.md", "LICENSE*"]
    try:
        return Path(snapshot_download(source, allow_patterns=patterns, local_files_only=True))
    except Exception:  # not in the cache, or not whole: the hub is asked
        pass
    try:
        return Path(snapshot_download(source, allow_patterns=patterns))
    except Exception as problem:
        reason = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
        raise RequestError(
            "checkpoint.hub",
            f"{source} is not on this computer, and the hub did not give it ({reason[:200]}).",
            hint="Check the connection and the name, log in where the model asks for it, or give a local folder.",
        ) from None


def _variant(family: str, folder: Path, source: str) -> str:
    """What kind of checkpoint it is, from its configuration; where that is silent, from its name."""
    if family == "stable-audio-3":
        scheduler = _json(folder / "scheduler" / "scheduler_config.json")
        return "distilled" if scheduler.get("stochastic_sampling") else "base"
    config = _json(folder / "transformer" / "config.json")
    if config.get("is_turbo"):
        return "turbo"
    told = str(config.get("model_version") or "").lower()
    for text in (told, source.lower()):
        for variant in VARIANTS["ace-step"]:
            if re.search(rf"(^|[^a-z]){variant}([^a-z]|$)", text):
                return variant
    return "sft"  # not turbo; sft's tasks are those that every checkpoint knows


def _count_weights(folder: Path, source: str) -> int:
    """Numbers in the safetensors files of a component, from their headers."""
    files = sorted(folder.glob("*.safetensors"))
    files = [path for path in files if path.name in WHOLE] or files
    index = next(iter(folder.glob("*.safetensors.index.json")), None)
    if index is not None:
        shards = _json(index).get("weight_map")
        names = sorted({str(name) for name in shards.values()}) if isinstance(shards, dict) else []
        files = [folder / name for name in names if Path(name).name == name]
    if not files or not (folder / "config.json").is_file():
        raise _broken(source, f"{folder.name} has no config.json or no safetensors weights")
    return sum(_count_file(path, source) for path in files)


def _count_file(path: Path, source: str) -> int:
    return sum(math.prod(shape) for shape in read_safetensors_header(path, source).values())


def read_safetensors_header(path: Path, source: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor in a safetensors file. Raises `RequestError` where it is cut off or damaged."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > MAX_HEADER:
                raise ValueError("header too long")
            header = json.loads(file.read(length))
        tensors = {key: value for key, value in header.items() if key != "__metadata__"}
        end = max((int(t["data_offsets"][1]) for t in tensors.values()), default=0)
        if path.stat().st_size < 8 + length + end or any(t["dtype"] not in DTYPES for t in tensors.values()):
            raise ValueError("it is cut off")
        return {key: tuple(int(n) for n in t["shape"]) for key, t in tensors.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error) as problem:
        name = f"{path.parent.name}/{path.name}"
        raise _broken(source, f"{name} cannot be read ({problem or type(problem).__name__})") from None


def _json(path: Path, hint: str = "Download the checkpoint again.") -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RequestError("checkpoint.damaged", f"{path} is missing or cannot be read.", hint=hint)
    return value


def _broken(source: str, why: str) -> RequestError:
    return RequestError(
        "checkpoint.damaged", f"{source} is no whole checkpoint: {why}.", hint="Download or convert it again."
    )
