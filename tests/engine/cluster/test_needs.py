"""How many workers a machine holds."""

from __future__ import annotations

import pytest

from bridge.checkpoints import Checkpoint
from bridge.licences import MIT
from engine.cluster.needs import Needs, home_places, measure_needs
from engine.hardware import Hardware

GIB = 1 << 30
CPU = Hardware("cpu", "CPU", 32.0, 32.0)
CUDA = Hardware("cuda", "GPU", 24.0, 64.0)


def test_the_scarcest_resource_counts() -> None:
    assert Needs(1, 2 * GIB, 0).fits(cpus=8, memory=5 * GIB, gpus=0) == 2
    assert Needs(1, 2 * GIB, 0).fits(cpus=1.5, memory=64 * GIB, gpus=0) == 1
    assert Needs(1, 2 * GIB, 1).fits(cpus=8, memory=64 * GIB, gpus=3) == 3
    assert Needs(1, 2 * GIB, 1).fits(cpus=8, memory=64 * GIB, gpus=0) == 0


def test_shipped_models_need_two_gib_and_a_checkpoint_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure_needs(CPU) == Needs(1, 2 * GIB, 0)
    small = Checkpoint(
        name="ace-step", family="ace-step", variant="turbo", source="x", folder="x", licence=MIT, sha256="",
        parameters={"transformer": 10**9},
    )  # fmt: skip
    monkeypatch.setattr("engine.cluster.needs.read_register", lambda: (small,))
    assert measure_needs(CPU).memory > 2 * GIB + 4 * 10**9
    assert measure_needs(CUDA) == Needs(1, 2 * GIB, 1)


def test_every_machine_holds_at_least_one() -> None:
    assert home_places(Needs(1, 1 << 60, 0)) == 1
