"""SongGeneration's renderer: LeLM's codes as 48 kHz stereo of the song, its vocal and its accompaniment.

The kinds are rows of one batch and get the same noise. A kind that leaves a voice out gets that voice's code of
silence throughout. Windows come out one after the other, so the first sections can be handed over while later ones are
made; the pieces joined are the render.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from bridge.errors import JobError, RequestError
from engine.diffusion.placement import memory_full
from engine.diffusion.resampling import resample, to_stereo
from engine.diffusion.songgeneration import oobleck
from engine.diffusion.songgeneration.layout import RuntimeFiles, find_runtime
from engine.diffusion.songgeneration.oobleck import FRAME, RATE, StreamDecoder, count_chunks
from engine.diffusion.songgeneration.septoken import Septoken, read_shape
from engine.diffusion.songgeneration.tensors import TensorFile
from engine.diffusion.songgeneration.windows import (
    Noise,
    count_steps,
    cut_windows,
    render_latents,
    seeded_noise,
)
from engine.diffusion.steps import Steps, layers
from engine.rendering import Audio, Clip
from engine.report import Tick

Kind = Literal["mixed", "vocal", "bgm"]
KINDS: tuple[Kind, ...] = ("mixed", "vocal", "bgm")
VOCAL, BGM = 1, 2
"""Rows of the codes."""
SILENT_VOCAL, SILENT_BGM = 3142, 9670
"""What the tokenizers hear in silence."""
PROMPT_FRAMES = 250
"""10 s."""
PROMPT_WINDOW = -1
"""Stands for the window's number in the seed of the noise that a prompt's latents are drawn with."""


@dataclass(frozen=True)
class Prompt:
    """A clip that the song goes on from: `codes` int64 [3, n] of it, and the `vocal` and `bgm` that it is made of.

    The first 10 s count, in whole frames that both have.
    """

    codes: Tensor
    vocal: Clip
    bgm: Clip


@dataclass(frozen=True)
class Piece:
    """A stretch of every kind, float32 [2, n] at 48 kHz with the same n, from sample `start` of the song."""

    start: int
    audio: dict[Kind, Audio]


class SongRenderer:
    """Weights are loaded by the first `render` and stay until `release`."""

    def __init__(self, files: RuntimeFiles, *, device: str, dtype: torch.dtype) -> None:
        self.files = files
        self.device = device
        self.dtype = dtype
        self._file = TensorFile.open(files.renderer)
        self._autoencoder = TensorFile.open(files.autoencoder)
        self.shape = read_shape(self._file)
        self.autoencoder = oobleck.read_shape(self._autoencoder, files.autoencoder_config)
        if self.autoencoder.latents != self.shape.latents:
            takes = f"{files.autoencoder.name} takes {self.autoencoder.latents}"
            raise self._file.refusal(f"makes {self.shape.latents} channels of latents, while {takes}")
        self._model: Septoken | None = None
        self._decoder: nn.Module | None = None

    @classmethod
    def open(cls, folder: Path, *, device: str, dtype: torch.dtype) -> SongRenderer:
        """Checks the runtime folder's files, from their shapes alone. `dtype` is the estimator's matrices'.

        Raises `JobError` renderer.load that names the file and the tensor.
        """
        return cls(find_runtime(folder), device=device, dtype=dtype)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What it can render: a renderer of mixed codes alone knows no stems."""
        return KINDS if len(self.shape.streams) > 1 else ("mixed",)

    @property
    def window_seconds(self) -> float:
        """How much it makes at once."""
        return self.shape.estimator.positions * FRAME / RATE

    def render(
        self,
        codes: Tensor | Iterable[Tensor],
        kinds: Sequence[Kind] = KINDS,
        *,
        seed: int,
        frames: int | None = None,
        prompt: Prompt | None = None,
        tick: Tick = lambda fraction: None,
    ) -> Iterator[Piece]:
        """The song of codes int64 [3, T] (mixed, vocal, accompaniment; 25 a second), piece by piece: T * 1920 samples.

        The codes may come as pieces [3, n] in order; a window is made as soon as its codes are there. `frames` says
        then about how many there will be, for `tick`. Same codes, seed, kinds and prompt: same bytes, however the codes
        are cut. `tick` is called before every layer and may raise `JobCancelled`.

        Raises `RequestError` song.kind for what the checkpoint cannot render, `JobError` song.codes for codes outside
        its codebooks, renderer.load and memory.full.
        """
        wrong = [kind for kind in kinds if kind not in self.kinds]
        if wrong or not kinds:
            raise RequestError(
                "song.kind",
                f"this renderer makes {', '.join(self.kinds)}, not {', '.join(wrong) or 'nothing'}.",
                hint="Separate stems need the checkpoint folder model_septoken.",
            )
        pieces = [codes] if isinstance(codes, Tensor) else codes
        length = codes.shape[1] if isinstance(codes, Tensor) else frames or 0
        return self._render(pieces, tuple(kinds), length, seed, prompt, tick)

    def _render(
        self,
        codes: Iterable[Tensor],
        kinds: tuple[Kind, ...],
        length: int,
        seed: int,
        prompt: Prompt | None,
        tick: Tick,
    ) -> Iterator[Piece]:
        try:
            model, decoder = self._loaded()
            size = self.shape.estimator.positions
            noise = seeded_noise(seed, size, self.shape.latents)
            held, known, before = 0, None, codes
            if prompt is not None:
                held = prompt_frames(prompt, size // 4)
                known = self._prompt_latents(prompt, kinds, held, noise)
                before = chain([prompt.codes[:, :held]], codes)
            steps = Steps(count_steps(held + length, size) + count_chunks(length) * len(kinds), tick)
            windows = cut_windows(map(self._checked, before), size)
            stream, start = StreamDecoder(decoder, steps.step), 0
            for latents, overhang in render_latents(model, windows, partial(kinds2rows, kinds), noise, steps, known):
                with steps.watching(layers(decoder)):
                    sound = stream.feed(latents, overhang).cpu().numpy()
                if sound.shape[-1]:
                    yield Piece(start, {kind: row.copy() for kind, row in zip(kinds, sound, strict=True)})
                    start += sound.shape[-1]
        except torch.OutOfMemoryError as problem:
            raise memory_full() from problem

    def release(self) -> None:
        """Gives the weights' memory back; the next `render` loads them again."""
        if self._model is not None:
            self._model.solver.estimator.to("meta")
        if self._decoder is not None:
            self._decoder.to("meta")
        self._model = self._decoder = None
        _collect()

    def _loaded(self) -> tuple[Septoken, nn.Module]:
        if self._model is None:
            self._model = Septoken.load(self._file, device=self.device, dtype=self.dtype)
        if self._decoder is None:
            self._decoder = oobleck.load_side(self._autoencoder, self.autoencoder, "decoder", self.device)
        return self._model, self._decoder

    def _checked(self, codes: Tensor) -> Tensor:
        """Codes that the codebooks have, in the computer's memory. Raises `JobError`."""
        if codes.ndim != 2 or len(codes) != 3 or codes.is_floating_point():
            raise JobError("song.codes", f"codes are whole numbers [3, frames], not {codes.dtype} {list(codes.shape)}.")
        if codes.numel() and not (codes.min() >= 0 and codes.max() < self.shape.codes):
            outside = f"{int(codes.min())} to {int(codes.max())}"
            raise JobError("song.codes", f"codes go from 0 to {self.shape.codes - 1}; given are {outside}.")
        return codes.long().cpu()

    def _prompt_latents(self, prompt: Prompt, kinds: Sequence[Kind], frames: int, noise: Noise) -> Tensor:
        """float32 [B, frames, latents]: of each kind what it has of the clip. The encoder is read for this alone."""
        vocal, bgm = (_samples(clip, frames) for clip in (prompt.vocal, prompt.bgm))
        parts = {"mixed": vocal + bgm, "vocal": vocal, "bgm": bgm}
        encoder = oobleck.load_side(self._autoencoder, self.autoencoder, "encoder", self.device)
        audio = torch.from_numpy(np.stack([parts[kind] for kind in kinds])).to(self.device)
        drawn = noise(PROMPT_WINDOW)[:frames].T.to(self.device)
        latents = oobleck.encode(encoder, audio, drawn).transpose(1, 2)
        encoder.to("meta")
        _collect()
        return latents


def kinds2rows(kinds: Sequence[Kind], codes: Tensor) -> Tensor:
    """Codes [3, T] -> [B, 3, T]: of each kind those it is made of, and silence for the other voice."""
    rows = codes.repeat(len(kinds), 1, 1)
    for row, kind in zip(rows, kinds, strict=True):
        if kind == "bgm":
            row[VOCAL] = SILENT_VOCAL
        if kind == "vocal":
            row[BGM] = SILENT_BGM
    return rows


def prompt_frames(prompt: Prompt, most: int) -> int:
    """The whole frames that a prompt's codes and both its clips have: 251 codes and 10 s are 250."""
    seconds = min(prompt.vocal.seconds, prompt.bgm.seconds)
    return min(prompt.codes.shape[1], round(seconds * RATE) // FRAME, most)


def _samples(clip: Clip, frames: int) -> Audio:
    """The clip's first frames, float32 [2, frames * 1920] at 48 kHz."""
    start = clip.audio[:, : math.ceil((frames + 1) * FRAME / RATE * clip.rate)]
    return resample(to_stereo(start), clip.rate, RATE, frames * FRAME)


def _collect() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
