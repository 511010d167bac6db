"""One song made: codes written, windows rendered behind them, first sections let out, the whole held to the clock.

The writer and the renderer run in threads of their own where both fit the device. After each window what is there is
held to the clock, and sections that are over are let out as pieces; the stems are made of the whole song at the end.
Whoever waits keeps asking whether the job shall stop, so a stop takes effect at once; the threads end at their next
step.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from bridge.errors import JobError
from engine.report import JobCancelled, Stopwatch, Tick
from engine.score import Key
from engine.song.conform import Conformed, conform_song
from engine.song.hear import Audio
from engine.song.plan import Clips, SongPlan, StoredCodes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from engine.diffusion.songgeneration.renderer import Kind, Piece, Prompt

SONG_RATE = 48_000
PEAK = 0.89
"""-1 dBFS: the louder stem's peak at most; both are turned down alike."""
WRITE_SHARE = 0.7
"""Of the time that a song takes, so much is writing."""
POLL_SECONDS = 0.05


class Machine(Protocol):
    """What makes the sound: `engine.song.machine.SongMachine`."""

    busy: threading.Lock

    @property
    def streams(self) -> bool:
        """Whether rendering may run beside writing."""

    def prepare(self, plan: SongPlan, tick: Tick) -> None:
        """Loads the writer, checks the lyrics' length."""

    def write(
        self,
        plan: SongPlan,
        prompt: Tensor | None,
        seed: int,
        tick: Tick,
        on_frames: Callable[[Tensor], None] | None = None,
    ) -> Tensor:
        """Codes int64 [3, T]."""

    def render(
        self,
        codes: Tensor | Iterable[Tensor],
        kinds: tuple[Kind, ...],
        seed: int,
        prompt: Prompt | None,
        frames: int,
        tick: Tick,
    ) -> Iterator[Piece]:
        """Sound at 48 kHz, piece by piece."""

    def hear_prompt(
        self, prompt: Clips | StoredCodes | None, seed: int, tick: Tick
    ) -> tuple[Tensor | None, Prompt | None]:
        """What the song goes on from."""

    def unload_writer(self) -> None:
        """Makes room for the renderer."""


@dataclass(frozen=True)
class Stretch:
    """Sections that can be heard already: indices [first, last) of the wanted ones, and the stems over them."""

    first: int
    last: int
    stems: dict[str, Audio]


