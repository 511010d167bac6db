"""diffusers' `AceStepPipeline` for stems: rows with sources of their own, a start from given sound, exact lengths.

The pipeline's loop, conditions and networks are diffusers'. Overridden is only what it prepares beforehand:

* Sources and references are encoded row by row with fixed noise (the autoencoder draws from torch's global generator,
  which would make the same request sound different twice).
* A run may start from a sound's latents at a noise level below 1, instead of from noise alone: so the stem keeps the
  guide's notes where its task has no source for them.
* The number of latent frames is the source's; a rounded duration could ask for one more.

Importing this imports diffusers (seconds, 130 MB): renderers do so when they load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AceStepPipeline, FlowMatchEulerDiscreteScheduler
from diffusers.utils.torch_utils import randn_tensor

from engine.diffusion.ace_step_words import shorten
from engine.diffusion.placement import Placement, load_pipeline

ENCODER_SEED = 0


@dataclass(frozen=True)
class Start:
    """Sounds [rows, 2, n] whose latents are mixed with noise: level 0 is the sound, 1 noise alone."""

    sounds: torch.Tensor
    level: float


class StemAceStep(AceStepPipeline):  # type: ignore[misc]
    """See the module."""

    start: Start | None = None
    heard: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def hop(self) -> int:
        """Samples of one latent frame."""
        return int(self.vae.hop_length)

    def prepare_src_latents(
        self, device: Any, dtype: Any, batch_size: int = 1, src_audio: torch.Tensor | None = None, **rest: Any
    ) -> tuple[torch.Tensor, int]:
        """Each row of `src_audio` [rows, 2, n] encoded by itself, one that is repeated once."""
        prepare = super().prepare_src_latents
        if src_audio is None:
            return prepare(device=device, dtype=dtype, batch_size=batch_size, **rest)  # type: ignore[no-any-return]
        rows: list[torch.Tensor] = []
        for i, row in enumerate(src_audio):
            if i and torch.equal(row, src_audio[i - 1]):
                rows.append(rows[-1])
                continue
            with seeded(device):
                rows.append(prepare(device=device, dtype=dtype, batch_size=1, src_audio=row, **rest)[0])
        return torch.cat(rows), rows[0].shape[1]

    def prepare_reference_audio_latents(
        self, reference_audio: Sequence[torch.Tensor], batch_size: int, device: Any, dtype: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Each row's reference [2, n] by itself; all stems and windows of a take have the same, so the last is kept."""
        prepare = super().prepare_reference_audio_latents
        rows = []
        for row in reference_audio:
            if self.heard is None or not torch.equal(self.heard[0], row):
                with seeded(device):
                    latents = prepare(reference_audio=row, batch_size=1, device=device, dtype=dtype)[0]
                self.heard = (row, latents)
            rows.append(self.heard[1])
        return torch.cat(rows), torch.arange(batch_size, device=device, dtype=torch.long)

    def prepare_latents(
        self,
        batch_size: int,
        audio_duration: float,
        dtype: Any,
        device: Any,
        generator: Any = None,
        latents: Any = None,
    ) -> torch.Tensor:
        """Noise, or noise and the start's latents."""
        frames = round(audio_duration * self.latents_per_second)
        shape = (batch_size, frames, self.transformer.config.audio_acoustic_hidden_dim)
        noise: torch.Tensor = randn_tensor(shape, generator=generator, device=device, dtype=dtype)
        if self.start is None:
            return noise
        sounds, _ = self.prepare_src_latents(device, dtype, src_audio=self.start.sounds)
        return self.start.level * noise + (1.0 - self.start.level) * sounds

    def decode(self, latents: torch.Tensor) -> list[torch.Tensor]:
        """Latents [rows, frames, channels] as sounds, float32 [2, n] each, at their natural level.

        (The pipeline's own decoding brings every clip to -1 dBFS, which would undo the balance between stems.)
        """
        rows = torch.split(latents.transpose(1, 2).to(self.vae.dtype), 1)
        return [self.vae.decode(row).sample[0].float().cpu() for row in rows]

    def encode_prompt(self, prompt: list[str], lyrics: list[str], *args: Any, **told: Any) -> Any:
        """With captions short enough for the metadata that follow them to be read."""
        return super().encode_prompt([self._fit(caption, **told) for caption in prompt], lyrics, *args, **told)

    def _fit(self, caption: str, max_text_length: int = 256, **told: Any) -> str:
        shown = {key: told.get(key) for key in ("audio_duration", "instruction", "bpm", "keyscale", "timesignature")}
        while caption:
            text, _ = self._format_prompt(prompt=caption, **shown)
            excess = len(self.tokenizer(text, verbose=False).input_ids) - max_text_length
            if excess <= 0:
                break
            caption = shorten(caption, excess)
        return caption

    def text_lengths(self, caption: str, lyrics: str, language: str, **told: Any) -> tuple[int, int]:
        """Tokens of a row's texts: rows are padded to the longest, and the network sees the padding."""
        caption = self._fit(caption, **told)
        text, words = self._format_prompt(prompt=caption, lyrics=lyrics, vocal_language=language, **told)
        lengths = [len(self.tokenizer(t, verbose=False).input_ids) for t in (text, words)]
        return lengths[0], lengths[1]


class seeded:
    """torch's global generators set for a block, and put back after it."""

    def __init__(self, device: Any) -> None:
        cuda = torch.device(device).type == "cuda"
        self._fork = torch.random.fork_rng(devices=[torch.device(device).index or 0] if cuda else [])

    def __enter__(self) -> None:
        self._fork.__enter__()
        torch.manual_seed(ENCODER_SEED)

    def __exit__(self, *error: Any) -> None:
        self._fork.__exit__(*error)


def load_ace_step(folder: str, placement: Placement) -> StemAceStep:
    """The pipeline from a folder. Raises `JobError`.

    The scheduler is fixed by the pipeline, which computes its own levels; some conversions leave it out.
    """
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0)
    pipe: StemAceStep = load_pipeline(StemAceStep, folder, placement, scheduler=scheduler)
    return pipe
