"""A whole SongGeneration of tiny size in the official layout: model folder, runtime, tokenizer, stored prompts."""

from __future__ import annotations

from pathlib import Path

import torch

from engine.song.tags import PROMPT_TYPES
from tests.engine.lelm.official import qwen_folder, tiny_checkpoint
from tests.engine.songgeneration_runtime import write_runtime

MODEL = "songgeneration_v2_large"
PROMPT_FRAMES = 25


def write_checkpoint(root: Path, *, seconds: int = 20) -> Path:
    """Writes it under `root`; gives the model's folder. Its songs last `seconds` at most: random weights never end one.
    Skips the test where the tokenizer's vocabulary is absent."""
    qwen_folder(root / "third_party" / "Qwen2-7B")
    write_runtime(root)
    write_prompts(root)
    return tiny_checkpoint(root / MODEL, seconds=seconds)


def write_prompts(root: Path) -> Path:
    """Prompt codes by kind and language, as the official file holds them: lists of int64 [1, 3, T]."""
    path = root / "tools" / "new_auto_prompt.pt"
    path.parent.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    kinds = [*PROMPT_TYPES.values(), "Auto"]

    def some() -> list[torch.Tensor]:
        return [torch.randint(0, 16_384, (1, 3, PROMPT_FRAMES), generator=generator) for _ in range(2)]

    torch.save({kind: {language: some() for language in ("zh", "en")} for kind in kinds}, path)
    return path
