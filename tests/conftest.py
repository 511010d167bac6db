"""What every test stands on: folders of its own instead of the user's, and one real engine for those that need it."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "stembridge", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
"""A run on the same tree gives the same answer: each property sees the same examples every time, and a busy machine
decides nothing. `pytest --hypothesis-profile=search` looks for new ones (add `--hypothesis-seed=N` to repeat a search);
what it finds becomes an `@example` or a test of its own."""
settings.register_profile(
    "search", deadline=None, derandomize=False, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("stembridge")


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """Random numbers of a test that names no seed are the same, whichever tests ran before it."""
    random.seed(1)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(1)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(1)


@pytest.fixture(scope="session")
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`STEMBRIDGE_RUNTIME` and `STEMBRIDGE_DATA` in a temporary folder for the whole session."""
    folder = tmp_path_factory.mktemp("stembridge")
    before = {name: os.environ.get(name) for name in ("STEMBRIDGE_RUNTIME", "STEMBRIDGE_DATA")}
    os.environ["STEMBRIDGE_RUNTIME"] = str(folder / "runtime")
    os.environ["STEMBRIDGE_DATA"] = str(folder / "data")
    yield folder
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def engine(own_folders: Path) -> Iterator[Path]:
    """A running engine with its models; gives the folder that holds its runtime and data folders."""
    from bridge.client import start_engine, stop_engine

    start_engine(roots=[Path(__file__).parents[1]])
    yield own_folders
    stop_engine()
