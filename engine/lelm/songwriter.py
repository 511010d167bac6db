"""Words in, song codes out: SongGeneration's language model as the rest of the engine uses it.

    writer = SongWriter.open(folder, tokenizer)
    codes = writer.write(SongWords("[verse] Hello world. ; [outro-short]", "pop, piano."), frames=1500, seed=1)

Codes are int64 [3, T] at 25 frames a second: the mix (which a renderer does not need), the voice, the accompaniment.
Same model, words, prompt, frames, sampling and seed: same codes on one kind of device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import torch
from torch import Tensor

from bridge.errors import RequestError
from engine.lelm.caches import Cache
from engine.lelm.checkpoint import SongTensors, read_song_tensors
from engine.lelm.choosing import SeededChance, SongSampling
from engine.lelm.conditions import Conditions
from engine.lelm.products import KINDS
from engine.lelm.songbatch import write_songs
from engine.lelm.songdecoding import Frames, MainLine, write_song
from engine.lelm.songnet import ReadPrefix, SongNet
from engine.lelm.text import (
    SongText,
    SongWords,
    TokenCounts,
    Version,
    check_counts,
    null_style,
    words2texts,
)
from engine.report import Tick

PUBLISHED = SongSampling()

__all__ = ["SongFacts", "SongJob", "SongSampling", "SongWords", "SongWriter", "TokenCounts"]


@dataclass(frozen=True, slots=True)
class SongFacts:
    """What a model is and takes. `parameters` counts the weights that are used; limits are in tokens."""

    version: Version
    parameters: int
    max_seconds: int
    frame_rate: int
    prompt_frames: int
    lyric_limit: int
    style_limit: int
    code_size: int


@dataclass(frozen=True, slots=True)
class SongJob:
    """One song to write: its words, a prompt's codes int64 [3, n] or None, frames at most, a seed."""

    words: SongWords
    prompt: Tensor | None
    frames: int
    seed: int


