"""What writing a song needs and reads, from the sizes alone: bytes on the device, bytes moved by each step.

The text and prompt tables stay in the mapped file; the null row's prefix waits in the computer's memory; the main
transformer's keys and values are given back before the sub-transformer's are made, unless frames are wanted early.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from engine.lelm.checkpoint import AT, wanted_shapes
from engine.lelm.songconfig import SongConfig
from engine.lelm.text import Version

WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes. `main_step` and `sub_step`: weights that one step reads; `song_bytes`: all that a song reads."""

    weights: int
    caches: int
    working: int
    main_step: int
    sub_step: int
    song_bytes: int

    @property
    def total(self) -> int:
        """The most that is held at a time."""
        return self.weights + self.caches + self.working


def plan_memory(
    config: SongConfig, version: Version, kind: str, frames: int, *, rows: int = 2, early: bool = False
) -> MemoryPlan:
    """For `frames` frames; `rows` is 2 with guidance; `early`: frames are wanted while later ones are written."""
    width = WIDTHS[kind]
    # Around int8 products a GPU calculates in 16 bits.
    around = max(width, 2)
    weights = main = sub = largest = 0
    for name, shape in wanted_shapes(config, version).items():
        if name.startswith(AT):
            continue
        size = prod(shape)
        matrix = len(shape) == 2 and "emb" not in name
        weights += size * (width if matrix else around) + (2 * shape[0] if kind == "int8" and matrix else 0)
        if matrix:
            largest = max(largest, size)
            if name.startswith("transformer."):
                main += size * width
            else:
                sub += size * width
    prefix = config.lyric_limit + config.prompt_frames + 2 + config.style_limit
    positions = prefix + frames + config.delays[-1]
    each = 2 * rows * config.dim * around
    main_cache, sub_cache = config.layers * positions * each, config.sub_layers * positions * each
    read = config.sub_layers * prefix * each // rows
    hidden = rows * (frames + config.delays[-1]) * config.dim * around
    copied = 2 * largest * around if kind == "int8" else 0
    steps = frames + config.delays[-1]
    return MemoryPlan(
        weights=weights,
        caches=main_cache + sub_cache if early else max(main_cache, sub_cache),
        working=hidden + read + copied + prefix * config.inner * 2 * around,
        main_step=main,
        sub_step=sub,
        song_bytes=frames * main
        + frames * sub
        + sum(each * layers * (prefix * steps + steps * steps // 2) for layers in (config.layers, config.sub_layers)),
    )
