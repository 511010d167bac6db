"""The renderer `ace-step`: stems by ACE-Step 1.5 (diffusers), each from its guide.

What it does with a stretch:

* `repaint` where earlier sound with holes is given (edits); the holes start from the guide,
* `lego` on base checkpoints: the track is added to the other stems, started from the guide (voices: from noise),
* `extract` on base checkpoints for a voice without company: a song is made, its voice taken out,
* `text2music` for a pad that may leave its guide altogether (strength 1): a texture,
* `cover` else: the guide is the source. Where a conversion came without the tokenizer of semantic codes, the guide's
  latents themselves are (upstream's "cover-nofsq").

Strength is the noise level that the guide's latents start at. Source of the network: ACE-Step 1.5 (arXiv 2602.00744).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch

from bridge.errors import RequestError
from engine.diffusion.ace_step_presets import PRESETS, Preset, check_task
from engine.diffusion.ace_step_words import INSTRUMENTAL, Words, stretch2words, words2remarks
from engine.diffusion.renderer import (
    DiffusionRenderer,
    clip2tensor,
    clips2tensor,
    decode_rows,
    frames_of,
    generators,
    is_painted,
    with_holes,
)
from engine.diffusion.steps import Steps
from engine.rendering import Audio, Clip, Stretch, Task

EDGE_SECONDS = 0.1
"""So much on both sides of a hole is taken from the hole's own pass."""