class SongWriter:
    """A loaded song model. Writes one song at a time; not for several threads at once."""

    def __init__(self, tensors: SongTensors, text: SongText, kind: str, device: str, check: Tick) -> None:
        c = tensors.config
        self.facts = SongFacts(
            tensors.version, tensors.parameters, c.max_seconds, c.frame_rate, c.prompt_frames,
            c.lyric_limit, c.style_limit, c.code_size,
        )  # fmt: skip
        self._text, self._conditions = text, Conditions(tensors)
        longest = self._conditions.length + c.max_seconds * c.frame_rate + max(c.delays)
        self._net = SongNet(tensors, longest, kind, device, check)
        self._null: dict[str | None, ReadPrefix] = {}

    @classmethod
    def open(
        cls,
        folder: Path,
        tokenizer: Path,
        *,
        device: str = "cpu",
        weights: str = "float32",
        check: Tick = lambda fraction: None,
    ) -> SongWriter:
        """Loads `folder` (config.yaml and model.pt or safetensors) and Qwen2's tokenizer folder.

        `weights`: float32, bfloat16, float16 or int8; `check` is called before each layer is moved. Raises `JobError`
        `songwriter.layout`, `.tensors`, `.tokenizer` or `.v2-fast`, and ValueError for another kind of weights.
        """
        if weights not in KINDS:
            raise ValueError(f"weights {weights!r} are none of {KINDS}")
        tensors = read_song_tensors(folder)
        text = SongText(tokenizer, tensors.version)
        with torch.inference_mode():
            return cls(tensors, text, weights, device, check)

    @property
    def net(self) -> SongNet:
        """The weights on their device."""
        return self._net

    def release(self) -> None:
        """Gives all memory back. The writer is of no use afterwards."""
        device = self._net.device
        self._null.clear()
        del self._net, self._conditions
        if device.startswith("cuda"):
            torch.cuda.empty_cache()

    def count_tokens(self, words: SongWords) -> TokenCounts:
        """How long the words are, against what the model reads."""
        return self._text.count(words, self.facts.lyric_limit, self.facts.style_limit)

    def write(
        self,
        words: SongWords,
        prompt: Tensor | None = None,
        *,
        frames: int,
        seed: int,
        sampling: SongSampling = PUBLISHED,
        tick: Tick = lambda fraction: None,
        on_frames: Frames | None = None,
    ) -> Tensor:
        """Codes [3, T <= frames], cut at the first end token of any codebook.

        `on_frames(codes [3, t])` is given each longer beginning that is final; the two transformers then take turns.
        Raises `RequestError` `song.lyric_long`, `song.style_long`, `song.length` or `song.prompt`, and what `tick`
        raises, before the next step.
        """
        job = SongJob(words, prompt, frames, seed)
        if on_frames is None and self._net.device.startswith("cuda"):
            # One slot's steps are recorded graphs; the same codes.
            return self.write_several([job], slots=1, sampling=sampling, tick=tick)[0]
        with torch.inference_mode():
            rows = self.read(job, sampling)
            line = self.line(job, rows, sampling)
            rows = [row.behind_main() for row in rows]
            return write_song(line, rows, tick, on_frames)

    def write_several(
        self,
        jobs: Sequence[SongJob],
        *,
        slots: int = 4,
        sampling: SongSampling = PUBLISHED,
        tick: Tick = lambda fraction: None,
    ) -> list[Tensor]:
        """The codes of several songs, `slots` of them at a time: those that `write` gives each, in much less time.

        Raises what `write` raises, before the first step.
        """
        for job in jobs:
            self._check(job)
        if not jobs:
            return []
        delay, done = self._net.config.delays[1], count()
        like = [next(n for n, other in enumerate(jobs) if _begins_alike(job, other)) for job in jobs]
        kept: dict[int, list[ReadPrefix]] = {}

        def read(song: int) -> list[ReadPrefix]:
            # Songs are asked for in order; takes of one song read its words once.
            if like[song] == song:
                kept[song] = self.read(jobs[song], sampling)
            return kept[like[song]] if like[song] in like[song + 1 :] else kept.pop(like[song])

        work = sum(2 * job.frames + delay for job in jobs)
        with torch.inference_mode():
            return write_songs(
                self._net,
                [partial(read, song) for song in range(len(jobs))],
                lambda n, rows, cache: self.line(jobs[n], rows, sampling, cache),
                max(job.frames for job in jobs),
                rows=1 if sampling.guidance == 1.0 else 2,
                slots=slots,
                guidance=sampling.guidance,
                tick=lambda: tick(min(1.0, next(done) / work)),
            )

    def read(self, job: SongJob, sampling: SongSampling) -> list[ReadPrefix]:
        """The prefixes of a song's rows, checked and read: the conditional one, and the null one under guidance."""
        self._check(job)
        lyric, style = words2texts(job.words, self.facts.version)
        text, conditions = self._text, self._conditions
        prefix = conditions.prefix(text.lyric_ids(lyric), job.prompt, text.style_ids(style))
        rows = [self._net.read(prefix)]
        if sampling.guidance == 1.0:
            return rows
        null = null_style(style)
        if null not in self._null:
            prefix = conditions.prefix(text.lyric_ids(None), None, text.style_ids(null))
            self._null[null] = self._net.read(prefix).waiting()
        return [*rows, self._null[null]]

    def line(
        self, job: SongJob, rows: list[ReadPrefix], sampling: SongSampling, cache: Cache | None = None
    ) -> MainLine:
        """The main line of a song whose prefixes are read. Codes of a prompt's mix are never written again."""
        banned = None if job.prompt is None else torch.unique(job.prompt[0])
        if banned is not None:
            banned = banned[banned < self.facts.code_size].to(self._net.device)
        chance = SeededChance(job.seed, self.facts.code_size + 1, self._net.device)
        return MainLine(self._net, rows, job.frames, sampling, chance, banned, cache=cache)

    def _check(self, job: SongJob) -> None:
        check_counts(self.count_tokens(job.words))
        most = self.facts.max_seconds * self.facts.frame_rate
        if not 1 <= job.frames <= most:
            raise RequestError(
                "song.length",
                f"a song of {job.frames / self.facts.frame_rate:.1f} s was asked for; this model writes up to "
                f"{self.facts.max_seconds} s.",
                hint="Ask for fewer sections, or for several songs.",
            )
        if job.prompt is not None:
            _check_prompt(job.prompt, self.facts)


def _begins_alike(job: SongJob, other: SongJob) -> bool:
    if job.prompt is None or other.prompt is None:
        return job.words == other.words and job.prompt is other.prompt
    return job.words == other.words and torch.equal(job.prompt, other.prompt)


def _check_prompt(prompt: Tensor, facts: SongFacts) -> None:
    sound = prompt.dtype == torch.int64 and prompt.ndim == 2 and prompt.shape[0] == 3 and prompt.shape[1] > 0
    if not sound or int(prompt.min()) < 0 or int(prompt.max()) > facts.code_size + 1:
        raise RequestError(
            "song.prompt",
            f"the prompt's codes are not whole numbers [3, n] from 0 to {facts.code_size + 1}.",
            hint="Make the prompt from a sound again, or leave it out.",
        )
