"""A clip that a song shall go on from, as the codes that LeLM and the renderer read: mixed, vocal, accompaniment.

The tokenizers hear 40 s: a shorter clip is repeated until it is that long, and the codes of the repetitions are left
out. One code more than the clip's seconds hold comes out, so 10 s are 251 codes, as the published code has it.
"""

from __future__ import annotations

import gc
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bridge.errors import JobError
from engine.diffusion.placement import memory_full
from engine.diffusion.resampling import resample, to_stereo
from engine.diffusion.songgeneration.layout import ONE_STREAM, SEPTOKEN, find_runtime
from engine.diffusion.songgeneration.musicfm import Ear, Tokenizer
from engine.diffusion.songgeneration.oobleck import FRAME, RATE
from engine.diffusion.songgeneration.septoken import FIRST, SECOND
from engine.diffusion.songgeneration.tensors import TensorFile
from engine.diffusion.steps import Steps, layers
from engine.rendering import Audio, Clip
from engine.report import Tick

SECONDS = 10
HEARD_SECONDS = 40
PEAK = 0.8
"""Loudest sample of a clip that is heard as it is."""
MIXED = Ear(FIRST, layer=6)
STEMS = (Ear(FIRST, layer=7), Ear(SECOND, layer=3))
"""Vocal and accompaniment."""


class PromptEncoder:
    """Reads its networks for every clip and gives their memory back: a song has one clip at most."""

    def __init__(self, septoken: Path, one_stream: Path, *, device: str) -> None:
        self._septoken = TensorFile.open(septoken)
        self._one_stream = TensorFile.open(one_stream)
        self._device = device

    @classmethod
    def open(cls, folder: Path, *, device: str) -> PromptEncoder:
        """From SongGeneration's runtime folder. Raises `JobError` renderer.load that names what it lacks."""
        files = find_runtime(folder)
        if files.septoken is None or files.one_stream is None:
            lacks = SEPTOKEN if files.septoken is None else ONE_STREAM
            raise JobError(
                "renderer.load",
                f"{folder} cannot hear a prompt clip: it lacks {lacks}.",
                hint="Download the whole runtime folder, or ask for a song without a reference clip.",
            )
        return cls(files.septoken, files.one_stream, device=device)

    def encode(self, full: Clip, vocal: Clip, tick: Tick = lambda fraction: None) -> Tensor:
        """Codes int64 [3, n] of the first 10 s at most: of the clip, of its vocal, and of what is left without it.

        n = seconds * 25 + 1. float32 throughout: a code is the nearest of 16384. `tick` is called before every layer
        and may raise `JobCancelled`. Raises `JobError` prompt.short for a clip under a second, renderer.load and
        memory.full.
        """
        samples = min(SECONDS * RATE, *(clip.audio.shape[1] * RATE // clip.rate for clip in (full, vocal)))
        if samples < RATE:
            long = f"{samples / RATE:.2f} s"
            raise JobError("prompt.short", f"the reference clip is {long} long; a song needs 1 s to go on from.")
        whole, voice = (_samples(clip, samples) for clip in (full, vocal))
        try:
            rows = self._rows(whole, voice, Steps(2, tick))
        except torch.OutOfMemoryError as problem:
            raise memory_full() from problem
        return torch.stack([row[: samples // FRAME + 1] for row in rows])

    def _rows(self, whole: Audio, voice: Audio, steps: Steps) -> list[Tensor]:
        """Codes of 40 s of the clip, of its vocal and of the rest."""
        heard = ((self._one_stream, (MIXED,), [whole]), (self._septoken, STEMS, [voice, whole - voice]))
        rows: list[Tensor] = []
        for file, ears, sounds in heard:
            tokenizer = Tokenizer(file, ears, device=self._device)
            with steps.watching([*tokenizer.network.conv.conv, *layers(tokenizer.network)]):
                rows += tokenizer.sounds2codes(torch.stack([_heard(sound) for sound in sounds]))
            steps.step()
        return rows

    def release(self) -> None:
        """Gives back what a device may still hold of the last clip."""
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _samples(clip: Clip, samples: int) -> Audio:
    """The clip's first samples, float32 [2, samples] at 48 kHz."""
    start = clip.audio[:, : math.ceil((samples / RATE + 0.1) * clip.rate)]
    return resample(to_stereo(start), clip.rate, RATE, samples)


def _heard(audio: Audio) -> Tensor:
    """What a tokenizer hears of a clip: 40 s, no louder than the peak."""
    louder = max(PEAK, float(np.abs(audio).max()))
    length = HEARD_SECONDS * RATE
    return torch.from_numpy(np.tile(audio * np.float32(PEAK / louder), math.ceil(length / audio.shape[1]))[:, :length])
