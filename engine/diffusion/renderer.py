"""What the renderers over diffusers' audio pipelines share: stretches at the project's rate in, clips as long out.

Stretches that can share a call of the network go through it together. Each row has a random generator of its own and
is encoded by itself, and a call for stretches of one shape has always the same number of rows, the last one repeated
where there are fewer: products of other sizes round otherwise. So a stem has the same bytes alone and in company.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from bridge.checkpoints import Checkpoint
from bridge.errors import JobError
from engine.diffusion.placement import Placement, free_memory, memory_full
from engine.diffusion.resampling import fit_length, resample, side_by_side, to_stereo
from engine.diffusion.steps import Steps, layers
from engine.rendering import Audio, Clip, Stretch, Task
from engine.report import Tick

RINGING_SECONDS = 10.0
"""So much longer than its bars a window may be for what rings on."""
CALL_SECONDS = 120.0
"""Sound that the rows of a call last together at most: no call needs more memory than that of one longest window."""
KEPT_SECONDS = 0.05
"""Less of the earlier sound than this is no context to paint beside."""
log = logging.getLogger(__name__)
SEEDS = 1 << 63
SALT = 0x9E3779B97F4A7C15


class DiffusionRenderer(ABC):
    """A `Renderer` over one checkpoint. Calls from several threads wait for each other."""

    window_seconds: float
    matches_reference: bool

    def __init__(
        self, checkpoint: Checkpoint, placement: Placement, make_room: Callable[[], None] = lambda: None
    ) -> None:
        """Loads nothing. `make_room` is called before the weights are."""
        self.name = checkpoint.name
        self.weights = checkpoint.weights
        self.licence = checkpoint.licence.name
        self.sings = checkpoint.sings
        self.checkpoint = checkpoint
        self.placement = placement
        self.batch = placement.rows
        self._make_room = make_room
        self._pipe: Any = None
        self._lock = threading.RLock()

    @property
    def loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._pipe is not None

    @abstractmethod
    def task(self, stretch: Stretch) -> Task:
        """See `engine.rendering.Renderer`."""

    @abstractmethod
    def remarks(self, stretch: Stretch) -> tuple[str, ...]:
        """See `engine.rendering.Renderer`."""

    def render(self, stretches: Sequence[Stretch], tick: Tick) -> list[Clip]:
        """See `engine.rendering.Renderer`."""
        for stretch in stretches:
            self._check(stretch)
            self.task(stretch)
        tick(0.0)
        clips: dict[int, Clip] = {
            i: Clip(fit_length(to_stereo(s.guide.audio), s.guide.audio.shape[1]), s.guide.rate)
            for i, s in enumerate(stretches)
            if s.strength == 0.0
        }
        if len(clips) == len(stretches):
            return [clips[i] for i in range(len(stretches))]
        with self._lock, torch.no_grad(), all_cores(self.placement.device):
            pipe = self.open()
            groups = self._groups([i for i in range(len(stretches)) if i not in clips], stretches)
            steps = Steps(sum(self._runs(pipe, stretches[group[0]]) for group in groups), tick)
            try:
                with steps.watching(layers(pipe.transformer, pipe.vae, pipe.text_encoder)):
                    for group in groups:
                        rows = [stretches[i] for i in group]
                        clips.update(zip(group, self._answer(pipe, rows, steps), strict=True))
            finally:
                pipe.maybe_free_model_hooks()
        tick(1.0)
        return [clips[i] for i in range(len(stretches))]

    def shape(self, stretch: Stretch) -> Hashable:
        """See `engine.rendering.Renderer`."""
        if stretch.strength == 0.0:
            return None  # the guide itself
        with self._lock:
            return self.width(stretch), self._key(self.open(), stretch)

    def width(self, stretch: Stretch) -> int:
        """See `engine.rendering.Renderer`. It depends on nothing but the stretch and the device."""
        return max(1, min(self.batch, int(CALL_SECONDS / stretch.guide.seconds)))

    def open(self) -> Any:
        """The pipeline, loaded when first wanted."""
        with self._lock:
            if self._pipe is None:
                self._make_room()
                self._pipe = self._load()
            return self._pipe

    def release(self) -> None:
        """See `engine.rendering.Renderer`. Waits for a rendering under way."""
        with self._lock:
            pipe, self._pipe = self._pipe, None
            if pipe is not None:
                free_memory(pipe)

    def release_idle(self) -> None:
        """As `release`, unless another thread renders or loads."""
        if self._lock.acquire(blocking=False):
            try:
                self.release()
            finally:
                self._lock.release()

    @abstractmethod
    def _load(self) -> Any:
        """The pipeline on its device."""

    @abstractmethod
    def _key(self, pipe: Any, stretch: Stretch) -> Hashable:
        """Stretches of equal keys may share a call."""

    @abstractmethod
    def _runs(self, pipe: Any, stretch: Stretch) -> int:
        """Steps that a group with this stretch takes."""

    @abstractmethod
    def _run(self, pipe: Any, rows: Sequence[Stretch], steps: Steps) -> list[Audio]:
        """Sound of each row, float32 [2, n] at the model's rate; all rows have the same key. The last may stand there
        several times."""

    @abstractmethod
    def _rate(self, pipe: Any) -> int:
        """The model's sample rate."""

    def _check(self, stretch: Stretch) -> None:
        if stretch.guide.seconds > self.window_seconds + RINGING_SECONDS:
            raise JobError(
                "renderer.window",
                f"{stretch.stem}: {stretch.guide.seconds:.0f} s at once; {self.name} takes {self.window_seconds:g}.",
                hint="Ask for the part in shorter sections.",
            )

    def _groups(self, wanted: Sequence[int], stretches: Sequence[Stretch]) -> list[list[int]]:
        found: dict[Hashable, list[int]] = {}
        for i in wanted:
            found.setdefault(self.shape(stretches[i]), []).append(i)
        groups = []
        for rows in found.values():
            width = self.width(stretches[rows[0]])
            groups += [rows[at : at + width] for at in range(0, len(rows), width)]
        return groups

    def _answer(self, pipe: Any, rows: Sequence[Stretch], steps: Steps) -> list[Clip]:
        """Where memory does not bear the rows, they have a call each, now and from now on."""
        width = self.width(rows[0])
        try:
            sounds = self._run(pipe, [*rows, *[rows[-1]] * (width - len(rows))], steps)[: len(rows)]
        except torch.OutOfMemoryError as problem:
            if width == 1:
                raise memory_full() from problem
            sounds, self.batch = [], 1
        if not sounds:  # one by one, outside the handler, so that the failed call's memory is free
            log.warning("%s: memory does not bear %d rows; each has a call of its own now", self.name, width)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            return [clip for row in rows for clip in self._answer(pipe, [row], steps)]
        answers = list(zip(rows, sounds, strict=True))
        return side_by_side(lambda answer: self._clip(pipe, *answer), answers)

    def _clip(self, pipe: Any, stretch: Stretch, sound: Audio) -> Clip:
        if not np.isfinite(sound).all():
            raise JobError(
                "renderer.not_finite",
                f"{self.name} made no sound for {stretch.stem}: its numbers ran over.",
                hint="Try another seed, or the renderer 'guide'.",
            )
        rate = stretch.guide.rate
        return Clip(resample(to_stereo(sound), self._rate(pipe), rate, stretch.guide.audio.shape[1]), rate)