@dataclass
class SongMaker:
    """Makes the song of a plan. `rate`, `samples`: the project's, and the take's length; `key`: given by the user."""

    machine: Machine
    plan: SongPlan
    seed: int
    rate: int
    samples: int
    ringing: int
    key: Key | None
    watch: Stopwatch
    codes: Tensor | None = None
    """Those of an attempt that broke off."""
    keep_codes: Callable[[Tensor], None] = lambda codes: None
    _stop: threading.Event = field(default_factory=threading.Event)
    _out: queue.SimpleQueue[Stretch] = field(default_factory=queue.SimpleQueue)
    _told: int = 0
    _windows: int = 0
    _wrote: float = 0.0
    _rendered: float = 0.0

    def make(self, tick: Callable[[str, float], None], let_out: Callable[[Stretch], None]) -> Conformed:
        """The song on the clock. `tick` (stage, fraction 0-1) is called at every step and every 50 ms, and may raise
        `JobCancelled`; `let_out` gets the sections that are over. Raises `JobError`, `RequestError`."""
        pool = ThreadPoolExecutor(1, thread_name_prefix="song")
        try:
            work = pool.submit(self._work, tick)
            while not work.done():
                wait([work], POLL_SECONDS)
                if not work.done():
                    tick(self._stage, self._fraction)
                self._let_out(let_out)
            return work.result()
        finally:
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

    @property
    def _stage(self) -> str:
        return "write" if self._wrote < 1.0 else "render"

    @property
    def _fraction(self) -> float:
        return 0.9 * (WRITE_SHARE * self._wrote + (1.0 - WRITE_SHARE) * self._rendered)

    def _let_out(self, let_out: Callable[[Stretch], None]) -> None:
        while True:
            try:
                let_out(self._out.get_nowait())
            except queue.Empty:
                return

    def _step(self, tick: Callable[[str, float], None], side: Literal["write", "render"]) -> Tick:
        def step(fraction: float) -> None:
            if self._stop.is_set():
                raise JobCancelled
            if side == "write":
                self._wrote = max(self._wrote, min(fraction, 0.999))
            else:
                self._rendered = max(self._rendered, fraction)
            tick(self._stage, self._fraction)

        return step

    def _work(self, tick: Callable[[str, float], None]) -> Conformed:
        """Codes, sound, clock; in a thread of its own."""
        with self.machine.busy:
            stems = self._sound(tick)

        def step(fraction: float) -> None:
            if self._stop.is_set():
                raise JobCancelled
            tick("conform", 0.9 + 0.1 * fraction)

        with self.watch.timing("conform"):
            return self._conform(stems, step, self.ringing)

    def _sound(self, tick: Callable[[str, float], None]) -> dict[str, Audio]:
        """The song as the model makes it: "vocal", "bgm" or one of them, float32 [2, samples] at 48 kHz."""
        kinds = tuple(dict.fromkeys(self.plan.kinds.values()))
        writing, rendering = self._step(tick, "write"), self._step(tick, "render")
        if self.codes is None:
            self.machine.prepare(self.plan, writing)
        codes_prompt, sound_prompt = self.machine.hear_prompt(self.plan.prompt, self.seed, self._listening(writing))
        pool, listening = (ThreadPoolExecutor(1, thread_name_prefix="song") for _ in range(2))
        try:
            codes: Tensor | Iterator[Tensor]
            if self.codes is not None:
                codes, self._wrote = self.codes, 1.0
            elif self.machine.streams:
                codes = self._stream(pool, codes_prompt, writing)
            else:
                codes = self._write(codes_prompt, writing, None)
                self.machine.unload_writer()
            parts: dict[str, list[Audio]] = {kind: [] for kind in kinds}
            previews: list[Future[None]] = []
            pieces = self.machine.render(codes, kinds, self.seed, sound_prompt, self.plan.frames, rendering)
            with self.watch.timing("render"):
                for piece in pieces:
                    for kind in kinds:
                        parts[kind].append(piece.audio[kind])
                    self._windows += 1
                    so_far = {kind: tuple(heard) for kind, heard in parts.items()}
                    previews.append(listening.submit(self._preview, self._windows, so_far))
                    for preview in previews:
                        if preview.done():
                            preview.result()
            return {kind: np.concatenate(heard, axis=1) for kind, heard in parts.items()}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            listening.shutdown(wait=False, cancel_futures=True)

    def _listening(self, tick: Tick) -> Tick:
        """Hearing a prompt moves nothing on."""
        return lambda fraction: tick(0.0)

    def _write(self, prompt: Tensor | None, tick: Tick, on_frames: Callable[[Tensor], None] | None) -> Tensor:
        with self.watch.timing("write"):
            codes = self.machine.write(self.plan, prompt, self.seed, tick, on_frames)
        if codes.shape[1] == 0:
            raise JobError("song.empty", "the model ended the song before it began.", hint="Ask with another seed.")
        self._wrote = 1.0
        self.keep_codes(codes)
        return codes

    def _stream(self, pool: ThreadPoolExecutor, prompt: Tensor | None, tick: Tick) -> Iterator[Tensor]:
        """Codes as they become final, from a thread that writes them."""
        ready: queue.SimpleQueue[Tensor | None] = queue.SimpleQueue()
        sent = 0

        def hand_on(codes: Tensor) -> None:
            nonlocal sent
            if codes.shape[1] > sent:
                ready.put(codes[:, sent:].clone())
                sent = codes.shape[1]

        def write() -> None:
            try:
                hand_on(self._write(prompt, tick, hand_on))
            finally:
                ready.put(None)

        work = pool.submit(write)
        while True:
            if self._stop.is_set():
                raise JobCancelled
            try:
                piece = ready.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if piece is None:
                work.result()
                return
            yield piece

    def _preview(self, window: int, parts: dict[str, tuple[Audio, ...]]) -> None:
        """Lets out the sections that are over after a window, unless the next one is there already."""
        if window < self._windows:
            return
        stems = {kind: np.concatenate(heard, axis=1) for kind, heard in parts.items()}
        wanted = self.plan.wanted
        done = self._conform(stems, self._unless_stopped, 0)
        if done.complete <= self._told:
            return
        first, self._told = self._told, done.complete
        start, end = (round(wanted[k].pulses[at] * self.rate) for k, at in ((first, 0), (done.complete - 1, -1)))
        cut = {kind: np.ascontiguousarray(audio[:, start:end]) for kind, audio in done.stems.items()}
        self._out.put(Stretch(first, done.complete, cut))

    def _unless_stopped(self, fraction: float) -> None:
        del fraction
        if self._stop.is_set():
            raise JobCancelled

    def _conform(self, stems: dict[str, Audio], tick: Tick, ringing: int) -> Conformed:
        here = {kind: at_rate(audio, SONG_RATE, self.rate) for kind, audio in stems.items()}
        done = conform_song(here, self.rate, self.plan.wanted, self.key, self.samples, tick, ringing)
        loudest = max((float(np.abs(audio).max(initial=0.0)) for audio in done.stems.values()), default=0.0)
        if loudest > PEAK:
            for audio in done.stems.values():
                audio *= np.float32(PEAK / loudest)
        return done


def at_rate(audio: Audio, rate: int, wanted: int) -> Audio:
    """float32 [channels, samples] at another rate."""
    if rate == wanted:
        return audio
    import soxr

    return np.ascontiguousarray(soxr.resample(audio.T, rate, wanted).T, dtype=np.float32)
