"""The user's checkpoints through the whole public road: added on the command line, listed, rendered with, forgotten.

The checkpoints are real pipelines of tiny size with random weights: what they answer is no music, so the checks must
refuse it, put the guide in its place and say so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bridge.cli import main
from bridge.client import Client
from bridge.messages import Cancel, Cancelled, Done, Event, Failed, Progress, Render, decode_shape
from tests.e2e.songs import eight_bars
from tests.engine.diffusion.tiny_models import save_ace_step, save_stable_audio

NAMES = ("ace-turbo", "ace-base", "sa")


@pytest.fixture(scope="module")
def added(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Three checkpoints, added while the engine runs."""
    del engine
    root = tmp_path_factory.mktemp("weights")
    assert main(["models", "add", "ace-turbo", str(save_ace_step(root / "turbo", "turbo"))]) == 0
    assert main(["models", "add", "ace-base", str(save_ace_step(root / "base", "base"))]) == 0
    assert main(["models", "add", "sa", str(save_stable_audio(root / "sa")), "--accept"]) == 0
    yield
    for name in NAMES:
        main(["models", "remove", name])


def ask(request: dict[str, Any]) -> list[Event]:
    message = decode_shape(json.dumps(request))
    assert isinstance(message, Render)
    with Client.connect(start=False) as client:
        return list(client.request(message))


def short(out: Path, **changes: Any) -> dict[str, Any]:
    """Two bars of verse, two of chorus."""
    request = eight_bars(out, **changes)
    for section, (start, end) in zip(request["arrangement"]["sections"], ((0.0, 8.0), (8.0, 16.0)), strict=True):
        section.update(start=start, end=end)
    return request


def take_of(events: list[Event]) -> tuple[Path, dict[str, Any]]:
    assert isinstance(events[-1], Done), events[-1]
    path = Path(events[-1].manifests[0])
    return path.parent, json.loads(path.read_text())


@pytest.mark.usefixtures("added")
def test_the_running_engine_lists_them_and_says_why_auto_takes_which() -> None:
    with Client.connect(start=False) as client:
        rows = {row.name: row for row in client.models().models if row.kind == "renderer"}
    assert set(NAMES) <= set(rows)
    assert sum(row.auto for row in rows.values()) == 1
    assert all(rows[name].path and rows[name].memory_gib > 0 for name in NAMES)
    assert "revenue" in rows["sa"].note
    assert all("'auto'" in row.note for name, row in rows.items() if name in NAMES)


@pytest.fixture(scope="module")
def mixed(added: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Event], Path]:
    """A take with another renderer for every stem."""
    out = tmp_path_factory.mktemp("mixed")
    stems = [
        {"role": "drums", "renderer": "guide"},
        {"role": "bass", "renderer": "ace-turbo"},
        {"role": "keys", "renderer": "sa", "strength": 0.5, "words": "bright upright piano"},
        {"role": "vocals", "renderer": "ace-base"},
    ]
    request = short(out, stems=stems, renderer="guide", job="mixed")
    request["arrangement"]["sections"][1]["lyrics"] = "hold the line"
    return ask(request), out


def test_every_stem_has_its_own_renderer_and_the_manifest_says_what_became_of_it(
    mixed: tuple[list[Event], Path],
) -> None:
    folder, manifest = take_of(mixed[0])
    stems = {stem["name"]: stem for stem in manifest["stems"]}
    samples = {soundfile.info(folder / stem["wav"]).frames for stem in stems.values()}
    assert samples == {manifest["samples"]}
    stages = {event.stage for event in mixed[0] if isinstance(event, Progress)}
    assert any(stage.startswith("render: ") for stage in stages)
    assert stems["drums"]["painted"] is None
    for name, renderer in (("bass", "ace-turbo"), ("keys", "sa")):
        painted = stems[name]["painted"]
        assert (painted["renderer"], painted["tasks"]) == (renderer, ["cover"])
        assert painted["used"] or any("guide stands in" in text for text in stems[name]["warnings"])
        audio, _ = soundfile.read(folder / stems[name]["wav"])
        assert np.isfinite(audio).all()
        assert np.abs(audio).max() > 0.01
        assert stems[name]["checks"]["onset_ms_p99"] is None or stems[name]["checks"]["onset_ms_p99"] <= 10.0


def test_an_edit_paints_only_its_section(mixed: tuple[list[Event], Path], added: None) -> None:
    folder, manifest = take_of(mixed[0])
    stems = [
        {"role": "drums", "renderer": "guide"},
        {"role": "bass", "renderer": "ace-turbo"},
        {"role": "keys", "renderer": "sa"},
    ]
    scope = {"take": "mixed/take-1", "sections": ["Chorus"], "stems": ["bass", "keys"]}
    request = short(mixed[1], stems=stems, job="edited", scope=scope, seed=11)
    after, edited = take_of(ask(request))
    border = next(s["start_sample"] for s in manifest["sections"] if s["name"] == "Chorus") - manifest["start_sample"]
    for name in ("bass", "keys"):
        old, rate = soundfile.read(folder / f"{name}.wav")
        new, _ = soundfile.read(after / f"{name}.wav")
        before = border - math.ceil(0.02 * rate)
        assert np.array_equal(old[:before], new[:before])
        assert old.shape == new.shape
    assert edited["based_on"] == "mixed/take-1"


@pytest.mark.usefixtures("added")
def test_a_voice_is_sung_beside_the_band_and_again_with_the_same_bytes(tmp_path: Path) -> None:
    """A voice has no guide that could stand in: what is on disk is the network's own sound."""
    stems = [{"role": "bass", "renderer": "guide"}, {"role": "vocals", "renderer": "ace-base"}]
    sounds = []
    for n, words in enumerate(("hold the line", "hold the line", "let it go")):
        request = short(tmp_path / str(n), stems=stems, job=f"voice-{n}")
        request["arrangement"]["sections"][1]["lyrics"] = words
        folder, manifest = take_of(ask(request))
        voice = manifest["stems"][1]
        assert (voice["renderer"], voice["painted"]["used"], voice["painted"]["tasks"]) == ("ace-base", True, ["lego"])
        assert voice["painted"]["weights"].startswith("base (base) sha256:")
        assert soundfile.info(folder / voice["wav"]).frames == manifest["samples"]
        sounds.append((folder / voice["wav"]).read_bytes())
    assert sounds[0] == sounds[1]
    assert sounds[0] != sounds[2]


@pytest.mark.usefixtures("added")
def test_a_rendering_can_be_cancelled(tmp_path: Path) -> None:
    request = eight_bars(tmp_path, stems=[{"role": "bass"}, {"role": "keys"}], renderer="ace-base")
    message = decode_shape(json.dumps(request))
    assert isinstance(message, Render)
    last: Event | None = None
    with Client.connect(start=False) as client:
        for last in client.request(message):
            if isinstance(last, Progress) and last.stage.startswith("render") and last.fraction > 0:
                client.send(Cancel(message.job))
    assert isinstance(last, Cancelled)
    assert not list(tmp_path.rglob("*.wav"))


@pytest.mark.usefixtures("added")
def test_a_renderer_that_is_not_there_is_refused_by_its_field(tmp_path: Path) -> None:
    request = short(tmp_path, stems=[{"role": "bass"}, {"role": "keys", "renderer": "ace-2"}])
    (refused,) = [event for event in ask(request) if isinstance(event, Failed)]
    assert (refused.code, refused.field, refused.refused) == ("renderer.unknown", "stems[1].renderer", True)
