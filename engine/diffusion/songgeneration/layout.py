"""Where the runtime folder of SongGeneration keeps the files that sound is made with. Light: no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bridge.errors import JobError

SEPTOKEN = "model_septoken/model_2.safetensors"
"""Renderer of vocal and accompaniment codes, and the tokenizer of both."""
ONE_STREAM = "model_1rvq/model_2_fixed.safetensors"
"""Tokenizer of mixed codes; in the layout of v2-fast also their renderer."""
AUTOENCODER = "vae/autoencoder_music_1320k.ckpt"
AUTOENCODER_CONFIG = "vae/stable_audio_1920_vae.json"


@dataclass(frozen=True)
class RuntimeFiles:
    """`renderer` makes latents of codes, `autoencoder` sound of latents; `autoencoder_config` says what its tensors
    cannot. `septoken` and `one_stream` hold the prompt tokenizers; None where absent."""

    renderer: Path
    autoencoder: Path
    autoencoder_config: Path
    septoken: Path | None
    one_stream: Path | None


def find_runtime(folder: Path) -> RuntimeFiles:
    """The files in a runtime folder or in its `ckpt`. Raises `JobError` renderer.load that names what is missing."""
    root = folder / "ckpt" if (folder / "ckpt").is_dir() else folder
    septoken, one_stream = root / SEPTOKEN, root / ONE_STREAM
    renderer = septoken if septoken.is_file() or not one_stream.is_file() else one_stream
    needed = (renderer, root / AUTOENCODER, root / AUTOENCODER_CONFIG)
    missing = [str(path.relative_to(root)) for path in needed if not path.is_file()]
    if missing:
        raise JobError(
            "renderer.load",
            f"{root} is not SongGeneration's runtime folder: it lacks {', '.join(missing)}.",
            hint="Point at the folder with `ckpt` in it, downloaded whole.",
        )
    present = (path if path.is_file() else None for path in (septoken, one_stream))
    return RuntimeFiles(*needed, *present)
