"""What both trainings share: optimiser, rate curve, checkpoints that resume bit for bit, early stop, a log.

On a GPU the forward pass runs in bfloat16 and the optimiser is fused; on a CPU everything is float32.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

AVERAGE_OVER = 150
"""Steps over which the exported weights are averaged (exponentially)."""

Weights = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Best:
    """The least watched value, how many measurements ago in a row it was not beaten, and its step."""

    value: float
    waited: int
    step: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """`steps` in all; the rate rises over `warm` of them and falls on a cosine to a twentieth of `rate`."""

    steps: int
    rate: float = 1.5e-3
    warm: float = 0.02

    def at(self, step: int) -> float:
        """Learning rate of a step."""
        warm = max(1, round(self.warm * self.steps))
        if step < warm:
            return self.rate * (step + 1) / warm
        way = (step - warm) / max(1, self.steps - warm)
        return self.rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(way, 1.0))))


@dataclass(frozen=True, slots=True)
class Patience:
    """Early stop: training ends when `watched`, a weighted sum of held-out values (name -> weight), has not fallen for
    `rounds` measurements in a row."""

    watched: Mapping[str, float]
    rounds: int

    def value(self, held_out: Mapping[str, float]) -> float:
        """The watched sum; less is better."""
        return sum(weight * held_out[name] for name, weight in self.watched.items())


def optimiser(model: nn.Module, decay: float = 0.05) -> torch.optim.AdamW:
    """AdamW 0.9/0.95; matrices decay, norms, biases and embeddings do not."""
    fused = next(model.parameters()).is_cuda
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    heavy = [p for p in model.parameters() if p.ndim > 1 and id(p) not in tables]
    light = [p for p in model.parameters() if p.ndim <= 1 or id(p) in tables]
    return torch.optim.AdamW(
        [{"params": heavy, "weight_decay": decay}, {"params": light, "weight_decay": 0.0}],
        betas=(0.9, 0.95),
        fused=fused,
    )


def half(device: torch.device) -> AbstractContextManager[Any]:
    """bfloat16 autocast on a GPU; nothing on a CPU."""
    return torch.autocast("cuda", dtype=torch.bfloat16) if device.type == "cuda" else nullcontext()


def train(
    model: nn.Module,
    loss_of: Callable[[int], tuple[Tensor, Mapping[str, float]]],
    schedule: Schedule,
    folder: Path,
    *,
    stop_at: int | None = None,
    every: int = 100,
    held_out: Callable[[], Mapping[str, float]] | None = None,
    patience: Patience | None = None,
) -> None:
    """Runs or resumes a training in `folder` (checkpoint.pt, log.jsonl). `loss_of(step)` must depend on nothing but the
    step and the model, so that a resumed run is the same run. `stop_at` ends early, as if interrupted. `held_out` is
    measured every `every` steps on the averaged weights; the best of them by `patience` are kept (best.pt):
    what is exported."""
    folder.mkdir(parents=True, exist_ok=True)
    adam = optimiser(model)
    first, average, best = resume(model, adam, folder)
    begun, marks = time.time(), []
    if patience is not None and best.waited >= patience.rounds:
        return
    for step in range(first, stop_at or schedule.steps):
        for group in adam.param_groups:
            group["lr"] = schedule.at(step)
        model.train()
        loss, report = loss_of(step)
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        follow(average, model, 1.0 / min(step + 1, AVERAGE_OVER))
        marks.append(float(loss.detach()))
        done = step + 1
        if done % every == 0 or done == (stop_at or schedule.steps):
            line: dict[str, Any] = {"step": done, "loss": sum(marks) / len(marks), "rate": schedule.at(step), **report}
            if held_out is not None:
                with averaged(model, average):
                    measured = held_out()
                line |= {f"held_out_{k}": v for k, v in measured.items()}
                if patience is not None:
                    value = patience.value(measured)
                    better = value < best.value
                    best = Best(min(value, best.value), 0 if better else best.waited + 1, done if better else best.step)
                    line |= {"watched": value, "best_step": best.step}
                    if better:
                        write(average, folder / "best.pt")
            line["seconds"] = round(time.time() - begun, 1)
            with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            marks = []
            save_checkpoint(model, average, adam, done, best, folder)
            if patience is not None and best.waited >= patience.rounds:
                return


@torch.no_grad()
def follow(average: Weights, model: nn.Module, share: float) -> None:
    """Moves the average by `share` of the way to the model's weights."""
    for name, value in model.state_dict().items():
        average[name].lerp_(value, share)


@contextmanager
def averaged(model: nn.Module, average: Weights) -> Iterator[None]:
    """The model with its averaged weights, for a while."""
    own = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(average)
    try:
        yield
    finally:
        model.load_state_dict(own)


def save_checkpoint(
    model: nn.Module, average: Weights, adam: torch.optim.AdamW, step: int, best: Best, folder: Path
) -> None:
    """Atomically replaces the checkpoint."""
    state = {"step": step, "model": model.state_dict(), "average": average, "adam": adam.state_dict()}
    write({**state, "best": [best.value, best.waited, best.step]}, folder / "checkpoint.pt")


def write(state: Mapping[str, Any], path: Path) -> None:
    """Saves, atomically."""
    part = path.with_suffix(".part")
    torch.save(dict(state), part)
    os.replace(part, path)


def resume(model: nn.Module, adam: torch.optim.AdamW, folder: Path) -> tuple[int, Weights, Best]:
    """Loads the checkpoint where there is one; the step to go on from, the averaged weights and the best so far."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0, {name: value.clone() for name, value in model.state_dict().items()}, Best(math.inf, 0, 0)
    state = torch.load(path, weights_only=True, map_location=next(model.parameters()).device)
    model.load_state_dict(state["model"])
    adam.load_state_dict(state["adam"])
    value, waited, step = state["best"]
    return int(state["step"]), state["average"], Best(value, waited, step)


def trained(folder: Path) -> Weights:
    """The weights to export: the best averaged ones where an early stop watched, else the last averaged ones."""
    if (folder / "best.pt").exists():
        return dict(torch.load(folder / "best.pt", weights_only=True, map_location="cpu"))
    return dict(torch.load(folder / "checkpoint.pt", weights_only=True, map_location="cpu")["average"])


def export(model: nn.Module, metadata: Mapping[str, str], path: Path) -> None:
    """Half-precision safetensors with metadata, written atomically."""
    state = {name: t.detach().to(torch.float16).contiguous() for name, t in model.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(state, part, metadata=dict(metadata))
    part.chmod(0o644)
    os.replace(part, path)
