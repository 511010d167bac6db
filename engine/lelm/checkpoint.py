"""A published song model's folder -> its tensors, checked one by one.

Layout: `config.yaml` beside `model.pt` or safetensors files; tensors are named `audiolm.*`. Files are memory-mapped, so
a tensor costs memory only when it is used; of a pickle nothing but tensors is read (`weights_only`). Every tensor that
counts must be there in the shape that the configuration and the tokenizers imply; those in `UNUSED` take part in no
calculation and are never touched; any other one is refused by name, since it would mean another model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bridge.errors import JobError
from engine.lelm.network import LeLM, LeLMConfig
from engine.lelm.songconfig import NAME, SongConfig, read_config
from engine.lelm.text import LYRIC_ROWS, STYLE_ROWS, Version

PREFIX = "audiolm."
PICKLE = "model.pt"
AT = "condition_provider.conditioners."
LYRIC_TABLE = f"{AT}description.output_proj.weight"
STRUCTURE_TABLE = f"{AT}description.structure_emb.weight"
STYLE_TABLE = f"{AT}type_info.output_proj.weight"
PROMPT_TABLES = tuple(f"{AT}prompt_audio.emb.{k}.weight" for k in range(3))
PROMPT_STARTS = (f"{AT}prompt_audio.EOT_emb", f"{AT}prompt_audio.layer2_EOT_emb")
STRUCTURE_ROWS = 200
UNUSED = re.compile(
    r"layer2_emb\.0\.weight|transformer2?\.model\.embed_tokens\.weight|transformer2\.lm_head\.weight"
    r"|out_norm\.(weight|bias)|transformer2?\.model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq"
)
"""Trained or saved with the rest, never read when a song is written."""
FAST = ("lm_checkpoint", "conditioners_weights.pth", "embeded_eosp1.pt")
"""What a folder of v2-fast holds. Names and shapes of its tensors are in no specification that we have."""


@dataclass(frozen=True)
class SongTensors:
    """Checked tensors by published name without the prefix: the network's, and those of the conditions."""

    version: Version
    config: SongConfig
    network: dict[str, Tensor]
    conditions: dict[str, Tensor]

    @property
    def lelm(self) -> LeLMConfig:
        """Sizes of the network."""
        return lelm_config(self.config)

    @property
    def parameters(self) -> int:
        """Weights that are used."""
        return sum(t.numel() for t in (*self.network.values(), *self.conditions.values()))


def lelm_config(c: SongConfig) -> LeLMConfig:
    """The network that a configuration describes."""
    return LeLMConfig(c.code_size, c.dim, c.inner, c.heads, c.layers, c.sub_layers, c.theta, c.sub_theta, c.delays)


