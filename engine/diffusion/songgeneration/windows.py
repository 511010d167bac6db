"""A song's codes as windows, and their latents joined: every window goes on from the last quarter of the one before.

Conventions: frames at 25 Hz; a window has N of them (1000, 40 s), N / 4 shared with the one before. A last window
that the song does not fill is filled with the song's codes from its beginning again, as the published code does, and
what was made of those is cut off.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.diffusion.songgeneration.flow import STEPS, Window
from engine.diffusion.songgeneration.oobleck import MARGIN
from engine.diffusion.songgeneration.septoken import Septoken
from engine.diffusion.steps import Steps, layers

Noise = Callable[[int], Tensor]
"""Number of the window -> float32 [N, latents]."""
KNOWN, NEW = 1, 2


@dataclass(frozen=True)
class CodeWindow:
    """`codes` int64 [3, N]; of its frames those up to `end` belong to the song."""

    number: int
    codes: Tensor
    end: int
    last: bool


def count_windows(frames: int, size: int) -> int:
    """How many windows of `size` frames a song of `frames` takes."""
    overlap = size // 4
    return max(1, math.ceil((frames - overlap) / (size - overlap)))


def cut_windows(pieces: Iterable[Tensor], size: int) -> Iterator[CodeWindow]:
    """Windows of codes [3, n] that come in pieces, each as soon as it is known that another one follows it."""
    hop = size - size // 4
    held: Tensor | None = None
    number = 0
    for piece in pieces:
        held = piece if held is None else torch.cat([held, piece], 1)
        while held.shape[1] > number * hop + size:
            yield CodeWindow(number, held[:, number * hop : number * hop + size], size, last=False)
            number += 1
    if held is None or not held.shape[1]:
        return
    frames = held.shape[1]
    count = count_windows(frames, size)
    whole = held.repeat(1, math.ceil(((count - 1) * hop + size) / frames))
    for k in range(number, count):
        start = k * hop
        yield CodeWindow(k, whole[:, start : start + size], min(size, frames - start), last=k == count - 1)


def seeded_noise(seed: int, size: int, latents: int) -> Noise:
    """Noise that depends on the seed and the window's number alone, the same on every device."""

    def noise(number: int) -> Tensor:
        digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
        return torch.randn(size, latents, generator=generator)

    return noise


def render_latents(
    model: Septoken,
    windows: Iterable[CodeWindow],
    rows: Callable[[Tensor], Tensor],
    noise: Noise,
    steps: Steps,
    prompt: Tensor | None = None,
) -> Iterator[tuple[Tensor, int | None]]:
    """The song's latents as the autoencoder knows them, [B, latents, n] from each window; with the last, a few beyond
    the song's end for the decoder to see, and how many (None before).

    `rows` makes the B rows of a batch out of a window's codes: [3, N] -> [B, 3, N]. `prompt` [B, p, latents], as the
    autoencoder knows them, are the first p frames of the first window, and not of the song. `steps` is told of every
    step of the solver and looks before every block whether to stop.
    """
    device = model.masks.device
    overlap = model.shape.estimator.positions // 4
    known = prompt
    for window in windows:
        codes = rows(window.codes).to(device)
        latents = _solve(model, codes, noise(window.number).to(device), known, steps)
        first = 0 if known is None else known.shape[1]
        known = latents[:, -overlap:]
        seen = min(latents.shape[1], window.end + MARGIN)
        yield latents[:, first:seen].transpose(1, 2), seen - window.end if window.last else None


@torch.inference_mode()
def _solve(model: Septoken, codes: Tensor, noise: Tensor, known: Tensor | None, steps: Steps) -> Tensor:
    """Latents [B, N, latents] of one window; `known` [B, n, latents] are its first."""
    batch = noise.expand(len(codes), -1, -1)
    held = batch[:, :0] if known is None else known
    mask = torch.full((codes.shape[-1],), NEW, device=noise.device)
    mask[: held.shape[1]] = KNOWN
    window = Window(batch, model.condition(codes), model.masks[mask], model.normalise(held))
    with steps.watching(layers(model.solver.estimator)):
        return torch.cat([held, model.denormalise(model.solver.solve(window, steps))[:, held.shape[1] :]], 1)


def count_steps(frames: int, size: int) -> int:
    """Solver's steps for a song."""
    return count_windows(frames, size) * STEPS
