"""Runs the scripts' pure modules in the plain Lua interpreters."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE

SCRIPTS = Path(__file__).parents[2] / "daw_scripts" / "ardour"

PRELUDE = """
use = assert(loadfile([[%s/stembridge/use.lua]]))()([[%s/]])
json = use("json")
input = json.decode(io.read("a"))
local function main()
%s
end
io.write(json.encode({ answer = main() }))
"""

INTERPRETERS = [
    pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed"))
    for name in ("lua5.3", "lua5.4")
]


def run_lua(interpreter: str, body: str, given: Any = None, *, scripts: Path = SCRIPTS) -> Any:
    """Runs the body of a Lua function that knows `use`, `json` and `input` (`given`); returns its answer.

    `scripts` is the DAW's folder of scripts, whose modules `use` gives.

    Raises AssertionError with Lua's own words when it fails.
    """
    done = subprocess.run(
        [interpreter, "-e", PRELUDE % (scripts, scripts, body)],
        input=json.dumps(given),
        text=True,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout).get("answer")
