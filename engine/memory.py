"""How much memory a process holds, and the accelerator's share of it. Bytes."""

from __future__ import annotations

import sys

import psutil


def resident_bytes(pid: int | None = None) -> int:
    """Memory of a process (None: this one) that lies in RAM; 0 where it is gone or not ours to ask."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def open_files() -> int:
    """Descriptors (handles on Windows) that this process holds; 0 where that cannot be told."""
    process = psutil.Process()
    try:
        return int(process.num_fds() if hasattr(process, "num_fds") else process.num_handles())
    except psutil.Error:
        return 0


def accelerator_bytes() -> int:
    """What torch holds of this process's accelerator; 0 without one, or before torch was used."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return 0
    return int(torch.cuda.memory_reserved())
