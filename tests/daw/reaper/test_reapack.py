"""The ReaPack package: well-formed, complete, of this project's version, and running from where ReaPack puts it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from bridge import VERSION
from bridge.messages import PROTOCOL
from tests.daw.lua import INTERPRETERS
from tests.daw.reaper.rig import SCRIPTS, Reaper

ADDRESS = "https://files.example/stembridge/v1/daw_scripts"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reapack", SCRIPTS.parent / "reapack.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reapack"] = module
    spec.loader.exec_module(module)
    return module


reapack = load()


@pytest.fixture(scope="module")
def index() -> ElementTree.Element:
    return ElementTree.fromstring(reapack.build_index(ADDRESS))


def test_the_index_is_one_package_of_this_version(index: ElementTree.Element) -> None:
    assert (index.tag, index.get("version"), index.get("name")) == ("index", "1", "stembridge")
    (package,) = index.findall("./category/reapack")
    assert (package.get("type"), package.get("name")) == ("script", "stembridge_window.lua")
    (version,) = package.findall("version")
    assert version.get("name") == VERSION
    assert version.get("author")
    assert version.findtext("changelog")


def test_every_source_is_a_file_of_the_tree_and_every_file_is_a_source(index: ElementTree.Element) -> None:
    sources = index.findall(".//source")
    paths = set()
    for source in sources:
        assert source.text is not None
        assert source.text.startswith(ADDRESS + "/")
        path = SCRIPTS.parent / unquote(source.text.removeprefix(ADDRESS + "/"))
        assert path.is_file(), path
        paths.add(path.resolve())
    lua = {path.resolve() for path in SCRIPTS.rglob("*.lua")}
    assert {path for path in lua if path not in paths} == set(), "a script that ReaPack would not install"
    targets = [source.get("file", "stembridge_window.lua") for source in sources]
    assert len(set(targets)) == len(targets)
    assert all(not target.startswith(("/", ".")) for target in targets)


def test_every_action_is_registered_and_nothing_else(index: ElementTree.Element) -> None:
    actions = {
        path.name
        for path in SCRIPTS.glob("stembridge_*.lua")
        if not re.search(r"^-- @noindex", path.read_text(), re.MULTILINE)
    }
    main = {source.get("file", "stembridge_window.lua") for source in index.findall(".//source[@main='main']")}
    assert main == actions
    assert {"stembridge_generate.lua", "stembridge_cancel.lua", "stembridge_window.lua"} <= main


def test_all_versions_are_the_projects() -> None:
    for path in SCRIPTS.glob("*.lua"):
        for found in re.findall(r"^-- @version (\S+)", path.read_text(), re.MULTILINE):
            assert found == VERSION, path
    stamp = (SCRIPTS / "stembridge" / "version.lua").read_text()
    assert re.search(r'version = "([^"]+)", protocol = (\d+)', stamp) is not None
    assert f'version = "{VERSION}", protocol = {PROTOCOL}' in stamp


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_the_installed_package_runs(interpreter: str, index: ElementTree.Element, tmp_path: Path) -> None:
    """As ReaPack lays it out: Scripts/<index>/<category>/<file>, without the tree around it."""
    home = tmp_path / "Scripts" / "stembridge" / "stembridge"
    for source in index.findall(".//source"):
        target = home / source.get("file", "stembridge_window.lua")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SCRIPTS.parent / unquote(str(source.text).removeprefix(ADDRESS + "/")), target)
    with Reaper(interpreter, "7.62", tmp_path / "home", {"STEMBRIDGE_DATA": str(tmp_path)}) as reaper:
        reaper.do("keep.p = user.open(file) user.region(keep.p, 'Verse', 0, 4)", file=tmp_path / "song.rpp")
        for action in ("generate", "window"):
            reaper.do("fake.run(path)", path=home / f"stembridge_{action}.lua")
            reaper.check_crashes()
        reaper.tick(30)
        assert reaper.do("return fake.running()") == ["stembridge_background.lua", "stembridge_window.lua"]
        assert "not running" in reaper.do("return fake.ext.get('stembridge', 'status')")
        reaper.check()


def damaged(folder: Path, change: str, to: str) -> Path:
    home = folder / "reaper"
    shutil.copytree(SCRIPTS, home)
    shutil.copytree(SCRIPTS.parent / "lua", folder / "lua")
    main = home / "stembridge_window.lua"
    text = main.read_text()
    assert change in text
    main.write_text(text.replace(change, to, 1))
    return home


@pytest.mark.parametrize(
    ("change", "to", "why"),
    [
        ("stembridge_reroll.lua", "stembridge_rerol.lua", "no such file"),
        ("@version", "@versoin", "no @version"),
        ("../lua/*.lua > lua/", "../lua/*.lua", "outside of the package"),
        ("stembridge_reroll.lua", "stembridge_cancel.lua", "go to one place"),
        ("-- @author", "-- @version 9\n-- @author", "stands twice"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, change: str, to: str, why: str) -> None:
    with pytest.raises(reapack.PackageError, match=why):
        reapack.build_index(ADDRESS, damaged(tmp_path, change, to))


def test_the_command(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS.parent / "reapack.py")]
    subprocess.run([*command, ADDRESS, str(tmp_path / "index.xml")], check=True)
    assert (tmp_path / "index.xml").read_bytes() == reapack.build_index(ADDRESS)
    refused = subprocess.run(
        [*command, "http://files.example", str(tmp_path / "b")], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "over https" in refused.stderr
