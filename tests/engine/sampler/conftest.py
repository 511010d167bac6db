"""Fixtures: the shipped bank, and banks of tiny SoundFonts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.sampler import Bank, Instrument
from tests.engine.sampler.fonts import RATE, click, soundfont


@pytest.fixture(scope="session")
def bank() -> Bank:
    return Bank.open()


@pytest.fixture(scope="session")
def write_font(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    folder = tmp_path_factory.mktemp("fonts")

    def write(name: str, samples: np.ndarray, **kwargs: object) -> Path:
        path = folder / f"{name}.sf2"
        path.write_bytes(soundfont(samples, RATE, **kwargs))  # type: ignore[arg-type]
        return path

    return write


@pytest.fixture(scope="session")
def click_font(write_font: Callable[..., Path]) -> Bank:
    return Bank.open(write_font("click", click()))


@pytest.fixture(scope="session")
def plain() -> Instrument:
    """Program 0 of a font: no gain, no pan, no room."""
    return Instrument("test", "soundfont", 0, 0, "CC0-1.0", 0.0, 0.0, None, 0.0)
