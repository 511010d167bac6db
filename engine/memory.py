"""How much memory a process holds, and the accelerator's share of it. Bytes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

import psutil

M_ARENA_MAX = -8
"""Of glibc's mallopt."""
HEAPS = 2


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


def few_heaps() -> bool:
    """Has the C library keep two heaps at most, not some for every thread that ever was; says whether it can. Call
    before there are threads.

    What lies between blocks that stay cannot be used by another heap: with many a worker grows with each kind of job.
    """
    mallopt = _libc("mallopt")
    return mallopt is not None and bool(mallopt(M_ARENA_MAX, HEAPS))


def give_back() -> bool:
    """Returns what the C library keeps of freed memory to the system; says whether there was any. It costs
    milliseconds. (glibc can be told to keep no large blocks at all: then every spectrum costs a page fault for each
    of its pages, and stems take a tenth longer.)"""
    trim = _libc("malloc_trim")
    return trim is not None and bool(trim(0))


def _libc(name: str) -> Callable[..., int] | None:
    """A function of glibc; None where another C library is used."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):
        return None
    return found
