"""One pipeline for all tests of painting: it loads its models once, and plays the same notes once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pytest

from bridge.timeline import Clock
from engine import stems
from engine.rendering import Audio
from engine.sampler import Bank, Instrument, render_part
from engine.score import Part
from tests.engine.conform.painting_rig import Painting, doubled


@pytest.fixture(scope="session")
def loaded() -> Painting:
    return Painting()


@pytest.fixture(scope="session")
def played() -> dict[Hashable, Audio]:
    return {}


@pytest.fixture(scope="module")
def pipeline(loaded: Painting, played: dict[Hashable, Audio]) -> Iterator[Painting]:
    """Other modules' pipelines stay as they are: what is put in place goes with the module."""

    def once(bank: Bank, part: Part, instrument: Instrument, clock: Clock, *span: Any) -> Audio:
        asked = (part, instrument, clock, span[:-1])
        if asked not in played:
            played[asked] = render_part(bank, part, instrument, clock, *span)
        return played[asked].copy()

    with doubled(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(stems, "render_part", once)
        yield loaded
