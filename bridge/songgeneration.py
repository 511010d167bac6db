"""What a folder of SongGeneration holds: the language model, its renderer, the tokenizer; nothing is loaded.

The official layout has two downloads. The model's own folder: `config.yaml` and `model.pt` (or safetensors). The
runtime, which all models share: `ckpt/` with the renderer and its autoencoder, `third_party/Qwen2-7B` with the
tokenizer, `tools/new_auto_prompt.pt` with prompt codes by genre. The runtime is looked for in the model's folder,
beside it, and where the user says.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from bridge.checkpoints import Checkpoint, SongShape, WeightFile, read_safetensors_header
from bridge.errors import RequestError
from bridge.licences import SONGGENERATION
from bridge.torchzip import NoTensors, read_shapes

FAMILY = "songgeneration"
PREFIX = "audiolm."
TEXT, STYLE = "condition_provider.conditioners.description.", "condition_provider.conditioners.type_info."
PROMPT = "condition_provider.conditioners.prompt_audio."
NEEDED = (
    "emb.0.weight", "layer2_emb.1.weight", "layer2_emb.2.weight", "transformer.lm_head.weight",
    "transformer.model.norm.weight", "transformer2.model.norm.weight", "linears.0.weight", "linears.1.weight",
    "mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias", f"{TEXT}output_proj.weight",
    f"{TEXT}structure_emb.weight", f"{STYLE}output_proj.weight", f"{PROMPT}EOT_emb", f"{PROMPT}layer2_EOT_emb",
    f"{PROMPT}emb.0.weight", f"{PROMPT}emb.1.weight", f"{PROMPT}emb.2.weight",
)  # fmt: skip
"""Tensors that the model cannot do without, besides those of its layers."""
LAYER = (
    "self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight", "self_attn.o_proj.weight",
    "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight", "input_layernorm.weight",
    "post_attention_layernorm.weight",
)  # fmt: skip
ON_DEVICE = ("transformer.model.layers.", "transformer2.model.layers.", "transformer.lm_head.", "linears.", "mlp.")
"""What every step of decoding reads; the tables of text and prompts are looked up once a song."""
STYLE_ROWS_V2 = 151_652
"""Rows of the style table with the musicality tags of version 2."""
RENDERER = "ckpt/model_septoken/model_2.safetensors"
DECODER = "ckpt/vae/autoencoder_music_1320k.ckpt"
DECODER_CONFIG = "ckpt/vae/stable_audio_1920_vae.json"
ENCODER = "ckpt/model_1rvq/model_2_fixed.safetensors"
TOKENIZER = "third_party/Qwen2-7B"
AUTO_PROMPT = "tools/new_auto_prompt.pt"
RENDERER_PARTS = ("cfm_wrapper.", "rvq_bestrq_")
TOKENIZER_FILES = (("vocab.json", "merges.txt"), ("tokenizer.json",), ("qwen.tiktoken",))
FAST = ("lm_checkpoint", "conditioners_weights.pth")
"""What only the v2-fast layout has."""
POINTER = b"version https://git-lfs"
SETTING = re.compile(r"^\s*(max_dur|prompt_len):\s*([0-9]+(?:\.[0-9]+)?)\s*(?:#.*)?$", re.MULTILINE)


def is_songgeneration(folder: Path) -> bool:
    """Whether the folder is one of SongGeneration's models, in whatever state."""
    if (folder / "model_index.json").is_file():
        return False
    return (folder / "config.yaml").is_file() or any((folder / name).exists() for name in FAST)


def inspect_songgeneration(
    name: str,
    folder: Path,
    runtime: Path | None = None,
    source: str = "",
    tell: Callable[[str], object] = lambda _: None,
) -> Checkpoint:
    """What the folder and its runtime hold, every weight file hashed (`tell` hears which one: gigabytes take a while).

    Raises `RequestError` that names what is missing or damaged.
    """
    folder = folder.expanduser().resolve()
    source = source or str(folder)
    if any((folder / part).exists() for part in FAST):
        raise RequestError(
            "checkpoint.v2_fast",
            f"{source} is in the layout of SongGeneration's v2-fast branch (one transformer, another renderer): names "
            "and use of its tensors are not published in a form that could be checked when they are loaded.",
            hint="This version runs v1 and v2-large: config.yaml with model.pt.",
        )
    settings = _settings(folder, source)
    weights = _weight_files(folder, source)
    shapes = _language_model(weights, source)
    shape = SongShape(
        width=shapes["emb.0.weight"][1],
        main_layers=_layers(shapes, "transformer", source),
        sub_layers=_layers(shapes, "transformer2", source),
        seconds=float(settings["max_dur"]),
    )
    version = "v2" if shapes[f"{STYLE}output_proj.weight"][0] >= STYLE_ROWS_V2 else "v1"
    place = _find_runtime(folder, runtime, source)
    files = [*weights, place / RENDERER, place / DECODER]
    files += [path for path in (place / ENCODER, place / AUTO_PROMPT) if path.is_file() and not _is_pointer(path)]
    stamped = tuple(_stamp(path, tell) for path in files)
    device = sum(math.prod(s) for key, s in shapes.items() if key.startswith(ON_DEVICE))
    parameters = {
        "transformer": device,
        "tables": sum(math.prod(s) for s in shapes.values()) - device,
        "renderer": _count(place / RENDERER, RENDERER_PARTS, source),
        "vae": _count(place / DECODER, ("",), source),
    }
    digest = hashlib.sha256((folder / "config.yaml").read_bytes())
    for file in stamped:
        digest.update(f"\0{Path(file.path).name}\0{file.sha256}".encode())
    return Checkpoint(
        name=name,
        family=FAMILY,
        variant=version,
        source=source,
        folder=str(folder),
        parameters=parameters,
        sha256=digest.hexdigest(),
        licence=SONGGENERATION,
        runtime=str(place),
        song=shape,
        files=stamped,
    )


