"""A song in the making: pieces while later windows are computed, stops at every step, codes kept, either order."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bridge.errors import JobError
from engine.report import JobCancelled, Stopwatch
from engine.song.lyrics import Lyric
from engine.song.making import SongMaker, Stretch
from engine.song.plan import SongPlan
from tests.engine.song.songs import RATE, Plan, Song, make_song
from tests.engine.song.test_conform import samples, wanted
from tests.patience import PATIENCE

PLANS = (Plan(2, False, 0.1), Plan(2, True, 0.5), Plan(2, False, 0.9), Plan(2, True, 0.3))
BARS, SINGS = tuple(p.bars for p in PLANS), tuple(p.sings for p in PLANS)
FRAME = 1920
WINDOWS = 4


@pytest.fixture(scope="module")
def song() -> Song:
    """16 s of music at 119 bpm."""
    return make_song(PLANS, lambda x: 119.0)


class Played:
    """A machine that "makes" a song that is there: it writes as many codes as the song has frames, in steps, and
    renders it window by window, each when its codes have come. `before_last` runs before the last window."""

    def __init__(self, song: Song, streams: bool = True, before_last: Callable[[], None] = lambda: None) -> None:
        self.song = song
        self.streams = streams
        self.busy = threading.Lock()
        self.before_last = before_last
        self.said: list[str] = []
        self.frames = song.stems["bgm"].shape[1] // FRAME

    def prepare(self, plan: SongPlan, tick: Callable[[float], None]) -> None:
        tick(0.0)
        self.said.append("prepare")

    def hear_prompt(self, prompt: object, seed: int, tick: object) -> tuple[None, None]:
        assert prompt is None
        return None, None

    def unload_writer(self) -> None:
        self.said.append("unload")

    def write(
        self, plan: SongPlan, prompt: None, seed: int, tick: Callable[[float], None], on_frames: Any = None
    ) -> Tensor:
        codes = torch.arange(3 * self.frames).reshape(3, -1) + seed
        for step in range(20):
            tick(step / 20)
            if on_frames is not None:
                on_frames(codes[:, : self.frames * step // 20])
        self.said.append("written")
        return codes

    def write_several(
        self, plan: SongPlan, prompts: list[None], seeds: list[int], tick: Callable[[float], None]
    ) -> list[Tensor]:
        for step in range(20):
            tick(step / 20)
        self.said.append(f"{len(prompts)} written")
        return [torch.arange(3 * self.frames).reshape(3, -1) + seed for seed in seeds]

    def render(
        self,
        codes: Tensor | Iterable[Tensor],
        kinds: tuple[str, ...],
        seed: int,
        prompt: None,
        frames: int,
        tick: Callable[[float], None],
    ) -> Iterator[Any]:
        pieces = iter([codes] if isinstance(codes, Tensor) else codes)
        there, at = torch.zeros((3, 0), dtype=torch.long), 0
        edges = [self.frames * k // WINDOWS * FRAME for k in range(WINDOWS + 1)]
        for k, (start, end) in enumerate(itertools.pairwise(edges)):
            while there.shape[1] * FRAME < end:
                there = torch.cat([there, next(pieces)], dim=1)
            tick(k / WINDOWS)
            if k == WINDOWS - 1:
                self.before_last()
            self.said.append(f"window {k}")
            yield SimpleNamespace(start=start, audio={kind: self.song.stems[kind][:, start:end] for kind in kinds})
            at = end
        assert at == edges[-1]
        left = [piece.shape[1] for piece in pieces]
        assert there.shape[1] + sum(left) == self.frames
        expected = torch.arange(3 * self.frames).reshape(3, -1)[:, : there.shape[1]] + seed
        assert torch.equal(there, expected)


def maker(machine: Any, codes: Tensor | None = None, keep: Callable[[Tensor], None] = lambda codes: None) -> SongMaker:
    sections = tuple(wanted(BARS, sings=SINGS))
    kinds: Any = {"vocals": "vocal", "accompaniment": "bgm"}
    plan = SongPlan(Lyric((), ()), None, "separate", kinds, machine.frames, sections, None, ())
    return SongMaker(machine, plan, 0, RATE, samples(sections), 0, None, Stopwatch(), codes, keep)


def quiet(stage: str, fraction: float) -> None:
    assert 0.0 <= fraction <= 1.0


def test_the_first_sections_are_let_out_before_the_last_window_is_computed(song: Song) -> None:
    heard = threading.Event()
    out: list[Stretch] = []

    def let_out(stretch: Stretch) -> None:
        out.append(stretch)
        heard.set()

    def wait_for_a_piece() -> None:
        assert heard.wait(PATIENCE), "no piece came while the last window waited"

    made = maker(Played(song, before_last=wait_for_a_piece)).make(quiet, let_out)
    assert made.after is not None
    assert made.after.median_ms <= 10
    first = out[0]
    assert (first.first, first.stems.keys()) == (0, {"vocal", "bgm"})
    sections = wanted(BARS, sings=SINGS)
    length = round((sections[first.last - 1].pulses[-1] - sections[0].pulses[0]) * RATE)
    assert {audio.shape for audio in first.stems.values()} == {(2, length)}
    heard_now, later = first.stems["bgm"][:, RATE : length - RATE], made.stems["bgm"][:, RATE : length - RATE]
    alike = np.corrcoef(heard_now.ravel(), later.ravel())[0, 1]
    assert alike > 0.5
    assert [stretch.first for stretch in out] == sorted({stretch.first for stretch in out})


def test_streamed_and_one_after_the_other_are_the_same_song(song: Song) -> None:
    machines = [Played(song), Played(song, streams=False)]
    one, two = (maker(machine).make(quiet, lambda stretch: None) for machine in machines)
    assert all(np.array_equal(one.stems[kind], two.stems[kind]) for kind in one.stems)
    assert machines[1].said.index("unload") == machines[1].said.index("written") + 1
    assert machines[1].said.index("unload") < machines[1].said.index("window 0")
    assert "unload" not in machines[0].said


def test_written_codes_are_kept_and_not_written_again(song: Song) -> None:
    kept: list[Tensor] = []
    maker(Played(song), keep=kept.append).make(quiet, lambda stretch: None)
    again = Played(song)
    maker(again, codes=kept[0]).make(quiet, lambda stretch: None)
    assert "written" not in again.said
    assert "prepare" not in again.said


@pytest.mark.parametrize("step", [0, 1, 7, 15, 22, 25, 27])
@pytest.mark.parametrize("streams", [True, False])
def test_a_stop_at_any_step_ends_everything(song: Song, step: int, streams: bool) -> None:
    machine, calls = Played(song, streams), [0]
    waiting = threading.main_thread()

    def tick(stage: str, fraction: float) -> None:
        del stage, fraction
        if threading.current_thread() is not waiting:
            calls[0] += 1
        if calls[0] > step:
            raise JobCancelled

    before = set(threading.enumerate())
    with pytest.raises(JobCancelled):
        maker(machine).make(tick, lambda stretch: None)
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive()
    assert machine.busy.acquire(blocking=False)


def test_what_breaks_in_a_thread_reaches_the_job(song: Song) -> None:
    class Broken(Played):
        def write(self, *arguments: Any) -> Tensor:
            raise JobError("memory.full", "no room")

    class Empty(Played):
        def write(self, *arguments: Any) -> Tensor:
            return torch.zeros((3, 0), dtype=torch.long)

    for kind, code in ((Broken, "memory.full"), (Empty, "song.empty")):
        for streams in (True, False):
            with pytest.raises(JobError) as failed:
                maker(kind(song, streams)).make(quiet, lambda stretch: None)
            assert failed.value.code == code
