"""What the models may run on: the device and how much memory it has. Light: asks the system, not torch.

Sizes are GiB. The front process uses this too, which must stay small; the worker asks torch for what is free now.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

GIB = float(1 << 30)
ASK_SECONDS = 5.0
MIN_BF16 = 8.0
"""First CUDA compute capability that calculates in bfloat16 at full speed (Ampere)."""


@dataclass(frozen=True)
class Hardware:
    """`memory_gib`: the accelerator's own memory (a Mac shares its; a CPU has none of its own, so RAM counts)."""

    kind: Literal["cuda", "mps", "cpu"]
    name: str
    memory_gib: float
    ram_gib: float
    bfloat16: bool = True

    @property
    def words(self) -> str:
        """For a sentence to the user."""
        if self.kind == "cpu":
            return f"this computer has no GPU that the engine can use, and {self.ram_gib:.0f} GiB of memory"
        return f"{self.name} with {self.memory_gib:.0f} GiB"


@lru_cache(maxsize=1)
def measure_hardware() -> Hardware:
    """The device that models run on here. Asked once per process."""
    ram = ram_gib()
    nvidia = _ask_nvidia() if _torch_has_cuda() else None
    if nvidia is not None:
        name, memory, capability = nvidia
        return Hardware("cuda", name, memory, ram, capability >= MIN_BF16)
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return Hardware("mps", "Apple GPU", ram * 0.7, ram, bfloat16=False)
    return Hardware("cpu", platform.processor() or platform.machine(), ram, ram)


def ram_gib() -> float:
    """The computer's memory; inside a container with a limit, the limit."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    except (AttributeError, ValueError, OSError):
        whole = 8.0  # Windows tells otherwise; a common size that promises no big model
    return min(whole, _container_gib() or whole)


def free_ram_gib() -> float:
    """What can be had without pushing others out; 0 where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024 / GIB
    except (OSError, ValueError):
        pass
    return 0.0


def _container_gib() -> float | None:
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            return int(file.read()) / GIB
    except (OSError, ValueError):
        return None


def _torch_has_cuda() -> bool:
    """Whether the installed torch can use an NVIDIA GPU at all: its CPU builds say so in their version."""
    try:
        return "+cpu" not in version("torch") and platform.system() != "Darwin"
    except PackageNotFoundError:
        return False


def _ask_nvidia() -> tuple[str, float, float] | None:
    """Name, memory in GiB and compute capability of the first GPU, or None."""
    program = shutil.which("nvidia-smi")
    if program is None or os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return None
    query = "--query-gpu=name,memory.total,compute_cap"
    try:
        answer = subprocess.run(
            [program, query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            check=True,
        )
        name, memory, capability = answer.stdout.splitlines()[0].rsplit(",", 2)
        return name.strip(), float(memory) / 1024, float(capability)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