def changed_files(checkpoint: Checkpoint) -> list[str]:
    """Files that are gone or not those that were added: by size and time of change, and by hash where only the time
    differs (a copy)."""
    out = []
    for file in checkpoint.files:
        path = Path(file.path)
        try:
            status = path.stat()
        except OSError:
            out.append(f"{path.name} is gone")
            continue
        same = status.st_size == file.size
        if same and status.st_mtime_ns != file.changed_ns:
            same = _hash(path) == file.sha256
        if not same:
            out.append(f"{path.name} has changed")
    return out


def optional_file(checkpoint: Checkpoint, name: str) -> Path | None:
    """`ENCODER` or `AUTO_PROMPT` of the checkpoint's runtime, where it was there when it was added."""
    path = Path(checkpoint.runtime) / name
    return path if any(file.path == str(path) for file in checkpoint.files) else None


def _settings(folder: Path, source: str) -> Mapping[str, str]:
    try:
        text = (folder / "config.yaml").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise _broken(source, "config.yaml cannot be read") from None
    found = dict(SETTING.findall(text))
    if float(found.get("max_dur", 0.0)) <= 0:
        raise _broken(source, "config.yaml does not say max_dur, the longest song in seconds")
    return found


def _weight_files(folder: Path, source: str) -> list[Path]:
    whole = folder / "model.pt"
    if not whole.is_file():
        shards = sorted(folder.glob("*.safetensors"))
        if not shards:
            raise _broken(source, "there is neither model.pt nor a safetensors file beside config.yaml")
        return shards
    return [whole]


def _language_model(files: list[Path], source: str) -> dict[str, tuple[int, ...]]:
    """Shapes without the official prefix. Raises `RequestError` where a tensor that matters is missing."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        shapes.update(_shapes(path, source))
    if any(key.startswith(PREFIX) for key in shapes):
        shapes = {k.removeprefix(PREFIX): v for k, v in shapes.items() if k.startswith(PREFIX)}
    lacking = [key for key in NEEDED if key not in shapes]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise _broken(source, f"{files[0].name} has no tensor {PREFIX}{lacking[0]}{more}")
    width = shapes["emb.0.weight"][-1]
    odd = [key for key in NEEDED if len(shapes[key]) == 2 and "mlp.0" not in key and shapes[key][1] != width]
    if odd:
        raise _broken(source, f"{PREFIX}{odd[0]} is {shapes[odd[0]]}, which does not fit the width {width}")
    return shapes


def _layers(shapes: Mapping[str, tuple[int, ...]], network: str, source: str) -> int:
    """Layers of a transformer, which must be there one after the other and whole."""
    start = f"{network}.model.layers."
    numbers = {int(k.removeprefix(start).split(".")[0]) for k in shapes if k.startswith(start)}
    for number in range(len(numbers)):
        for part in LAYER:
            if f"{start}{number}.{part}" not in shapes:
                raise _broken(source, f"there is no tensor {PREFIX}{start}{number}.{part}")
    if not numbers:
        raise _broken(source, f"{network} has no layers")
    return len(numbers)


def _find_runtime(folder: Path, given: Path | None, source: str) -> Path:
    """The folder that holds `ckpt/`. Raises `RequestError` that names the file which is missing."""
    beside = [folder, folder.parent, *sorted(p for p in folder.parent.glob("*[Rr]untime*") if p.is_dir())]
    places = [given.expanduser().resolve()] if given is not None else beside
    places = [place.parent if place.name == "ckpt" else place for place in places]
    place = next((p for p in places if (p / "ckpt").is_dir()), None)
    hint = "Download the runtime files (ckpt, third_party) and say where they are: --runtime FOLDER."
    if place is None:
        where = str(given) if given is not None else f"{folder} or beside it"
        raise RequestError("checkpoint.runtime", f"there is no folder ckpt in {where}.", hint=hint)
    for name in (RENDERER, DECODER, DECODER_CONFIG):
        if not (place / name).is_file():
            raise RequestError("checkpoint.runtime", f"{place} has no {name}.", hint=hint)
        if _is_pointer(place / name):
            raise _broken(source, f"{name} is only a pointer of git-lfs")
    tokenizer = place / TOKENIZER
    if not any(all((tokenizer / file).is_file() for file in wanted) for wanted in TOKENIZER_FILES):
        raise RequestError("checkpoint.runtime", f"{place} has no tokenizer in {TOKENIZER}.", hint=hint)
    return place


def _shapes(path: Path, source: str) -> dict[str, tuple[int, ...]]:
    if _is_pointer(path):
        raise _broken(source, f"{path.name} is only a pointer of git-lfs")
    if path.suffix == ".safetensors":
        return read_safetensors_header(path, source)
    try:
        return read_shapes(path)
    except NoTensors as problem:
        raise _broken(source, f"{path.name}: {problem}") from None


def _count(path: Path, prefixes: tuple[str, ...], source: str) -> int:
    """Numbers in the tensors whose names begin so."""
    return sum(math.prod(s) for key, s in _shapes(path, source).items() if key.startswith(prefixes))


def _stamp(path: Path, tell: Callable[[str], object]) -> WeightFile:
    status = path.stat()
    tell(f"{path.name} ({status.st_size / 1e9:.1f} GB)")
    return WeightFile(str(path), status.st_size, status.st_mtime_ns, _hash(path))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(POINTER)) == POINTER
    except OSError:
        return False


def _broken(source: str, why: str) -> RequestError:
    return RequestError(
        "checkpoint.damaged", f"{source} is no whole SongGeneration model: {why}.", hint="Download it again."
    )
