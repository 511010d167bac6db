"""One pipeline for all tests of painting: it loads its models once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.conform.painting_rig import Painting, doubled


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Painting]:
    with doubled() as made:
        yield made
