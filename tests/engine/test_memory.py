"""What is freed goes back to the system: seen in a process of its own, with and without."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import threading
import numpy as np
from engine.memory import few_heaps, give_back, resident_bytes

ours = "ours" in sys.argv
if ours and not few_heaps():
    print("not here")
    raise SystemExit
np.ones(30 << 20, np.uint8)  # freed at once: from now on glibc keeps blocks below this size in its heaps
before = resident_bytes()
blocks, small = [], []

def fill():
    for _ in range(25):
        blocks.append(np.ones(2 << 20, np.uint8))
        small.append(np.ones(8 << 10, np.uint8))  # lies behind it and stays

threads = [threading.Thread(target=fill) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
held = resident_bytes() - before
del blocks
if ours:
    give_back()
print(held >> 20, (resident_bytes() - before) >> 20)
"""


def megabytes(*how: str) -> tuple[int, int]:
    """What a process holds beside its start: with all blocks, and after the large ones were freed."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *how], check=True, capture_output=True, text=True)
    if "not here" in done.stdout:
        pytest.skip("this C library is not glibc")
    held, left = map(int, done.stdout.split())
    return held, left


def test_what_a_job_has_freed_goes_back_after_it() -> None:
    held, left = megabytes("ours")
    assert held >= 180
    assert left <= 20
    assert megabytes()[1] >= 100, "by itself the C library keeps it"
