"""Every task of the renderers through the command line, with real networks of random weights; a second engine gives the
same bytes; a cancel is heeded within a diffusion step; weights for research only are kept out of work that is sold."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.client import Client
from bridge.messages import Cancel, Cancelled, Progress, Render, decode_shape
from tests.e2e.checkpoints import SAMPLES, digest, engine, four_bars, rendered, stem, stembridge
from tests.engine.diffusion.tiny_models import save_ace_step

SUNG = [{"role": "vocals", "renderer": "ace-step"}]


@pytest.fixture(scope="module")
def networks(added: Path) -> Iterator[Path]:
    """An engine over the tiny networks, one of which may not be sold."""
    folder = save_ace_step(added / "nc-tune", "turbo")
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    done = stembridge("models", "add", "nc-tune", folder, "--accept")
    assert done.returncode == 0, done.stderr
    with engine(added, []):
        yield added


@pytest.fixture(scope="module")
def sung(networks: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digest of a voice that is sung alone: what is on disk is the network's own sound."""
    folder = tmp_path_factory.mktemp("sung")
    take, manifest = rendered(folder, four_bars(folder, stems=SUNG, renderer="guide"))
    files = stem(manifest, "vocals")
    assert files.painted is not None
    assert (files.painted.used, files.painted.tasks) == (True, ("extract",))
    assert soundfile.info(take / files.wav).frames == SAMPLES
    return {"vocals": digest(take / files.wav)}


def test_textures_are_made_of_words_alone(networks: Path, tmp_path: Path) -> None:
    pads = {"pad": "ace-step", "pad 2": "stable-audio-3"}
    told = {"role": "pad", "strength": 1.0, "words": "glass harmonica"}
    wanted = [{**told, "name": name, "renderer": renderer} for name, renderer in pads.items()]
    _, manifest = rendered(tmp_path, four_bars(tmp_path, stems=wanted, renderer="guide"))
    for name, renderer in pads.items():
        painted = stem(manifest, name).painted
        assert painted is not None
        assert (painted.renderer, painted.tasks) == (renderer, ("text2music",))
        assert painted.tries >= 1


def test_a_reference_is_heard_in_a_voice(networks: Path, sung: dict[str, str], tmp_path: Path) -> None:
    """A mono one, at another rate."""
    clip = tmp_path / "reference.wav"
    soundfile.write(clip, np.random.default_rng(1).normal(0.0, 0.1, 2 * 22_050), 22_050)
    request = four_bars(tmp_path, stems=SUNG, renderer="guide")
    request["arrangement"]["references"] = [{"audio": str(clip), "stems": ["vocals"]}]
    take, manifest = rendered(tmp_path, request)
    painted = stem(manifest, "vocals").painted
    assert painted is not None
    assert (painted.used, painted.tasks) == (True, ("extract",))
    assert digest(take / "vocals.wav") != sung["vocals"]


def test_an_edit_of_a_section_repaints_it(networks: Path, tmp_path: Path) -> None:
    request = four_bars(tmp_path, stems=[{"role": "bass"}, {"role": "keys"}], renderer="guide")
    before, _ = rendered(tmp_path, request)
    for renderer in ("ace-step", "stable-audio-3"):
        edit = four_bars(tmp_path, stems=[{"role": "bass", "renderer": renderer}, {"role": "keys"}], renderer="guide")
        scope = {"take": f"{before.parent.name}/take-1", "sections": ["Chorus"], "stems": ["bass"], "notes": "keep"}
        after, manifest = rendered(tmp_path, {**edit, "scope": scope})
        painted = stem(manifest, "bass").painted
        assert painted is not None
        assert (painted.renderer, painted.tasks) == (renderer, ("repaint",))
        assert digest(before / "keys.wav") == digest(after / "keys.wav")
        old, new = (soundfile.read(folder / "bass.wav", dtype="float32")[0] for folder in (before, after))
        kept = SAMPLES // 2 - 1000
        assert old[:kept].tobytes() == new[:kept].tobytes()


def test_what_may_not_be_sold_is_refused_for_work_that_is(networks: Path, tmp_path: Path) -> None:
    request = four_bars(tmp_path, stems=[{"role": "bass"}], renderer="nc-tune", commercial=True)
    path = tmp_path / "request.json"
    path.write_text(json.dumps(request))
    done = stembridge("render", path, "--json")
    assert done.returncode == 2
    assert "renderer.licence" in done.stdout
    shown = json.loads(stembridge("models", "--json").stdout.splitlines()[-1])
    row = next(row for row in shown["models"] if row["name"] == "nc-tune")
    assert not row["commercial"]


def test_a_cancel_is_heeded_during_the_steps(networks: Path, tmp_path: Path) -> None:
    stems = [{"role": role} for role in ("bass", "keys", "pad", "strings", "lead", "guitar")]
    message = decode_shape(json.dumps(four_bars(tmp_path, stems=stems, renderer="ace-step")))
    assert isinstance(message, Render)
    asked = 0.0
    events = []
    with Client.connect(start=False) as client:
        for event in client.request(message):
            events.append(event)
            if not asked and isinstance(event, Progress) and event.stage.startswith("render") and event.fraction > 0:
                client.send(Cancel(message.job))
                asked = time.perf_counter()
    waited = time.perf_counter() - asked
    print(f"cancelled during the diffusion steps: acknowledged after {waited * 1000:.0f} ms (promised: 300 ms)")
    assert isinstance(events[-1], Cancelled)
    assert not list(tmp_path.rglob("*.wav"))


def test_another_process_gives_the_same_bytes(networks: Path, sung: dict[str, str], tmp_path: Path) -> None:
    stopped = stembridge("engine", "stop")
    assert stopped.returncode == 0, stopped.stderr
    with engine(networks, []):
        take, _ = rendered(tmp_path, four_bars(tmp_path, stems=SUNG, renderer="guide"))
        assert digest(take / "vocals.wav") == sung["vocals"]
