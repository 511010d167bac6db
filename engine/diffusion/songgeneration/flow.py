"""From noise to latents: Euler steps along the estimator's velocity, guided, with the known frames held in place."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.diffusion.songgeneration.estimator import Estimator, Modulation
from engine.diffusion.steps import Steps

STEPS = 10
GUIDANCE = 1.5
SIGMA_MIN = 1e-4
"""Noise that is left in the known frames at the end."""


@dataclass(frozen=True)
class Window:
    """What a window is made from; B rows, T frames, L latent channels, all float32.

    `noise` [B, T, L], `condition` [B, T, C], `mask` [T, M] (embedding of known and unknown frames), `known`
    [B, n, L]: latents of the first n frames, n may be 0.
    """

    noise: Tensor
    condition: Tensor
    mask: Tensor
    known: Tensor


class Solver:
    """The estimator with everything that all windows share."""

    def __init__(self, estimator: Estimator, steps: int = STEPS) -> None:
        self.estimator = estimator
        self.times = [step / steps for step in range(steps)]
        self._modulations: list[Modulation] = estimator.modulate(self.times)
        self._rotary: dict[int, Tensor] = {}

    def solve(self, window: Window, steps: Steps, guidance: float = GUIDANCE) -> Tensor:
        """Latents [B, T, L]; the first n are `known` again. One estimator call for each time, on 2 B rows: without
        and with the condition (B rows where `guidance` is 1)."""
        x, known = window.noise, window.known
        held = known.shape[1]
        frames = self._frames(window, guided=guidance != 1.0)
        latents = x.shape[-1]
        positions = self.estimator.wpe.weight[: x.shape[1], -latents:].float()
        rotary = self._turns(x.shape[1])
        for time, modulation in zip(self.times, self._modulations, strict=True):
            if held:
                still = (1 - (1 - SIGMA_MIN) * time) * window.noise[:, :held] + time * known
                x = torch.cat([still, x[:, held:]], 1)
            frames.view(-1, *x.shape[:2], frames.shape[-1])[..., -latents:] = x + positions
            velocity = self.estimator(frames, rotary, modulation)
            if guidance != 1.0:
                free, bound = velocity.chunk(2)
                velocity = torch.lerp(free, bound, guidance)
            x = torch.add(x, velocity, alpha=1 / len(self.times))
            steps.step()
        return torch.cat([known, x[:, held:]], 1)

    def _frames(self, window: Window, *, guided: bool) -> Tensor:
        """The estimator's input but for the latents in the making: [2 B or B, T, width]."""
        rows, frames, latents = window.noise.shape
        known = window.noise.new_zeros(rows, frames, latents)
        known[:, : window.known.shape[1]] = window.known
        mask = window.mask.expand(rows, -1, -1)
        conditions = [torch.zeros_like(window.condition), window.condition] if guided else [window.condition]
        making = torch.zeros_like(window.noise)
        whole = torch.cat([torch.cat([mask, known, condition, making], -1) for condition in conditions])
        return whole + self.estimator.wpe.weight[:frames].float()

    def _turns(self, frames: int) -> Tensor:
        if frames not in self._rotary:
            self._rotary[frames] = self.estimator.rotary(frames)
        return self._rotary[frames]
