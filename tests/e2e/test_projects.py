"""From a project file to a take and back: what the engine hands over, rendered again from its own project files."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from lxml import etree

from bridge.handover.manifest import read_manifest
from tests.e2e.songs import eight_bars
from tests.patience import PATIENCE

pytestmark = pytest.mark.usefixtures("engine")
SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parents[1] / "data" / "dawproject" / "Project.xsd"))


def stembridge(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bridge.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def take_of(done: subprocess.CompletedProcess[str]) -> Path:
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout.splitlines()[-1])["manifests"][0]).parent


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("song")
    path = folder / "request.json"
    path.write_text(json.dumps(eight_bars(folder / "out", stems=[{"role": "keys"}, {"role": "bass"}])))
    return take_of(stembridge("render", path, "--json"))


def test_a_take_has_a_valid_dawproject_that_its_manifest_names(take: Path) -> None:
    manifest = read_manifest(take)
    with zipfile.ZipFile(take / manifest.files["dawproject"]) as archive:
        project = etree.fromstring(archive.read("project.xml"))
    SCHEMA.assertValid(project)
    assert [f.get("path") for f in project.iter("File")] == ["keys.wav", "bass.wav", "mix.wav"]
    assert len(list(project.iter("Note"))) > 20
    assert [m.get("name") for m in project.iter("Marker")] == ["Verse", "Chorus", "end"]


@pytest.mark.parametrize("kind", ["session.dawproject", "session.rpp"])
def test_its_projects_are_songs_to_render(take: Path, tmp_path: Path, kind: str) -> None:
    done = stembridge("render", take / kind, "--out", tmp_path / "out", "--stems", "drums", "--seed", "5", "--json")
    again = read_manifest(take_of(done))
    first = read_manifest(take)
    assert [(s.name, s.label, s.start_sample, s.samples) for s in again.sections] == [
        (s.name, s.label, s.start_sample, s.samples) for s in first.sections
    ], "on the very samples"
    assert [c.given for c in again.chords].count(True) > 0, "its notes were heard"
    assert 'note: "mix" is muted and was left out.' in done.stderr


def test_packing_makes_one_file_of_it(take: Path, tmp_path: Path) -> None:
    done = stembridge("pack", take, "--out", tmp_path / "packed.dawproject")
    assert done.returncode == 0, done.stderr
    assert "3 sounds inside" in done.stdout
    assert stembridge("pack", take, "--out", tmp_path / "packed.dawproject").returncode == 3, "never over a file"
    assert stembridge("pack", tmp_path).returncode == 2
    rendered = stembridge("render", tmp_path / "packed.dawproject", "--stems", "bass", "--json")
    assert take_of(rendered).is_relative_to(tmp_path / "stembridge")


def test_a_broken_project_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "song.dawproject").write_bytes(b"PK")
    done = stembridge("render", tmp_path / "song.dawproject")
    assert done.returncode == 2
    assert "no ZIP" in done.stderr
