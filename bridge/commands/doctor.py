"""`stembridge doctor`: is everything here that stembridge needs, and does it work? Says what to do where not."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from bridge.client import engine_status
from bridge.errors import StembridgeError
from bridge.install.health import Finding, any_installed, engine_findings, script_findings
from bridge.install.places import Surroundings
from bridge.install.running import running_daws
from bridge.paths import data_folder
from bridge.transport.endpoint import is_locked, read_endpoint, runtime_folder

PACKAGES = (
    "torch", "transformers", "diffusers", "accelerate", "safetensors", "msgspec", "pyzmq", "python-osc", "mido",
    "numpy", "scipy", "soundfile", "soxr", "pyloudnorm", "tinysoundfont", "rich", "platformdirs",
    "pillow", "python-stretch", "pyyaml", "tokenizers", "psutil",
)  # fmt: skip
GIGABYTE = 1 << 30


def run(arguments: argparse.Namespace) -> int:
    """Prints one line per finding; exit code 1 when something is missing or wrong."""
    findings = [finding for check in CHECKS for finding in check()]
    if arguments.json:
        print(json.dumps([{"what": what, "ok": ok, "detail": detail} for what, ok, detail in findings]))
    else:
        for what, ok, detail in findings:
            print(f"{'ok  ' if ok else 'BAD '}  {what:<16} {detail}")
    return 0 if all(ok for _, ok, _ in findings) else 1


def python_version() -> list[Finding]:
    """Python 3.11 or newer."""
    return [("python", sys.version_info >= (3, 11), sys.version.split()[0])]


def packages() -> list[Finding]:
    """Every package that the engine imports, with its version."""
    found: list[Finding] = []
    for name in PACKAGES:
        try:
            found.append((name, True, version(name)))
        except PackageNotFoundError:
            extra = " --no-deps" if name == "tinysoundfont" else ""
            found.append((name, False, f"missing: pip install{extra} {name}"))
    return found


def models() -> list[Finding]:
    """The shipped sounds and weights: the engine checks itself in a process of its own."""
    asked = subprocess.run([sys.executable, "-m", "engine.selfcheck"], capture_output=True, text=True, check=False)
    try:
        return [(what, ok, detail) for what, ok, detail in json.loads(asked.stdout)]
    except ValueError:
        last = asked.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return [("engine code", False, last[0])]


def folders() -> list[Finding]:
    """The data folder can be written and has room."""
    folder = data_folder()
    home = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(home).free
    writable = os.access(home, os.W_OK)
    detail = f"{folder} ({free / GIGABYTE:.1f} GB free)"
    return [
        ("data folder", writable and free > GIGABYTE, detail if writable else f"{home} cannot be written"),
        ("temporary files", os.access(tempfile.gettempdir(), os.W_OK), tempfile.gettempdir()),
    ]


def engine() -> list[Finding]:
    """The engine that runs, or that the installed DAW scripts wait for."""
    runtime = runtime_folder()
    try:
        endpoint = read_endpoint(runtime)
    except StembridgeError as problem:
        return [("engine", False, f"{problem} Start stembridge as the user who works in the DAW.")]
    return engine_findings(
        endpoint,
        alive=is_locked(runtime),
        answers=engine_status() is not None,
        needed=any_installed(Surroundings.here()),
        runtime=runtime,
        data=data_folder(),
    )


def daw_scripts() -> list[Finding]:
    """The script in every DAW on this computer."""
    return script_findings(Surroundings.here(), running_daws)


def demo_song() -> list[Finding]:
    """The demo's files: a checkout has them, an installed package does not."""
    from bridge.commands.demo import DEMO

    if not (DEMO.parents[2] / "pyproject.toml").is_file():
        return [("demo song", True, "comes with a checkout of the project only")]
    return [("demo song", DEMO.is_file(), str(DEMO))]


CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    python_version,
    packages,
    models,
    folders,
    engine,
    daw_scripts,
    demo_song,
)
