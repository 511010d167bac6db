"""The rules of the house, read off the imports: who may know whom, and what may never come in."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAGES = ("checks", "conform", "diffusion", "grooves", "lelm", "listen", "match", "perform", "sampler")
SHARED = {
    "engine.hands", "engine.llama", "engine.rendering", "engine.report", "engine.score", "engine.shipped",
    "engine.tape", "engine.trace",
}  # fmt: skip
"""What every stage may know besides itself and `bridge`."""
HEAVY = {"engine", "torch", "transformers", "diffusers"}
NOT_AT_IMPORT = {"numpy", "soundfile", "mido", "zmq", "rich", "scipy", "pythonosc"}
REFUSED = {
    "pedalboard", "matchering", "dawdreamer", "essentia", "madmom", "piper", "phonemizer", "torchaudio", "pyaudio",
}  # fmt: skip


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Dotted names that a file imports; at its top level only, those outside functions and TYPE_CHECKING blocks."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if top_level_only and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.If):
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                found.add(child.module)
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_bridge_knows_neither_the_engine_nor_anything_heavy() -> None:
    for path in files("bridge"):
        heavy = {name for name in imports(path) if name.split(".")[0] in HEAVY}
        assert not heavy, f"{path} imports {heavy}"


def test_what_the_command_line_needs_at_once_is_light() -> None:
    for name in ("cli", "errors", "messages", "arrangement", "timeline", "validate", "paths", "client", "midifile"):
        heavy = {
            i for i in imports(ROOT / f"bridge/{name}.py", top_level_only=True) if i.split(".")[0] in NOT_AT_IMPORT
        }
        assert not heavy, f"bridge/{name}.py imports {heavy} at import time"


@pytest.mark.parametrize("stage", STAGES)
def test_stages_do_not_know_each_other(stage: str) -> None:
    for path in files(f"engine/{stage}"):
        others = {
            name
            for name in imports(path)
            if name.split(".")[0] == "engine" and not name.startswith(f"engine.{stage}") and name not in SHARED
        }
        assert not others, f"{path} imports {others}"


def test_refused_packages_stay_out() -> None:
    for path in [*files("bridge"), *files("engine")]:
        refused = {name for name in imports(path) if name.split(".")[0] in REFUSED}
        assert not refused, f"{path} imports {refused}"


def test_every_file_says_what_it_is_and_stays_readable() -> None:
    for path in [*files("bridge"), *files("engine")]:
        text = path.read_text()
        assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
        assert text.count("\n") <= 400, f"{path} is longer than 400 lines"
