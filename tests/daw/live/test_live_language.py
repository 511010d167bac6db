"""What holds for every file of the Live script: Python 3.7, nothing but the standard library, readable."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge import VERSION
from bridge.messages import PROTOCOL
from bridge.transport.endpoint import ENDPOINT
from bridge.transport.osc_table import ROOT as OSC_ROOT
from bridge.transport.osc_table import osc_answers, osc_table
from tests.daw.live.conftest import SCRIPTS

FILES = sorted((SCRIPTS / "stembridge").glob("*.py"))
STANDARD = {
    "__future__", "bisect", "contextlib", "errno", "json", "math", "os", "re", "select", "socket", "struct", "sys",
    "tempfile", "time", "traceback", "typing", "unicodedata", "uuid", "zlib",
}  # fmt: skip
"""Modules that the Python inside Live has."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_python_3_7_and_the_standard_library(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    only_for_types = [node for block in blocks for node in block.body]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= STANDARD | {"Live"}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module in STANDARD or node in only_for_types
    assert ast.get_docstring(tree)
    assert path.read_text(encoding="utf-8").count("\n") <= 400


def test_vermin_finds_nothing_newer_than_3_7() -> None:
    pytest.importorskip("vermin")
    command = Path(sys.executable).with_name("vermin")
    done = subprocess.run(
        [command, "-t=3.7-", "--no-tips", "--violations", *FILES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_it_runs_under_python_3_7_itself() -> None:
    """Not only parsed: every module is imported, and the pure ones do their work."""
    found = [shutil.which("python3.7"), *map(str, Path.home().glob(".pyenv/versions/3.7.*/bin/python"))]
    works = [
        one for one in found if one and not subprocess.run([one, "-V"], capture_output=True, check=False).returncode
    ]
    if not works:
        pytest.skip("there is no python3.7 here")
    names = ", ".join(f"stembridge.{path.stem}" for path in FILES if path.stem != "__init__")
    code = f"""
import sys
assert sys.version_info[:2] == (3, 7)
import {names}
from stembridge import als, marks, memory, osc, smf, tempo, wishes, settings
assert osc.decode(osc.encode("/a", "sd", ["x", 1.5])) == [("/a", ["x", 1.5])]
assert smf.smf2notes(smf.notes2smf([smf.Note(1.0, 2.0, 60, 90)], "x", 120.0, (4, 4))) == [(1.0, 2.0, 60, 90)]
assert wishes.text2wish("/gen drums chorus", wishes.Names()).stems == ("drums",)
assert marks.locators2sections([marks.Locator(0.0, "Intro")], 8.0)[0]["label"] == "intro"
assert len(tempo.events2pairs([als.TempoEvent(0.0, 100.0, False), als.TempoEvent(4.0, 120.0, False)], 8.0)) > 16
assert settings.merged(settings.DEFAULTS, {{"seed": 3}})[0]["seed"] == 3
kept = {{}}
class Song:
    def set_data(self, key, value): kept[key] = value
    def get_data(self, key, default): return kept.get(key, default)
take = memory.Take("j", 1, "p", 0, [memory.Stem("bass", "bass")], 0.0, 4.0)
memory.save(Song(), memory.Memory((take,), memory.Running("j", "take", "p", []), {{}}))
assert memory.load(Song()).take == take
print("fine")
"""
    done = subprocess.run(
        [works[0], "-B", "-c", code],
        capture_output=True,
        text=True,
        cwd=SCRIPTS,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.strip() == "fine", done.stderr


def test_versions_and_names_are_those_of_the_engine() -> None:
    import stembridge
    from stembridge import engine

    assert (stembridge.VERSION, stembridge.PROTOCOL) == (VERSION, PROTOCOL)
    assert (engine.ROOT, engine.ENDPOINT) == (OSC_ROOT, ENDPOINT)
    taken = {row.address: row for row in osc_table()}
    assert taken[f"{OSC_ROOT}/request"].takes[1].name == "json"
    assert {f"{OSC_ROOT}/{name}" for name in ("request_file", "cancel", "ping")} <= set(taken)
    said = {answer.address: answer.tags for answer in osc_answers()}
    assert {name: said[f"{OSC_ROOT}/{name}"] for name in ("accepted", "progress", "note", "stem", "done")} == {
        "accepted": "sif", "progress": "ssff", "note": "ss", "stem": "ss", "done": "ss",
    }  # fmt: skip
    assert {name: said[f"{OSC_ROOT}/{name}"] for name in ("failed", "cancelled", "error")} == {
        "failed": "ssss", "cancelled": "s", "error": "ssss",
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR")
def test_the_endpoint_file_is_sought_where_the_engine_puts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from platformdirs.macos import MacOS
    from platformdirs.unix import Unix
    from stembridge.engine import endpoint_folders

    monkeypatch.delenv("STEMBRIDGE_RUNTIME", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert endpoint_folders() == [MacOS("stembridge", appauthor=False).user_runtime_dir]
    monkeypatch.setattr(sys, "platform", "linux")
    assert endpoint_folders()[0].startswith("/run/user/")
    assert Unix("stembridge", appauthor=False).user_runtime_dir.endswith("stembridge")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "C:/Users/me/AppData/Local")
    assert [folder.replace("\\", "/") for folder in endpoint_folders()] == ["C:/Users/me/AppData/Local/Temp/stembridge"]
    monkeypatch.setenv("STEMBRIDGE_RUNTIME", "/elsewhere")
    assert endpoint_folders() == ["/elsewhere"]
    assert endpoint_folders("/chosen") == ["/chosen"]