def read_song_tensors(folder: Path) -> SongTensors:
    """Opens a folder. Raises `JobError`: `songwriter.layout` where files are missing or damaged, `songwriter.tensors`
    where a tensor is missing, surplus or of another shape, `songwriter.v2-fast` for that layout."""
    if any((folder / name).exists() for name in FAST) and not (folder / NAME).is_file():
        raise JobError(
            "songwriter.v2-fast",
            f"the folder {folder.name} holds SongGeneration v2-fast: one token stream, its own renderer, and tensors "
            "whose names and shapes are not known to stembridge, so that it could not check what it loads.",
            field=str(folder),
            hint="Use songgeneration-v2-large, -large, -base, -base-new or -base-full.",
        )
    if not (folder / NAME).is_file():
        raise JobError(
            "songwriter.layout",
            f"the folder {folder.name} has no {NAME}.",
            field=str(folder),
            hint=f"A song model's folder holds {NAME} and {PICKLE} (or safetensors).",
        )
    config = read_config(folder / NAME)
    return check_tensors(read_tensors(folder), config, folder)


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of the model, memory-mapped, names without the prefix."""
    shards = sorted(folder.glob("*.safetensors"))
    try:
        if shards:
            found = _read_safetensors(shards)
        elif (folder / PICKLE).is_file():
            loaded = torch.load(folder / PICKLE, map_location="cpu", mmap=True, weights_only=True)
            if not isinstance(loaded, Mapping):
                raise ValueError(f"it holds a {type(loaded).__name__}")
            found = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
        else:
            raise FileNotFoundError(f"neither {PICKLE} nor safetensors files are there")
    except Exception as problem:  # torch and safetensors raise many kinds for damaged files
        raise JobError(
            "songwriter.layout",
            f"the song model in {folder.name} cannot be read: {str(problem).splitlines()[0][:200]}.",
            field=str(folder),
            hint="Fetch it again; compare its size with the published one.",
        ) from problem
    named = {name: tensor for name, tensor in found.items() if name.startswith(PREFIX)}
    return {name.removeprefix(PREFIX): tensor for name, tensor in (named or found).items()}


def _read_safetensors(shards: list[Path]) -> dict[str, Tensor]:
    from safetensors import safe_open

    found: dict[str, Tensor] = {}
    for path in shards:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                if name in found:
                    raise ValueError(f"{name} is in two files")
                found[name] = file.get_tensor(name)
    return found


def wanted_shapes(config: SongConfig, version: Version) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor that is used: the network's first, in its own order, then the conditions'."""
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in LeLM(lelm_config(config)).state_dict().items()}
    shapes |= {
        LYRIC_TABLE: (LYRIC_ROWS, config.dim),
        STRUCTURE_TABLE: (STRUCTURE_ROWS, config.dim),
        STYLE_TABLE: (STYLE_ROWS[version], config.dim),
    }
    shapes |= dict.fromkeys(PROMPT_STARTS, (1, config.dim))
    return shapes | dict.fromkeys(PROMPT_TABLES, (config.code_size + 2, config.dim))


def check_tensors(tensors: Mapping[str, Tensor], config: SongConfig, folder: Path) -> SongTensors:
    """Holds tensors to the configuration; the version is read off the style table's rows."""
    if len(config.delays) != 3 or config.dim % (2 * config.heads):
        raise _wrong(folder, f"{len(config.delays)} codebooks of width {config.dim} in {config.heads} heads is no size")
    style = tensors.get(STYLE_TABLE)
    if style is None:
        raise _wrong(folder, f"the tensor {PREFIX}{STYLE_TABLE} is missing")
    versions = {rows: version for version, rows in STYLE_ROWS.items()}
    if style.shape[0] not in versions:
        known = " or ".join(map(str, versions))
        raise _wrong(folder, f"{PREFIX}{STYLE_TABLE} has {style.shape[0]} rows, where {known} are known")
    version = versions[style.shape[0]]
    wanted = wanted_shapes(config, version)
    for name, shape in wanted.items():
        if name not in tensors:
            raise _wrong(folder, f"the tensor {PREFIX}{name} is missing")
        if tuple(tensors[name].shape) != shape:
            told = f"{tuple(tensors[name].shape)}, where {NAME} means {shape}"
            raise _wrong(folder, f"the tensor {PREFIX}{name} has the shape {told}")
        if not tensors[name].is_floating_point():
            raise _wrong(folder, f"the tensor {PREFIX}{name} holds {tensors[name].dtype}, not floating-point numbers")
    surplus = sorted(name for name in tensors if name not in wanted and not UNUSED.fullmatch(name))
    if surplus:
        raise _wrong(folder, f"the tensor {PREFIX}{surplus[0]} ({len(surplus)} in all) has no place in the model")
    network = {name: tensors[name] for name in wanted if not name.startswith(AT)}
    return SongTensors(version, config, network, {name: tensors[name] for name in wanted if name.startswith(AT)})


def _wrong(folder: Path, what: str) -> JobError:
    return JobError(
        "songwriter.tensors",
        f"the song model in {folder.name} does not fit its {NAME}: {what}.",
        field=str(folder),
        hint=f"{NAME} and the weights must come from the same published folder.",
    )
