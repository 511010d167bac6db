"""What a killed engine's cluster leaves is ended by its guard: here a family that would live for an hour by itself."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from engine.cluster.guard import LOOK_SECONDS
from tests.engine.rig import ROOT, wait_for
from tests.patience import PATIENCE

SLEEP = "import time; time.sleep(3600)"
CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); print(1, flush=True); {SLEEP}"
ENGINE = f"""
import subprocess, sys, time
from engine.cluster.guard import start_guard
start_guard()
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
print(1, flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_nothing_outlives_the_engine(how: str) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", SLEEP])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    engine = subprocess.Popen([sys.executable, "-c", ENGINE], cwd=ROOT, text=True, **pipes)
    try:
        assert engine.stdout is not None
        engine.stdout.readline()
        family = psutil.Process(engine.pid).children(recursive=True)
        assert len(family) == 3, "the guard, a child in a session of its own, and that one's child"
        (guard,) = (process for process in family if "engine.cluster.guard" in process.cmdline())
        wait_for(lambda: any("psutil" in part.path for part in guard.memory_maps()))
        time.sleep(3 * LOOK_SECONDS)  # a guard that has not looked yet knows of nobody
        if how == "killed":
            engine.kill()
        else:
            engine.communicate("\n")
        assert not psutil.wait_procs(family, timeout=PATIENCE)[1]
        assert bystander.poll() is None
    finally:
        bystander.kill()
        engine.kill()
        bystander.wait()
        engine.wait()