class AceStep(DiffusionRenderer):
    """See the module. `window_seconds` keeps memory bounded; the network takes up to ten minutes."""

    window_seconds = 120.0
    matches_reference = True

    @property
    def preset(self) -> Preset:
        """The settings that its checkpoint was made for."""
        return PRESETS[self.checkpoint.variant]

    def task(self, stretch: Stretch) -> Task:
        """See `engine.rendering.Renderer`."""
        if stretch.role == "vocals" and not stretch.lyrics.strip():
            raise RequestError("stem.lyrics", f"{stretch.stem}: there is nothing to sing.", hint="Write lyrics.")
        task = self._wanted(stretch)
        check_task(self.name, self.checkpoint.variant, task, stretch.stem)
        return task

    def _wanted(self, stretch: Stretch) -> Task:
        if is_painted(stretch):
            return "repaint"
        base = self.checkpoint.variant == "base"
        if stretch.role == "vocals":
            return "extract" if base and stretch.others is None else "lego"
        if stretch.strength == 1.0:
            return "text2music" if stretch.role == "pad" else "cover"
        return "lego" if base and stretch.others is not None else "cover"

    def remarks(self, stretch: Stretch) -> tuple[str, ...]:
        """See `engine.rendering.Renderer`."""
        return words2remarks(stretch)

    def _load(self) -> Any:
        from engine.diffusion.ace_step_pipeline import load_ace_step

        return load_ace_step(self.checkpoint.folder, self.placement)

    def _rate(self, pipe: Any) -> int:
        return int(pipe.sample_rate)

    def _key(self, pipe: Any, stretch: Stretch) -> Hashable:
        task = self.task(stretch)
        words = stretch2words(stretch, task)
        told = self._told(pipe, stretch, task, words)
        lengths = pipe.text_lengths(words.caption, words.lyrics, words.language, **told)
        frames = frames_of(stretch.guide, self._rate(pipe), pipe.hop)
        started = self._starts(stretch, task), stretch.reference is not None, stretch.holes
        return task, frames, lengths, tuple(told.items()), self._levels(stretch, task)[0], *started

    def _runs(self, pipe: Any, stretch: Stretch) -> int:
        task = self.task(stretch)
        calls = len(stretch.holes) if task == "repaint" else 2 if task == "extract" else 1
        return calls * len(self._levels(stretch, task))

    def _starts(self, stretch: Stretch, task: Task) -> bool:
        """Whether the run starts from the guide, not from noise alone."""
        return task in ("cover", "lego", "repaint") and bool(np.any(stretch.guide.audio))

    def _levels(self, stretch: Stretch, task: Task) -> list[float]:
        strength = self.preset.strength[task] if stretch.strength is None else stretch.strength
        if task in ("text2music", "extract") or not self._starts(stretch, task):
            strength = 1.0
        return self.preset.schedule_from(strength)

    def _run(self, pipe: Any, rows: Sequence[Stretch], steps: Steps) -> list[Audio]:
        task = self.task(rows[0])
        if task == "repaint":
            return self._repaint(pipe, rows, steps)
        if task == "extract":
            song = self._call(pipe, rows, "text2music", steps)
            return self._call(pipe, rows, "extract", steps, source=_stack(song), salt=1)
        source: list[Clip] | None = None
        if task == "cover":
            source = [row.guide for row in rows]
        elif task == "lego":
            source = [row.others or _silence(row.guide) for row in rows]
        heard, start = self._tensors(pipe, rows, source), None
        if self._starts(rows[0], task):
            start = heard if task == "cover" else self._tensors(pipe, rows, [row.guide for row in rows])
        return self._call(pipe, rows, task, steps, heard, start)

    def _repaint(self, pipe: Any, rows: Sequence[Stretch], steps: Steps) -> list[Audio]:
        """One pass for each hole, as the pipeline knows one window; later passes see what earlier ones painted."""
        rate = self._rate(pipe)
        starts = self._starts(rows[0], "repaint")
        before = [with_holes(row.earlier or row.guide, row.guide, row.holes) for row in rows]
        source = self._tensors(pipe, rows, before)
        assert source is not None
        passes: list[list[Audio]] = []
        for number, hole in enumerate(rows[0].holes):
            start = source if starts else None
            painted = self._call(pipe, rows, "repaint", steps, source, start, hole=hole, salt=number)
            a, b = _hole2samples(hole, rate, source.shape[-1], 0.0)
            source = source.clone()
            source[:, :, a:b] = _stack(painted)[:, :, a:b]
            passes.append(painted)
        answers = [sound.copy() for sound in passes[-1]]
        for painted, hole in zip(passes[:-1], rows[0].holes, strict=False):
            a, b = _hole2samples(hole, rate, answers[0].shape[-1], EDGE_SECONDS)
            for answer, sound in zip(answers, painted, strict=True):
                answer[:, a:b] = sound[:, a:b]
        return answers

    def _call(
        self,
        pipe: Any,
        rows: Sequence[Stretch],
        task: Task,
        steps: Steps,
        source: torch.Tensor | None = None,
        start: torch.Tensor | None = None,
        hole: tuple[float, float] | None = None,
        salt: int = 0,
    ) -> list[Audio]:
        """One run of the pipeline. `source`, `start`: float32 [rows, 2, n] at the model's rate."""
        from engine.diffusion.ace_step_pipeline import Start

        words = [stretch2words(row, task) for row in rows]
        levels = self._levels(rows[0], task)
        rate = self._rate(pipe)
        references = [row.reference for row in rows if row.reference is not None]
        pipe.start = Start(start, levels[0]) if start is not None and levels[0] < 1.0 else None
        try:
            latents = pipe(
                prompt=[w.caption for w in words],
                lyrics=[w.lyrics if task != "extract" else INSTRUMENTAL for w in words],
                vocal_language=[w.language for w in words],
                num_inference_steps=len(levels),
                timesteps=levels,
                guidance_scale=self.preset.guidance[task],
                shift=self.preset.shift,
                generator=generators(rows, salt),
                task_type="text2music" if self._uncoded(task) else task,
                src_audio=source,
                reference_audio=[clip2tensor(c, rate, round(c.seconds * rate)) for c in references] or None,
                repainting_start=hole[0] if hole else None,
                repainting_end=hole[1] if hole else None,
                output_type="latent",
                callback_on_step_end=steps.on_step_end,
                **self._told(pipe, rows[0], task, words[0]),
            ).audios
        finally:
            pipe.start = None
        return decode_rows(pipe.decode, latents, rows)

    def _uncoded(self, task: Task) -> bool:
        """Whether a cover's source goes in as latents, for want of the tokenizer of semantic codes."""
        return task == "cover" and not self.checkpoint.codes

    def _told(self, pipe: Any, stretch: Stretch, task: Task, words: Words) -> dict[str, Any]:
        """What all rows of a call are told alike."""
        return {
            "audio_duration": frames_of(stretch.guide, self._rate(pipe), pipe.hop) / pipe.latents_per_second,
            "instruction": pipe._get_task_instruction(task, words.track),
            "bpm": words.bpm,
            "keyscale": words.key,
            "timesignature": words.metre,
        }

    def _tensors(self, pipe: Any, rows: Sequence[Stretch], clips: Sequence[Clip] | None) -> torch.Tensor | None:
        if clips is None:
            return None
        rate = self._rate(pipe)
        samples = frames_of(rows[0].guide, rate, pipe.hop) * pipe.hop
        return clips2tensor(clips, rate, samples)


def _stack(sounds: Sequence[Audio]) -> torch.Tensor:
    return torch.from_numpy(np.stack(sounds))


def _silence(clip: Clip) -> Clip:
    return Clip(np.zeros_like(clip.audio), clip.rate)


def _hole2samples(hole: tuple[float, float], rate: int, samples: int, edge: float) -> tuple[int, int]:
    return max(0, round((hole[0] - edge) * rate)), min(samples, round((hole[1] + edge) * rate))
