"""What a renderer is: it makes a stretch of a stem's sound from its guide. Values that stages and renderers share."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.report import Tick

Audio = NDArray[np.float32]
"""float32 [channels, samples], full scale 1.0."""
Task = Literal["cover", "lego", "repaint", "text2music", "extract"]


@dataclass(frozen=True)
class Clip:
    """Sound with its sample rate."""

    audio: Audio
    rate: int

    @property
    def seconds(self) -> float:
        """Length."""
        return float(self.audio.shape[-1]) / self.rate


@dataclass(frozen=True)
class Stretch:
    """What a renderer is asked for: a window of one stem, whole bars long, at the project's rate.

    `guide`: the sampler's version, whose length the answer has, sample for sample. `others`: the sum of the other
    stems there. `earlier`: what stands there now, in an edit, with `holes` (seconds from the window's start) to be
    painted anew. `reference`: the sound to match. `strength` 0-1 is how far it may leave the guide, None the
    checkpoint's own. `tonic` such as "A", `mode` such as "minor". `words`, `avoid`: text about the sound.
    """

    stem: str
    role: str
    guide: Clip
    bpm: float
    beats: int
    unit: int
    tonic: str
    mode: str
    seed: int
    words: str = ""
    avoid: str = ""
    lyrics: str = ""
    language: str = "en"
    strength: float | None = None
    others: Clip | None = None
    earlier: Clip | None = None
    holes: tuple[tuple[float, float], ...] = ()
    reference: Clip | None = None


class Renderer(Protocol):
    """A renderer that may drift: what it answers is held to the guide afterwards.

    `name` and `weights` go into the manifest, `window_seconds` is the longest stretch that it can be asked for,
    `batch` how many stretches it takes at once. `sings`: it can make a voice of lyrics; `matches_reference`: it hears
    a stretch's reference. Weights are loaded by the first `render`.
    """

    name: str
    weights: str
    licence: str
    window_seconds: float
    batch: int
    sings: bool
    matches_reference: bool

    def task(self, stretch: Stretch) -> Task:
        """What it would do with the stretch. Raises `RequestError` where its checkpoint cannot."""

    def remarks(self, stretch: Stretch) -> tuple[str, ...]:
        """What of the stretch's wishes it cannot follow, for the user."""

    def shape(self, stretch: Stretch) -> Hashable:
        """Stretches of equal shape share a call of the network; asked by one thread at a time, never while it renders.
        May load the weights. Raises as `task` and `render` do."""

    def width(self, stretch: Stretch) -> int:
        """Rows of the network's call that the stretch goes into, wanted or not; the same for all of its shape."""

    def render(self, stretches: Sequence[Stretch], tick: Tick) -> list[Clip]:
        """One stereo clip for each stretch, at the rate and of the length of its guide. Same seeds, same samples,
        whatever other stretches there are.

        A repainted window comes back whole; what lies outside its holes is the caller's to keep. `tick` is called at
        every diffusion step and may raise `JobCancelled`. Raises `JobError` where memory is full.
        """

    def release(self) -> None:
        """Gives the weights' memory back; the next `render` loads them again."""
