"""What one worker needs, and how many of them a machine holds."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bridge.checkpoints import read_register
from engine.checkpoints import fit_checkpoint
from engine.hardware import GIB, Hardware, measure_hardware, ram_gib

SHIPPED_BYTES = round(2 * GIB)
"""What the shipped models and one song take at most (the design's bound)."""


@dataclass(frozen=True)
class Needs:
    """Of one worker: CPU cores, bytes of memory, GPUs."""

    cpus: int
    memory: int
    gpus: int

    def fits(self, cpus: float, memory: float, gpus: float) -> int:
        """How many workers a machine holds that has so much."""
        bounds = [cpus // self.cpus, memory // self.memory]
        if self.gpus:
            bounds.append(gpus // self.gpus)
        return int(min(bounds))


def measure_needs(hardware: Hardware | None = None) -> Needs:
    """Of a worker here: the shipped models, and the largest of the user's checkpoints that runs on this machine."""
    hardware = hardware or measure_hardware()
    fits = [fit for checkpoint in read_register() if not (fit := fit_checkpoint(checkpoint, hardware)).why_not]
    in_memory = max((round(fit.gib * GIB) for fit in fits if fit.device != "cuda"), default=0)
    return Needs(1, SHIPPED_BYTES + in_memory, int(any(fit.device == "cuda" for fit in fits)))


def home_places(needs: Needs) -> int:
    """Workers that this machine holds by its cores and memory: at least one, and one alone where they need its GPU."""
    return max(1, needs.fits(os.cpu_count() or 1, ram_gib() * GIB, 1))
