"""The user's checkpoints in the end-to-end tests: commands, engines, requests of four bars."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridge.client import start_engine, stop_engine
from bridge.handover.manifest import Manifest, StemFiles, read_manifest
from tests.e2e.songs import eight_bars
from tests.patience import PATIENCE

COMMAND = [sys.executable, "-m", "bridge.cli"]
DOUBLES = ["--pipeline", "tests.engine.conform.doubles:DoublePipeline"]
SAMPLES = 8 * 44_100


def stembridge(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One finished command."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@contextmanager
def engine(added: Path, options: list[str], answer: str = "") -> Iterator[None]:
    """A running engine; `answer`: what the doubles do."""
    os.environ["STEMBRIDGE_TEST_ANSWER"] = answer
    start_engine(roots=[added], options=options)
    try:
        yield
    finally:
        stop_engine()
        os.environ.pop("STEMBRIDGE_TEST_ANSWER", None)  # engines may be nested: one stops the other


def four_bars(out: Path, **changes: Any) -> dict[str, Any]:
    """Two bars of verse and two of chorus at 120 bpm and 44.1 kHz."""
    request = eight_bars(out, **changes)
    request["arrangement"]["sample_rate"] = 44_100
    request["arrangement"]["clock"] = [[0.0, 0.0], [16.0, 8.0]]
    request["arrangement"]["sections"] = [
        {"name": "Verse", "label": "verse", "start": 0.0, "end": 8.0},
        {"name": "Chorus", "label": "chorus", "start": 8.0, "end": 16.0, "lyrics": "all of us sing"},
    ]
    return request


def rendered(folder: Path, request: dict[str, Any], *options: str) -> tuple[Path, Manifest]:
    """The one take of a request by the command line."""
    path = folder / f"{request['job']}.json"
    path.write_text(json.dumps(request))
    done = stembridge("render", path, "--json", *options)
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    take = Path(json.loads(done.stdout.splitlines()[-1])["manifests"][0]).parent
    return take, read_manifest(take)


def stem(manifest: Manifest, name: str) -> StemFiles:
    return next(s for s in manifest.stems if s.name == name)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


MIXED = [
    {"role": "drums"},
    {"role": "bass", "renderer": "ace-step"},
    {"role": "keys", "renderer": "stable-audio-3"},
]
