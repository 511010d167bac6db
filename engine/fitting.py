"""How a checkpoint would run on this computer: a value that its family's arithmetic makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["float32", "bfloat16", "float16", "int8"]


@dataclass(frozen=True)
class Fit:
    """How a checkpoint would run: `gib` of the device's memory, `offload` component by component. `why_not`: the reason
    where it does not fit; `slow`: where it would take minutes for each stem. int8: SongGeneration's weights alone."""

    device: Literal["cuda", "mps", "cpu"]
    dtype: Precision
    gib: float
    offload: bool = False
    why_not: str = ""
    slow: str = ""
