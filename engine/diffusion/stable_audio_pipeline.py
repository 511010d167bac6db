"""diffusers' Stable Audio 3 pipelines for stems: inpainting that starts from a guide, guidance where weights need it.

The loops, conditions and networks are diffusers'. Added are a start of the inpainting pipeline from a sound's latents
(on its own it invents the holes, whatever the score says), and classifier-free guidance, which the audio-to-audio and
inpainting pipelines leave out, as the text pipeline has it. Importing this imports diffusers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    StableAudio3AudioToAudioPipeline,
    StableAudio3InpaintPipeline,
)

from engine.diffusion.placement import Placement, load_pipeline
from engine.diffusion.stable_audio_words import levels_from


class StartedScheduler(FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]
    """A schedule entered at noise level `begin`."""

    begin: float = 1.0

    def set_timesteps(self, *args: Any, sigmas: list[float] | None = None, **rest: Any) -> None:
        """The levels below `begin`, after it."""
        if sigmas is not None and self.begin < 1.0:
            sigmas = levels_from(sigmas, self.begin)
        super().set_timesteps(*args, sigmas=sigmas, **rest)


class StemInpaint(StableAudio3InpaintPipeline):  # type: ignore[misc]
    """Inpainting that may start from the latents of `start` [rows, 2, n], mixed with noise at the scheduler's level."""

    start: torch.Tensor | None = None

    def prepare_latents(self, *args: Any, **rest: Any) -> torch.Tensor:
        """Noise, or noise and the start's latents."""
        noise: torch.Tensor = super().prepare_latents(*args, **rest)
        if self.start is None:
            return noise
        sounds = self._encode_reference_audio(self.start, noise.device).to(noise.dtype)[..., : noise.shape[-1]]
        mixed: torch.Tensor = self.scheduler.begin * noise + (1.0 - self.scheduler.begin) * sounds
        return mixed


class StableAudioPipes:
    """Both pipelines over one set of components; the audio-to-audio one owns the hooks of an offload."""

    def __init__(self, vary: Any) -> None:
        self.vary = vary
        parts = {**vary.components, "scheduler": StartedScheduler.from_config(vary.scheduler.config)}
        self.inpaint = StemInpaint(**parts)
        self.inpaint.set_progress_bar_config(disable=True)
        self.transformer, self.vae, self.text_encoder = vary.transformer, vary.vae, vary.text_encoder

    @property
    def components(self) -> dict[str, Any]:
        """As of a pipeline."""
        components: dict[str, Any] = self.vary.components
        return components

    @property
    def hop(self) -> int:
        """Samples of one latent frame."""
        return int(self.vae.downsampling_ratio)

    @property
    def longest(self) -> float:
        """Seconds that the checkpoint knows."""
        return float(self.vary.duration_embedder.config.max_val)

    def decode(self, latents: torch.Tensor) -> list[torch.Tensor]:
        """Latents [rows, channels, frames] as sounds, float32 [2, n] each, not clipped."""
        dtype = next(self.vae.parameters()).dtype
        rows = torch.split(latents.to(dtype), 1)
        return [self.vae.decode(row).sample[0].float().cpu() for row in rows]

    @contextmanager
    def guided(self, scale: float, avoid: list[str], seconds: float) -> Iterator[None]:
        """Within the block every run of the network is led away from `avoid` (one text for each row) by `scale`."""
        if scale == 1.0:
            yield
            return
        pipe = self.vary
        device = pipe._execution_device
        embeds, mask = pipe.encode_prompt(avoid, device, 1)
        context, mask = pipe.prepare_cross_attention(embeds, mask, pipe.encode_duration(seconds, device, 1, len(avoid)))
        leading = False

        def lead(network: Any, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
            nonlocal leading
            if leading:
                return None
            leading = True
            try:
                away = {**kwargs, "encoder_hidden_states": context, "encoder_attention_mask": mask}
                plain = network(*args, **away)[0]
            finally:
                leading = False
            return (plain + scale * (output[0] - plain),)

        handle = self.transformer.register_forward_hook(lead, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    def maybe_free_model_hooks(self) -> None:
        """As of a pipeline: components that were moved go back."""
        self.vary.maybe_free_model_hooks()

    def remove_all_hooks(self) -> None:
        """As of a pipeline."""
        self.vary.remove_all_hooks()


def load_stable_audio(folder: str, placement: Placement) -> StableAudioPipes:
    """The pipelines from a folder. Raises `JobError`."""
    return StableAudioPipes(load_pipeline(StableAudio3AudioToAudioPipeline, folder, placement))
