"""Whether a checkpoint fits this computer, and how it would be placed on it. Light: no torch.

The need is the weights at the precision they run in plus what a window of sound needs while it is worked on. Where not
all fit, components are moved to the device one after the other (offload): then the largest must fit, and all of them
the computer's memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bridge.checkpoints import Checkpoint
from bridge.songgeneration import FAMILY as SONGGENERATION
from engine.fitting import Fit
from engine.hardware import GIB, Hardware
from engine.song.fit import fit_song

WORKING_GIB = {"ace-step": 2.5, "stable-audio-3": 2.0}
"""Activations of a window: autoencoder tiles of 30 s and attention over 120 s, at 16 bits. Twice that at 32 bits."""
STEPS = {
    ("ace-step", "turbo"): 8, ("ace-step", "sft"): 100, ("ace-step", "base"): 100,
    ("stable-audio-3", "distilled"): 8, ("stable-audio-3", "base"): 100,
}  # fmt: skip
"""Runs of the network for one window: steps, twice where guidance doubles them."""
CPU_WORK = 6e9
"""Weights x runs that a CPU does in about the time that the sound lasts: a 0.5B model of 8 steps at most."""


def fit_checkpoint(checkpoint: Checkpoint, hardware: Hardware) -> Fit:
    """Where and at which precision it runs on this hardware."""
    if checkpoint.family == SONGGENERATION:
        return fit_song(checkpoint, hardware)
    width = 4 if hardware.kind == "cpu" else 2
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    if hardware.kind != "cpu":
        dtype = "bfloat16" if hardware.bfloat16 else "float16"
    working = WORKING_GIB[checkpoint.family] * width / 2
    whole = checkpoint.total * width / GIB + working
    if whole <= hardware.memory_gib:
        return Fit(hardware.kind, dtype, whole, slow=_slow(checkpoint, hardware))
    largest = max(checkpoint.parameters.values()) * width / GIB + working
    weights = checkpoint.total * width / GIB
    if hardware.kind == "cuda" and largest <= hardware.memory_gib and weights <= 0.8 * hardware.ram_gib:
        return Fit(hardware.kind, dtype, largest, offload=True)
    why = f"it needs {whole:.1f} GiB; {hardware.words}"
    return Fit(hardware.kind, dtype, whole, why_not=why, slow=_slow(checkpoint, hardware))


def why_unusable(checkpoint: Checkpoint) -> str:
    """Why it cannot be loaded at all, or empty."""
    index = "config.yaml" if checkpoint.family == SONGGENERATION else "model_index.json"
    if not (Path(checkpoint.folder) / index).is_file():
        return f"its folder {checkpoint.folder} is gone"
    if checkpoint.runtime and not (Path(checkpoint.runtime) / "ckpt").is_dir():
        return f"its runtime folder {checkpoint.runtime} is gone"
    if not (checkpoint.licence.permissive or checkpoint.accepted):
        return f"its licence ({checkpoint.licence.name}) was not accepted"
    return ""


def _slow(checkpoint: Checkpoint, hardware: Hardware) -> str:
    network = checkpoint.parameters.get("transformer", checkpoint.total)
    runs = STEPS[checkpoint.family, checkpoint.variant]
    if hardware.kind != "cpu" or network * runs <= CPU_WORK:
        return ""
    return f"{network / 1e9:.1f} billion weights times {runs} runs take minutes for each stem without a GPU"
