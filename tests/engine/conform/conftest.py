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
def pipeline() -> Iterator[Painting]:
    played: dict[Hashable, Audio] = {}

    def once(bank: Bank, part: Part, instrument: Instrument, clock: Clock, *span: Any) -> Audio:
        asked = (part, instrument, clock, span[:-1])
        if asked not in played:
            played[asked] = render_part(bank, part, instrument, clock, *span)
        return played[asked].copy()

    with doubled() as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr(stems, "render_part", once)
        yield made
