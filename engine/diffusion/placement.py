"""A diffusers pipeline from a folder onto its device, and its memory given back."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

import torch

from bridge.errors import JobError


@dataclass(frozen=True)
class Placement:
    """`device` as torch names it, `dtype` of the weights; `offload`: components go to the device one by one; `rows`:
    how many stretches share a call of the network."""

    device: str
    dtype: torch.dtype
    offload: bool = False
    rows: int = 1


def load_pipeline(kind: Any, folder: str, placement: Placement, **components: Any) -> Any:
    """The pipeline of class `kind` from a folder in the diffusers layout; nothing is fetched, no code of the folder is
    run. `components` take the place of the folder's. Raises `JobError` where it cannot be loaded or does not fit."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()  # the terminal's; the steps are told to the job
    if placement.device == "cuda":
        torch.backends.cudnn.deterministic = True  # the same seed shall give the same bytes
    try:
        pipe = kind.from_pretrained(
            folder, dtype=placement.dtype, local_files_only=True, use_safetensors=True, **components
        )
        if placement.dtype == torch.float16:
            pipe.vae.to(torch.float32)  # autoencoders of audio run over in half precision
        pipe.set_progress_bar_config(disable=True)
        if hasattr(pipe.vae, "enable_tiling"):
            pipe.vae.enable_tiling()
        if placement.offload:
            pipe.enable_model_cpu_offload(device=placement.device)
        else:
            pipe.to(placement.device)
    except torch.OutOfMemoryError as problem:
        raise memory_full() from problem
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, ImportError) as problem:
        first = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise JobError(
            "renderer.load",
            f"the checkpoint in {folder} cannot be loaded ({first[:300]}).",
            hint="Download it again and add it again with `stembridge models add`.",
        ) from problem
    return pipe


def free_memory(pipe: Any) -> None:
    """Gives back what a pipeline that is no longer wanted holds, at once and without a copy."""
    pipe.remove_all_hooks()
    for component in pipe.components.values():
        if isinstance(component, torch.nn.Module):
            component.to("meta")
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def memory_full() -> JobError:
    """What the musician reads when the device has no room."""
    return JobError(
        "memory.full",
        "the device has not enough free memory for this model.",
        hint="Close other programs that use the GPU, choose a smaller checkpoint, or the renderer 'guide'.",
    )
