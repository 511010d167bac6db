"""A cluster that the engine has started lets in only who has its token."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil

from tests.engine.rig import echo_engine
from tests.patience import PATIENCE

INTRUDE = """
import sys, ray
ray.init(address=sys.argv[1], logging_level="ERROR", configure_logging=False)
print("in", ray.get(ray.remote(lambda: 7).remote()))
"""


def test_a_stranger_cannot_run_programs_in_the_engine_s_cluster(tmp_path: Path) -> None:
    with echo_engine(tmp_path, "--ray", "auto", "--actors", "1") as endpoint:
        found = re.search(r"started a cluster on this machine, (\S+?:\d+)", Path(endpoint.log).read_text())
        assert found is not None
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}

        def intrude(guess: dict[str, str]) -> subprocess.CompletedProcess[str]:
            command, env = [sys.executable, "-c", INTRUDE, found[1]], {**clean, **guess}
            return subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)

        for guess in ({}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}):
            tried = intrude(guess)
            assert tried.returncode != 0
            assert "in 7" not in tried.stdout
        token = ""
        for child in psutil.Process(endpoint.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                token = child.environ().get("RAY_AUTH_TOKEN", token)
        let_in = intrude({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token})
        assert "in 7" in let_in.stdout, "the token alone makes the difference"