@contextmanager
def all_cores(device: str) -> Iterator[None]:
    """On a CPU the network's large products are worth a thread for each core (half of them are siblings as a rule);
    the worker's other networks are small and run on one."""
    before = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(max(before, (os.cpu_count() or 2) // 2))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def clip2tensor(clip: Clip, rate: int, samples: int) -> torch.Tensor:
    """A clip for a model: float32 [2, samples] at the model's rate."""
    return torch.from_numpy(resample(to_stereo(clip.audio), clip.rate, rate, samples))


def clips2tensor(clips: Sequence[Clip], rate: int, samples: int) -> torch.Tensor:
    """Clips as rows of a batch: float32 [rows, 2, samples] at the model's rate."""
    return torch.stack(side_by_side(lambda clip: clip2tensor(clip, rate, samples), clips))


def frames_of(clip: Clip, rate: int, hop: int) -> int:
    """Latent frames of `hop` samples that cover the clip at the model's rate."""
    samples = math.ceil(int(clip.audio.shape[1]) * rate / clip.rate)
    return max(1, math.ceil(samples / hop))


def generators(rows: Sequence[Stretch], salt: int = 0) -> list[torch.Generator]:
    """One for each row, on the CPU: the same noise on every device. `salt` tells calls of one row apart."""
    return [torch.Generator().manual_seed((row.seed + salt * SALT) % SEEDS) for row in rows]


def decode_rows(
    decode: Callable[[torch.Tensor], list[torch.Tensor]], latents: torch.Tensor, rows: Sequence[Stretch]
) -> list[Audio]:
    """Latents [rows, ...] as sounds; a row that is repeated is decoded once."""
    first = {id(row): i for i, row in reversed(list(enumerate(rows)))}
    sounds: dict[int, Audio] = {i: sound.numpy() for i in first.values() for sound in decode(latents[i : i + 1])}
    return [sounds[first[id(row)]] for row in rows]


def is_painted(stretch: Stretch) -> bool:
    """Whether earlier sound stays around the stretch's holes; a hole as long as the window leaves nothing to keep."""
    kept = stretch.guide.seconds - sum(end - start for start, end in stretch.holes)
    return stretch.earlier is not None and bool(stretch.holes) and kept > KEPT_SECONDS


def with_holes(earlier: Clip, guide: Clip, holes: Sequence[tuple[float, float]]) -> Clip:
    """The earlier sound with the guide's in the holes (seconds); both at the same rate and of the same length."""
    audio = fit_length(to_stereo(earlier.audio), guide.audio.shape[1])
    new = to_stereo(guide.audio)
    for start, end in holes:
        a, b = round(start * guide.rate), round(end * guide.rate)
        audio[:, a:b] = new[:, a:b]
    return Clip(audio, guide.rate)
