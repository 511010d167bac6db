"""A SongGeneration checkpoint of the user's at work: its writer, its renderer, its ears, loaded when they are used."""

from __future__ import annotations

import gc
import pickle
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bridge.arrangement import Reference
from bridge.checkpoints import Checkpoint
from bridge.errors import JobError
from bridge.songgeneration import TOKENIZER
from engine.fitting import Fit
from engine.hardware import measure_hardware
from engine.rendering import Clip
from engine.report import Tick
from engine.song.fit import songs_at_a_time
from engine.song.plan import Clips, SongPlan, StoredCodes, check_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from engine.diffusion.songgeneration.renderer import Kind, Piece, Prompt, SongRenderer
    from engine.lelm.songwriter import SongWriter

PROMPT_SECONDS = 10.0


class SongMachine:
    """One song at a time, or the words of several. `make_room` is called before weights are loaded."""

    def __init__(self, checkpoint: Checkpoint, fit: Fit, make_room: Callable[[], None]) -> None:
        self.checkpoint = checkpoint
        self.fit = fit
        self.name = checkpoint.name
        self.weights = checkpoint.weights
        self.licence = checkpoint.licence.name
        self.busy = threading.Lock()
        self._make_room = make_room
        self._writer: SongWriter | None = None
        self._renderer: SongRenderer | None = None

    @property
    def loaded(self) -> bool:
        """Whether weights are in memory."""
        return self._writer is not None or self._renderer is not None

    @property
    def streams(self) -> bool:
        """Whether windows are rendered while later ones are written: both sides fit the device together."""
        return not self.fit.offload

    def release(self) -> None:
        """Gives all memory back, after a song under way."""
        with self.busy:
            self.unload()

    def release_idle(self) -> None:
        """The same unless a song is under way."""
        if self.busy.acquire(blocking=False):
            try:
                self.unload()
            finally:
                self.busy.release()

    def unload(self) -> None:
        """Gives all memory back; for the one that holds `busy`."""
        self.unload_writer()
        if self._renderer is not None:
            self._renderer.release()
            self._renderer = None

    def unload_writer(self) -> None:
        """Gives the writer's memory back."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
            gc.collect()

    def prepare(self, plan: SongPlan, tick: Tick) -> None:
        """Loads the writer and counts the lyrics. Raises `RequestError` where they are too long, `JobError`."""
        writer = self._loaded_writer(tick)
        from engine.lelm.songwriter import SongWords

        def count(lyric: str) -> tuple[int, int]:
            found = writer.count_tokens(SongWords(lyric, plan.description, plan.kind))
            return found.lyric, found.lyric_limit

        check_tokens(plan, count)

    def write(
        self,
        plan: SongPlan,
        prompt: Tensor | None,
        seed: int,
        tick: Tick,
        on_frames: Callable[[Tensor], None] | None = None,
    ) -> Tensor:
        """int64 [3, T] codes of a song. `on_frames` hears of them as they become final. Raises `JobError`,
        `RequestError` and what `tick` raises."""
        from engine.lelm.songwriter import SongWords

        words = SongWords(plan.lyric.text, plan.description, plan.kind)
        writer = self._loaded_writer(tick)
        return writer.write(words, prompt, frames=plan.frames, seed=seed, tick=tick, on_frames=on_frames)

    def write_several(
        self, plan: SongPlan, prompts: Sequence[Tensor | None], seeds: Sequence[int], tick: Tick
    ) -> list[Tensor]:
        """The codes that `write` gives for each prompt and seed, in one batch as far as memory allows."""
        from engine.lelm.songwriter import SongJob, SongWords

        words = SongWords(plan.lyric.text, plan.description, plan.kind)
        writer = self._loaded_writer(tick)
        slots = songs_at_a_time(self.checkpoint, self.fit, plan.frames, measure_hardware())
        jobs = [SongJob(words, prompt, plan.frames, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
        return writer.write_several(jobs, slots=slots, tick=tick)

    def render(
        self,
        codes: Tensor | Iterable[Tensor],
        kinds: tuple[Kind, ...],
        seed: int,
        prompt: Prompt | None,
        frames: int,
        tick: Tick,
    ) -> Iterator[Piece]:
        """The song's sound at 48 kHz, piece by piece. See `SongRenderer.render`."""
        if self._renderer is None:
            import torch

            from engine.diffusion.songgeneration.renderer import SongRenderer

            self._make_room()
            dtype = {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(self.fit.dtype, torch.float32)
            if self.fit.dtype == "int8" and self.fit.device != "cpu":
                dtype = torch.float16
            self._renderer = SongRenderer.open(Path(self.checkpoint.runtime), device=self.fit.device, dtype=dtype)
        return self._renderer.render(codes, kinds, seed=seed, frames=frames, prompt=prompt, tick=tick)

    def hear_prompt(
        self, prompt: Clips | StoredCodes | None, seed: int, tick: Tick
    ) -> tuple[Tensor | None, Prompt | None]:
        """(codes for the writer, clip for the renderer) of what the song shall go on from."""
        if prompt is None:
            return None, None
        if isinstance(prompt, StoredCodes):
            return stored2codes(prompt, seed), None
        from engine.diffusion.songgeneration.prompt import PromptEncoder
        from engine.diffusion.songgeneration.renderer import Prompt

        vocal, bgm = clips2sound(prompt)
        full = Clip(vocal.audio + bgm.audio, vocal.rate)
        encoder = PromptEncoder.open(Path(self.checkpoint.runtime), device=self.fit.device)
        try:
            codes = encoder.encode(full, vocal, tick)
        finally:
            encoder.release()
        return codes, Prompt(codes, vocal, bgm)

    def _loaded_writer(self, tick: Tick) -> SongWriter:
        if self._writer is None:
            from engine.lelm.songwriter import SongWriter

            self._make_room()
            folder, runtime = Path(self.checkpoint.folder), Path(self.checkpoint.runtime)
            self._writer = SongWriter.open(
                folder, runtime / TOKENIZER, device=self.fit.device, weights=self.fit.dtype, check=tick
            )
        return self._writer


def clips2sound(prompt: Clips) -> tuple[Clip, Clip]:
    """(vocal, accompaniment) of at most 10 s, stereo, of one rate and length; what is not given is silence."""
    given = {kind: _read(reference) for kind, reference in (("vocal", prompt.vocal), ("bgm", prompt.bgm)) if reference}
    rate = next(iter(given.values())).rate
    out = []
    length = min(clip.audio.shape[1] * rate // clip.rate for clip in given.values())
    for kind in ("vocal", "bgm"):
        clip = given.get(kind)
        audio = np.zeros((2, length), np.float32) if clip is None else _at_rate(clip, rate)[:, :length]
        out.append(Clip(np.pad(audio, ((0, 0), (0, length - audio.shape[1]))), rate))
    return out[0], out[1]


def _read(reference: Reference) -> Clip:
    import soundfile

    with soundfile.SoundFile(reference.audio) as file:
        rate = file.samplerate
        file.seek(min(round(reference.from_second * rate), max(file.frames - 1, 0)))
        seconds = min(reference.seconds or PROMPT_SECONDS, PROMPT_SECONDS)
        audio = file.read(round(seconds * rate), dtype="float32", always_2d=True).T
    return Clip(np.ascontiguousarray(np.repeat(audio, 2, axis=0) if len(audio) == 1 else audio[:2]), rate)


def _at_rate(clip: Clip, rate: int) -> NDArray[np.float32]:
    if clip.rate == rate:
        return clip.audio
    import soxr

    return np.ascontiguousarray(soxr.resample(clip.audio.T, clip.rate, rate).T, dtype=np.float32)


def stored2codes(prompt: StoredCodes, seed: int) -> Tensor:
    """int64 [3, T] of the file's prompts of the kind and language, one by the seed. Raises `JobError`."""
    import torch

    try:
        table = torch.load(prompt.file, map_location="cpu", weights_only=True)
        found: list[Tensor] = [code.long().reshape(3, -1) for code in table[prompt.kind][prompt.language]]
    except (
        OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, EOFError, pickle.UnpicklingError,
    ) as problem:  # fmt: skip
        first = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise JobError(
            "song.prompts",
            f"{prompt.file.name} holds no prompt codes of the kind {prompt.kind} ({first[:200]}).",
            hint="Download it again, or leave the reference out.",
        ) from problem
    return found[seed % len(found)]
