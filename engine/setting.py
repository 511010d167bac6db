"""What all takes of a request are made from, known before the first one is composed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from bridge.messages import ModelRow, Render
from bridge.timeline import Clock
from engine.previous import PreviousTake
from engine.references import Lessons
from engine.rendering import Renderer
from engine.sampler import Bank
from engine.sampler.ownbanks import own_banks
from engine.score import FormSection, Heard
from engine.stages import StageCache, request2inputs, stage2key


@dataclass(frozen=True)
class Setting:
    """`previous` is the take that the request's scope edits, `earlier` the same or the one that it continues; `rows`
    are the machines of the stems by name, `renderers` those of them that may drift, `renderer` the main one; `common`:
    warnings that hold for every take."""

    request: Render
    stages: StageCache
    clock: Clock
    form: tuple[FormSection, ...]
    heard: Heard
    lessons: Lessons
    previous: PreviousTake | None
    earlier: PreviousTake | None
    rows: Mapping[str, ModelRow]
    renderers: Mapping[str, Renderer]
    renderer: ModelRow
    bank: Bank
    common: tuple[str, ...]

    @property
    def takes(self) -> list[Render]:
        """Each take's own request: they differ in their seeds."""
        seeds = range(self.request.seed, self.request.seed + self.request.takes)
        return [msgspec.structs.replace(self.request, seed=seed) for seed in seeds]

    @property
    def samples(self) -> int:
        """Length of a stem."""
        return request2samples(self.request)

    def key(self, take: Render) -> str:
        """Of all that a take is made from; the user's own sounds may be chosen for any of them."""
        weights = {name: machine.weights for name, machine in self.renderers.items()}
        earlier = self.earlier and (self.earlier.manifest, self.earlier.score)
        sounds = [bank for bank in own_banks() if not bank.missing]
        return stage2key("take", *request2inputs(take), self.rows, weights, earlier, sounds)


def request2samples(request: Render) -> int:
    """Length of each stem at the project's rate."""
    arrangement = request.arrangement
    return arrangement.timeline().span2samples(arrangement.start, arrangement.end, arrangement.sample_rate)
