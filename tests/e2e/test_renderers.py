"""The user's checkpoints through the command line, with real networks of random weights: added, chosen, cancelled.

Random weights make no music: the guide must stand in and the take must say so.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.e2e.checkpoints import COMMAND, MIXED, SAMPLES, digest, engine, four_bars, rendered, stem, stembridge
from tests.patience import PATIENCE


@pytest.fixture(scope="module")
def networks(added: Path) -> Iterator[Path]:
    """An engine with the real renderers over tiny random networks."""
    with engine(added, []):
        yield added


def test_random_networks_land_as_their_guides_and_the_take_says_so(networks: Path, tmp_path: Path) -> None:
    take, manifest = rendered(tmp_path, four_bars(tmp_path, stems=MIXED, renderer="guide"))
    assert [s.name for s in manifest.stems] == ["drums", "bass", "keys"]
    assert stem(manifest, "drums").painted is None
    for name, renderer, task in (("bass", "ace-step", "lego"), ("keys", "stable-audio-3", "cover")):
        files = stem(manifest, name)
        painted = files.painted
        assert painted is not None
        assert (painted.renderer, painted.used, painted.tries, painted.tasks) == (renderer, False, 3, (task,))
        assert painted.weights
        assert len(set(painted.refused)) == 3
        assert files.renderer == "guide"
        assert f"stands in for {renderer}" in files.checks.repaired[-1]
        assert any(text.startswith(f"{name}: ") and "stands in" in text for text in manifest.warnings)
        assert soundfile.info(take / files.wav).frames == SAMPLES
    sides = {name: soundfile.read(take / f"{name}.wav")[0].T for name in ("bass", "keys")}
    assert np.array_equal(*sides["bass"]), "a dry bass in the middle: what the renderer was given was mono"
    assert not np.array_equal(*sides["keys"]), "and here it was stereo"
    again, _ = rendered(tmp_path, four_bars(tmp_path, stems=MIXED, renderer="guide"))
    assert {n: digest(take / n) for n in ("drums.wav", "bass.wav", "keys.wav")} == {
        n: digest(again / n) for n in ("drums.wav", "bass.wav", "keys.wav")
    }


def test_a_voice_comes_from_a_network_that_sings(networks: Path, tmp_path: Path) -> None:
    wanted = [{"role": "keys"}, {"role": "vocals", "renderer": "ace-step"}]
    take, manifest = rendered(tmp_path, four_bars(tmp_path, stems=wanted, renderer="guide"))
    files = stem(manifest, "vocals")
    assert files.painted is not None
    assert (files.renderer, files.painted.tasks) == ("ace-step", ("lego",))
    assert soundfile.info(take / files.wav).frames == SAMPLES
    assert any("not measured" in text for text in files.warnings)
    refused = stembridge("models")
    assert "ace-step" in refused.stdout


def test_an_interrupted_render_stops_at_a_diffusion_step(networks: Path, tmp_path: Path) -> None:
    stems = [{"role": role} for role in ("bass", "keys", "pad", "strings", "lead", "guitar")]
    request = four_bars(tmp_path / "out", stems=stems, renderer="ace-step")
    path = tmp_path / "request.json"
    path.write_text(json.dumps(request))
    running = subprocess.Popen([*COMMAND, "render", str(path), "--json"], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    for line in running.stdout:
        event = json.loads(line)
        assert event["type"] in ("accepted", "progress"), "no stem was there yet"
        if event["type"] == "progress" and event["stage"].startswith("render"):
            break
    os.kill(running.pid, signal.SIGINT)
    assert running.wait(timeout=PATIENCE) == 130
    assert not list((tmp_path / "out").rglob("*.wav"))
