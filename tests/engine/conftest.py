"""What most tests of a running engine need: one of its own with the small pipeline, and clients of it.

A module that shares one engine among its tests, or wants another one, has its own `endpoint`; the clients are its.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.client import Client
from bridge.transport.endpoint import Endpoint
from tests.engine.rig import echo_engine


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    """A running engine, with folders below the test's."""
    with echo_engine(tmp_path) as running:
        yield running


@pytest.fixture
def client(endpoint: Endpoint) -> Iterator[Client]:
    """A client of an engine whose worker has its models."""
    with Client(endpoint) as connected:
        connected.models()
        yield connected


@pytest.fixture
def other(endpoint: Endpoint) -> Iterator[Client]:
    """A second client."""
    with Client(endpoint) as connected:
        yield connected
