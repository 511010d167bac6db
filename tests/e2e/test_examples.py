"""The examples run as they stand, in a process of their own, against the real engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.songs import eight_bars
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("engine")


def run(*arguments: str) -> str:
    """Standard output of an example that must succeed."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_eight_bars(tmp_path: Path) -> None:
    output = run("examples/eight_bars.py", str(tmp_path))
    assert "done in" in output
    assert len(list(tmp_path.glob("*/take-1/guitar.wav"))) == 1


def test_reroll(tmp_path: Path) -> None:
    request = eight_bars(tmp_path, stems=[{"role": "bass"}, {"role": "keys"}])
    path = tmp_path / "request.json"
    path.write_text(json.dumps(request))
    first = run("-m", "bridge.cli", "render", str(path), "--json").splitlines()
    manifest = Path(json.loads(first[-1])["manifests"][0])
    take = f"{manifest.parent.parent.name}/take-1"
    edited = Path(run("examples/reroll.py", str(path), take, "Chorus", "bass", str(tmp_path), "12").strip())
    assert edited.name == "manifest.json"
    assert (edited.parent / "keys.wav").read_bytes() == (manifest.parent / "keys.wav").read_bytes()
    assert (edited.parent / "bass.wav").read_bytes() != (manifest.parent / "bass.wav").read_bytes()


def test_osc_draft() -> None:
    output = run("examples/osc_draft.py")
    assert "/stembridge/v1/done" in output
    assert output.count("/stembridge/v1/stem") == 2
