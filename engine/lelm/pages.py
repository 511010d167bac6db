"""Memory for what a processor reads from one end to the other at every step: large pages where the system has them.

Decoding on a CPU is bound by memory, and looking up the addresses of 4 KiB pages takes about a seventh of a step. Linux
gives 2 MiB pages to a region that asks for them; elsewhere, and where it refuses, memory is as usual.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from contextlib import suppress
from math import prod

import torch
from torch import Tensor

HUGE = 1 << 21
"""Bytes of a large page."""


def zeros(size: Sequence[int], dtype: torch.dtype, device: str) -> Tensor:
    """As `torch.zeros`; on a Linux CPU, in large pages where it fills one."""
    count = prod(size)
    width = torch.empty((), dtype=dtype).element_size()
    if device != "cpu" or count * width < HUGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.zeros(tuple(size), dtype=dtype, device=device)
    region = mmap.mmap(-1, count * width + HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # A kernel without large pages says so; the region serves as it is.
    with suppress(OSError):
        region.madvise(mmap.MADV_HUGEPAGE)
    start = -torch.frombuffer(region, dtype=torch.uint8, count=1).data_ptr() % HUGE
    # The tensor keeps the region.
    return torch.frombuffer(region, dtype=dtype, count=count, offset=start).view(tuple(size))


def joined(parts: Sequence[Tensor], dtype: torch.dtype, device: str) -> Tensor:
    """Matrices [N, K] put below each other, a copy."""
    whole = zeros((sum(len(part) for part in parts), *parts[0].shape[1:]), dtype, device)
    for place, part in zip(torch.split(whole, [len(part) for part in parts]), parts, strict=True):
        place.copy_(part)
    return whole
