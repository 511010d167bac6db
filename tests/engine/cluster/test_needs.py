"""How many workers a machine holds."""

from __future__ import annotations

import pytest

from bridge.checkpoints import Checkpoint, SongShape
from bridge.licences import MIT, SONGGENERATION
from engine.cluster.needs import Needs, home_places, measure_needs
from engine.hardware import Hardware
from engine.song.fit import song_gib

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


def test_a_song_model_counts_whichever_field_of_a_request_will_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It composes and renders: its need is the larger of both sides, or their sum where both find room."""
    parameters = {"transformer": 4_170_000_000, "tables": 860_000_000, "renderer": 773_000_000, "vae": 168_000_000}
    song = Checkpoint(
        "songgeneration-v2-large", "songgeneration", "v2", "x", "x", parameters, "0" * 64, SONGGENERATION,
        accepted=True, song=SongShape(2048, 36, 12, 270.0),
    )  # fmt: skip
    monkeypatch.setattr("engine.cluster.needs.read_register", lambda: (song,))
    home = Hardware("cpu", "CPU", 64.0, 64.0)
    writing, rendering = song_gib(song, "float32", on_cpu=True)
    assert measure_needs(home) == Needs(1, 2 * GIB + round((writing + rendering) * GIB), 0)
    assert measure_needs(CUDA) == Needs(1, 2 * GIB, 1)
    small = Hardware("cpu", "CPU", 4.0, 4.0)
    assert measure_needs(small) == Needs(1, 2 * GIB, 0)


def test_every_machine_holds_at_least_one() -> None:
    assert home_places(Needs(1, 1 << 60, 0)) == 1
