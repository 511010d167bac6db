"""SongGeneration's models on the hub: what is fetched from where, into which folders of the user's.

`models get` needs a network; `models add` takes the same folders where they came some other way.
"""

from __future__ import annotations

from pathlib import Path

from bridge.errors import RequestError
from bridge.paths import data_folder

RUNTIME = "lglg666/SongGeneration-Runtime"
MODELS = {
    "songgeneration-base": "lglg666/SongGeneration-base",
    "songgeneration-base-new": "lglg666/SongGeneration-base-new",
    "songgeneration-base-full": "lglg666/SongGeneration-base-full",
    "songgeneration-large": "lglg666/SongGeneration-large",
    "songgeneration-v2-large": "lglg666/SongGeneration-v2-large",
}
"""Name -> repository of the language model; `RUNTIME` is shared by all."""
MODEL_FILES = ["config.yaml", "*.pt", "*.safetensors", "LICENSE*", "README.md"]
RUNTIME_FILES = ["ckpt/model_septoken/*", "ckpt/model_1rvq/*", "ckpt/vae/*", "third_party/Qwen2-7B/*", "LICENSE*"]


def name2repository(name: str) -> str:
    """The hub repository of a model. Raises `RequestError` for a name that is none of `MODELS`."""
    if name not in MODELS:
        raise RequestError(
            "checkpoint.unknown",
            f"there is no model {name!r} that could be fetched.",
            hint=f"Known: {', '.join(MODELS)}. Others: stembridge models add NAME FOLDER|HUB_ID.",
        )
    return MODELS[name]


def models_folder() -> Path:
    """Where fetched models lie unless the user names another folder."""
    return data_folder() / "models"


def fetch_songgeneration(name: str, into: Path) -> tuple[Path, Path]:
    """Downloads a model, and the runtime where it is not there yet, into folders under `into`; an interrupted download
    goes on. Gives (model folder, runtime folder). Raises `RequestError` where the hub cannot be reached."""
    repository = name2repository(name)
    folder, runtime = into / name.replace("-", "_"), into / "songgeneration_runtime"
    _fetch(repository, folder, MODEL_FILES)
    _fetch(RUNTIME, runtime, RUNTIME_FILES)
    return folder, runtime


def _fetch(repository: str, folder: Path, patterns: list[str]) -> None:
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(repository, local_dir=folder, allow_patterns=patterns)
    except OSError as problem:
        if getattr(problem, "errno", None) == 28:
            raise RequestError(
                "checkpoint.disk", f"the disk is full: {folder} could not be written.", hint="About 25 GB are needed."
            ) from None
        raise _unreachable(repository, problem) from None
    except Exception as problem:
        raise _unreachable(repository, problem) from None


def _unreachable(repository: str, problem: Exception) -> RequestError:
    lines = str(problem).strip().splitlines()
    reason = lines[0][:200] if lines else type(problem).__name__
    return RequestError(
        "checkpoint.hub",
        f"{repository} could not be fetched ({reason}).",
        hint="Check the connection, or download the files elsewhere and give their folder: "
        "stembridge models add NAME FOLDER --runtime FOLDER.",
    )
