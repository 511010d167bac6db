"""The renderer `stable-audio-3`: stems by Stable Audio 3 (diffusers), each from its guide.

A stretch is varied from its guide (audio to audio), strength being the highest noise level that the sound passes
through; in an edit the holes are painted anew, started from the guide, with the earlier sound around them as context.
A pad of strength 1 is made from words alone. Tempo, key and instrument are told as words; it does not sing lyrics.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch

from bridge.errors import RequestError
from engine.diffusion.renderer import (
    DiffusionRenderer,
    clips2tensor,
    decode_rows,
    frames_of,
    generators,
    is_painted,
    with_holes,
)
from engine.diffusion.stable_audio_words import (
    LOGSNR,
    PRESETS,
    Preset,
    level_for,
    levels_from,
    schedule,
    stretch2prompt,
    words2remarks,
)
from engine.diffusion.steps import Steps
from engine.rendering import Audio, Stretch, Task


class StableAudio(DiffusionRenderer):
    """See the module. Small checkpoints know two minutes, so no window is longer."""

    window_seconds = 120.0
    matches_reference = False

    @property
    def preset(self) -> Preset:
        """The settings that its checkpoint was made for."""
        return PRESETS[self.checkpoint.variant]

    def task(self, stretch: Stretch) -> Task:
        """See `engine.rendering.Renderer`."""
        if stretch.role == "vocals":
            raise RequestError(
                "renderer.task",
                f"{stretch.stem}: {self.name} cannot sing lyrics.",
                field="renderer",
                hint="Use an ACE-Step base checkpoint for this stem.",
            )
        if is_painted(stretch):
            return "repaint"
        return "text2music" if stretch.role == "pad" and stretch.strength == 1.0 else "cover"

    def remarks(self, stretch: Stretch) -> tuple[str, ...]:
        """See `engine.rendering.Renderer`."""
        return words2remarks(stretch, self.checkpoint.variant)

    def _load(self) -> Any:
        from engine.diffusion.stable_audio_pipeline import load_stable_audio

        return load_stable_audio(self.checkpoint.folder, self.placement)

    def _rate(self, pipe: Any) -> int:
        return int(pipe.vae.config.sampling_rate)

    def _key(self, pipe: Any, stretch: Stretch) -> Hashable:
        frames = frames_of(stretch.guide, self._rate(pipe), pipe.hop)
        return self.task(stretch), frames, self._strength(stretch), stretch.holes

    def _strength(self, stretch: Stretch) -> float:
        if self.task(stretch) == "text2music":
            return 1.0
        return self.preset.strength if stretch.strength is None else stretch.strength

    def _runs(self, pipe: Any, stretch: Stretch) -> int:
        strength = self._strength(stretch)
        if self.task(stretch) == "repaint" and strength < 1.0:
            return len(levels_from(schedule(self.preset.steps, 1.0), strength))
        return self.preset.steps

    def _run(self, pipe: Any, rows: Sequence[Stretch], steps: Steps) -> list[Audio]:
        rate = self._rate(pipe)
        samples = frames_of(rows[0].guide, rate, pipe.hop) * pipe.hop
        low, high = LOGSNR
        told: dict[str, Any] = {
            "prompt": [stretch2prompt(row) for row in rows],
            "duration": frames2seconds(samples // pipe.hop, pipe.hop, rate),
            "num_inference_steps": self.preset.steps,
            "logsnr_min": low,
            "logsnr_max": high,
            "generator": generators(rows),
            "callback_on_step_end": steps.on_step_end,
            "output_type": "latent",
        }
        with pipe.guided(self.preset.guidance, [row.avoid for row in rows], samples / rate):
            if self.task(rows[0]) == "repaint":
                latents = self._paint(pipe, rows, samples, told)
            else:
                level = level_for(self._strength(rows[0]), self.preset.steps)
                guides = clips2tensor([row.guide for row in rows], rate, samples)
                latents = pipe.vary(audio=guides, init_noise_level=level, **told).audios
        return decode_rows(pipe.decode, latents, rows)

    def _paint(self, pipe: Any, rows: Sequence[Stretch], samples: int, told: dict[str, Any]) -> torch.Tensor:
        rate = self._rate(pipe)
        known = [with_holes(row.earlier or row.guide, row.guide, row.holes) for row in rows]
        sounds = clips2tensor(known, rate, samples)
        strength = self._strength(rows[0])
        pipe.inpaint.scheduler.begin = strength
        pipe.inpaint.start = sounds if strength < 1.0 else None
        try:
            latents: torch.Tensor = pipe.inpaint(
                audio=sounds,
                mask_start_seconds=[start for start, _ in rows[0].holes],
                mask_end_seconds=[end for _, end in rows[0].holes],
                **told,
            ).audios
        finally:
            pipe.inpaint.start = None
        return latents


def frames2seconds(frames: int, hop: int, rate: int) -> float:
    """A duration of which the pipelines, who round up what they multiply back, make exactly so many latent frames."""
    return (frames * hop - 0.5) / rate
