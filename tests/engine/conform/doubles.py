"""Strict doubles of a renderer: they answer with sound made from the guide, and refuse what is out of contract."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import scipy.signal

from bridge.messages import ModelRow
from engine.pipeline import Pipeline
from engine.rendering import Audio, Clip, Renderer, Stretch, Task
from engine.report import Tick

STEPS = 4
Answer = Callable[[Stretch], Audio]


def filtered(stretch: Stretch) -> Audio:
    """The guide, somewhat darker and 4 dB quieter, a little different with every seed: right, in another sound."""
    cut = 5000.0 + stretch.seed % 1000
    sos = scipy.signal.butter(1, cut, "lowpass", fs=stretch.guide.rate, output="sos")
    return np.asarray(0.63 * scipy.signal.sosfilt(sos, stretch.guide.audio, axis=1), dtype=np.float32)


def late(stretch: Stretch) -> Audio:
    """The same, 14 ms late."""
    audio = filtered(stretch)
    by = round(0.014 * stretch.guide.rate)
    return np.pad(audio, ((0, 0), (by, 0)))[:, : audio.shape[1]]


def noise(stretch: Stretch) -> Audio:
    """Nothing but noise."""
    rng = np.random.default_rng(stretch.seed)
    return rng.normal(0.0, 0.1, stretch.guide.audio.shape).astype(np.float32)


class Alone:
    """A block that one thread at a time may be in; a second one does not wait, it is an error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        assert self._lock.acquire(blocking=False), "two threads use the renderer at once"

    def __exit__(self, *error: object) -> None:
        self._lock.release()


class DoubleRenderer:
    """Answers every stretch by `answer`; `asked` remembers what it was asked for."""

    weights = "sha256:double"
    licence = "MIT"
    sings = True
    matches_reference = False

    def __init__(self, name: str, answer: Answer, *, window_seconds: float = 60.0, batch: int = 3) -> None:
        self.name = name
        self.window_seconds = window_seconds
        self.batch = batch
        self.asked: list[tuple[Stretch, ...]] = []
        self._answer = answer
        self._busy = Alone()

    def task(self, stretch: Stretch) -> Task:
        """See `Renderer`."""
        if stretch.earlier is not None and stretch.holes:
            return "repaint"
        return "lego" if stretch.others is not None else "cover"

    def remarks(self, stretch: Stretch) -> tuple[str, ...]:
        """See `Renderer`."""
        return (f"{self.name} cannot avoid {stretch.avoid}",) if stretch.avoid else ()

    def shape(self, stretch: Stretch) -> Hashable:
        """See `Renderer`. Two threads that ask, or one that asks while another renders, are out of contract."""
        with self._busy:
            return self.task(stretch), stretch.stem, stretch.guide.audio.shape

    def width(self, stretch: Stretch) -> int:
        """See `Renderer`."""
        return self.batch

    def render(self, stretches: Sequence[Stretch], tick: Tick) -> list[Clip]:
        """See `Renderer`."""
        assert 1 <= len(stretches) <= self.batch
        with self._busy:
            self.asked.append(tuple(stretches))
            for stretch in stretches:
                self._check(stretch)
            for step in range(STEPS):
                tick(step / STEPS)
            tick(1.0)
            return [Clip(self._paint(stretch), stretch.guide.rate) for stretch in stretches]

    def release(self) -> None:
        """See `Renderer`."""

    def _paint(self, stretch: Stretch) -> Audio:
        if stretch.role == "vocals":
            assert not stretch.guide.audio.any()
            rng = np.random.default_rng(stretch.seed)
            time = np.arange(stretch.guide.audio.shape[1]) / stretch.guide.rate
            tone = 0.2 * np.sin(2 * np.pi * 330.0 * time) * (np.sin(3.0 * time) > 0) + 1e-4 * rng.normal(size=len(time))
            return np.stack([tone, tone]).astype(np.float32)
        return self._answer(stretch)

    def _check(self, stretch: Stretch) -> None:
        """The contract of `Stretch`, word for word."""
        guide = stretch.guide
        assert guide.audio.dtype == np.float32
        assert guide.audio.shape[0] == 2
        assert guide.seconds <= self.window_seconds
        assert stretch.role == "vocals" or guide.audio.any(), "silent guides are not asked for"
        for clip in (stretch.others, stretch.earlier):
            assert clip is None or (clip.rate, clip.audio.shape) == (guide.rate, guide.audio.shape)
        assert (stretch.earlier is None) == (stretch.holes == ())
        for start, end in stretch.holes:
            assert 0.0 <= start < end <= guide.seconds + 1e-9
        assert 0 <= stretch.seed < 1 << 31
        assert 20.0 < stretch.bpm < 400.0
        assert stretch.role in stretch.stem or stretch.words


ANSWERS: dict[str, Answer] = {"filtered": filtered, "late": late, "noise": noise}


class DoublePipeline(Pipeline):
    """The real pipeline, in which every checkpoint of the user's is a double. STEMBRIDGE_TEST_ANSWER names its answer,
    for each family by itself: "ace-step=filtered stable-audio-3=noise"."""

    def open_renderer(self, row: ModelRow) -> Renderer | None:
        """A double of the row's name."""
        if not row.path:
            return None
        told = dict(word.split("=") for word in os.environ["STEMBRIDGE_TEST_ANSWER"].split())
        return DoubleRenderer(row.name, ANSWERS[told[row.name]])
