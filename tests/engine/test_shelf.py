"""The shelf of renderers: opened by the catalogue's rows, kept, given back where there is no room for two."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from bridge.checkpoints import add_checkpoint, inspect_checkpoint, remove_checkpoint
from bridge.errors import JobError
from engine.diffusion.renderer import DiffusionRenderer
from engine.fitting import Fit
from engine.models import choose_model
from engine.shelf import Shelf, fit2placement
from tests.engine.diffusion.stretches import silent_tick, stretch
from tests.engine.diffusion.tiny_models import save_ace_step, save_stable_audio
from tests.patience import PATIENCE


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two checkpoints of the user's."""
    monkeypatch.setenv("STEMBRIDGE_DATA", str(tmp_path / "data"))
    add_checkpoint(inspect_checkpoint("ace", save_ace_step(tmp_path / "ace")))
    stable = inspect_checkpoint("sa", save_stable_audio(tmp_path / "sa"))
    add_checkpoint(type(stable)(**{f: getattr(stable, f) for f in stable.__struct_fields__} | {"accepted": True}))
    return tmp_path


def take(shelf: Shelf, name: str) -> DiffusionRenderer:
    renderer = shelf.renderer(choose_model("renderer", name))
    assert isinstance(renderer, DiffusionRenderer)
    return renderer


def test_a_renderer_is_opened_once_and_loads_when_it_renders(added: Path) -> None:
    shelf = Shelf()
    renderer = take(shelf, "ace")
    assert renderer.name == "ace"
    assert renderer.weights.startswith("ace (turbo) sha256:")
    assert not renderer.loaded
    (clip,) = renderer.render([stretch()], silent_tick)
    assert take(shelf, "ace") is renderer
    assert renderer.loaded
    renderer.release()
    assert not renderer.loaded
    (again,) = take(shelf, "ace-step").render([stretch()], silent_tick)
    assert np.array_equal(clip.audio, again.audio)


def test_the_guide_needs_none(added: Path) -> None:
    assert Shelf().renderer(choose_model("renderer", "guide")) is None


@pytest.mark.parametrize(("free", "both"), [(1000.0, True), (0.0, False)])
def test_two_are_kept_only_where_there_is_room(added: Path, free: float, both: bool) -> None:
    shelf = Shelf(free=lambda device: free)
    first, second = take(shelf, "ace"), take(shelf, "sa")
    first.open()
    second.open()
    assert first.loaded is both
    assert second.loaded
    assert take(shelf, "ace") is first


def test_one_that_is_at_work_is_not_taken_away(added: Path) -> None:
    """Two threads that load at once must not wait for each other for ever."""
    import threading

    shelf = Shelf(free=lambda device: 0.0)
    first, second = take(shelf, "ace"), take(shelf, "sa")
    first.open()
    working, done = threading.Event(), threading.Event()

    def tick(fraction: float) -> None:
        if fraction > 0.0:
            working.set()
            done.wait(PATIENCE)

    thread = threading.Thread(target=first.render, args=([stretch()], tick))
    thread.start()
    assert working.wait(PATIENCE)
    second.open()
    assert first.loaded
    assert second.loaded
    done.set()
    thread.join(60)
    assert not thread.is_alive()


def test_files_that_changed_or_went_are_an_error(added: Path) -> None:
    shelf = Shelf()
    row = choose_model("renderer", "ace")
    assert shelf.renderer(row) is not None
    config = added / "ace" / "transformer" / "config.json"
    text = config.read_text()
    config.write_text(text.replace('"is_turbo": true', '"is_turbo": false'))
    with pytest.raises(JobError, match="not those that were added"):
        shelf.renderer(row)
    config.write_text(text)
    assert shelf.renderer(row) is not None
    shutil.rmtree(added / "ace")
    with pytest.raises(JobError, match="is gone"):
        shelf.renderer(row)
    remove_checkpoint("ace")
    with pytest.raises(JobError, match="is gone"):
        shelf.renderer(row)


def test_weights_that_do_not_fit_their_configuration_are_an_error(added: Path) -> None:
    config = added / "ace" / "transformer" / "config.json"
    config.write_text(config.read_text().replace('"num_attention_heads": 2', '"num_attention_heads": 4'))
    add_checkpoint(inspect_checkpoint("ace", added / "ace"))
    with pytest.raises(JobError, match="cannot be loaded") as problem:
        take(Shelf(), "ace").render([stretch()], silent_tick)
    assert problem.value.code == "renderer.load"


@pytest.mark.parametrize(("device", "rows"), [("cuda", 4), ("mps", 1), ("cpu", 1)])
def test_rows_share_a_call_where_that_is_worth_its_padding(device: Literal["cuda", "mps", "cpu"], rows: int) -> None:
    assert fit2placement(Fit(device, "float32", 1.0)).rows == rows


def test_the_engine_does_not_pay_for_diffusers_before_it_is_used() -> None:
    import subprocess

    code = "import sys, engine.shelf, engine.pipeline; engine.shelf.Shelf(); print('diffusers' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert told.stdout.strip() == "False"
