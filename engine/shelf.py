"""The renderers of one worker over the user's checkpoints: opened by name, kept, given back; two big ones only where
there is room for both."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bridge.checkpoints import Checkpoint, folder2hash
from bridge.errors import JobError
from bridge.messages import ModelRow
from bridge.songgeneration import changed_files
from engine.diffusion.ace_step import AceStep
from engine.diffusion.placement import Placement
from engine.diffusion.renderer import DiffusionRenderer
from engine.diffusion.stable_audio import StableAudio
from engine.fitting import Fit
from engine.hardware import GIB, free_ram_gib
from engine.models import find_candidate
from engine.rendering import Renderer
from engine.song.machine import SongMachine

KINDS: dict[str, type[DiffusionRenderer]] = {"ace-step": AceStep, "stable-audio-3": StableAudio}
SPARE_GIB = 0.5
"""So much of the device stays free beside a model."""
SHARED_ROWS = {"cuda": 4}
"""Stretches that share a call of the network, by device. A call has always so many rows, padded where there are fewer,
so that a row's bytes do not depend on its company; elsewhere than on a large GPU every row costs its full time, and
padding would be paid for with nothing gained: there each stretch has a call of its own."""


def free_gib(device: str) -> float:
    """Memory that a model could take on the device now; without limit where that cannot be told."""
    import torch

    if device == "cuda" and torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        return float(free) / GIB
    return float("inf") if device == "cuda" else free_ram_gib() or float("inf")


class Shelf:
    """Renderers by name, the last used last. `free` tells the free GiB of a device."""

    def __init__(self, free: Callable[[str], float] = free_gib) -> None:
        self._kept: dict[str, tuple[str, DiffusionRenderer]] = {}
        self._songs: dict[str, tuple[str, SongMachine]] = {}
        self._free = free
        self._lock = threading.Lock()

    def renderer(self, row: ModelRow) -> Renderer | None:
        """The renderer that a row of the catalogue means; None for one that works without a checkpoint ("guide").

        Its weights are loaded when it first renders; others are released before where both would not fit. Raises
        `JobError` where its files are gone or have changed.
        """
        candidate = find_candidate(row.name)
        if candidate is None:
            if row.path:
                raise _gone(row.name)
            return None
        checkpoint, fit = candidate.checkpoint, candidate.fit
        with self._lock:
            stamp = _stamp(checkpoint)
            kept = self._kept.pop(row.name, None)
            if kept is not None and kept[0] != stamp:
                kept[1].release()
                kept = None
            if kept is None:
                make_room = partial(self._make_room, row.name, fit)
                kept = (stamp, KINDS[checkpoint.family](checkpoint, fit2placement(fit), make_room))
            self._kept[row.name] = kept
            return kept[1]

    def song(self, row: ModelRow) -> SongMachine:
        """The SongGeneration machine that a row means; as `renderer`."""
        candidate = find_candidate(row.name)
        if candidate is None:
            raise _gone(row.name)
        checkpoint, fit = candidate.checkpoint, candidate.fit
        with self._lock:
            changed = changed_files(checkpoint)
            if changed:
                raise _changed(checkpoint, changed[0])
            kept = self._songs.pop(row.name, None)
            if kept is not None and kept[0] != checkpoint.sha256:
                kept[1].release()
                kept = None
            if kept is None:
                machine = SongMachine(checkpoint, fit, partial(self._make_room, row.name, fit))
                kept = (checkpoint.sha256, machine)
            self._songs[row.name] = kept
            return kept[1]

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the checkpoints whose weights are in memory."""
        return tuple(name for name, machine in self._machines() if machine.loaded)

    def _machines(self) -> list[tuple[str, DiffusionRenderer | SongMachine]]:
        """All that may hold memory, the longest unused first among its kind."""
        kept: list[tuple[str, DiffusionRenderer | SongMachine]] = [
            (name, machine) for name, (_, machine) in tuple(self._kept.items())
        ]
        return [*kept, *((name, machine) for name, (_, machine) in tuple(self._songs.items()))]

    def _make_room(self, name: str, fit: Fit) -> None:
        """Releases others that do nothing now, the longest unused first, until the model fits."""
        for other, machine in self._machines():
            if self._free(fit.device) >= fit.gib + SPARE_GIB:
                return
            if other != name and machine.loaded:
                machine.release_idle()


def fit2placement(fit: Fit) -> Placement:
    """What torch needs to know of a fit."""
    import torch

    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    return Placement(fit.device, dtypes[fit.dtype], fit.offload, SHARED_ROWS.get(fit.device, 1))


def _stamp(checkpoint: Checkpoint) -> str:
    """The hash of the files as they are. Raises `JobError` where they are not those that were added."""
    try:
        now = folder2hash(Path(checkpoint.folder))
    except OSError:
        raise _gone(checkpoint.name) from None
    if now != checkpoint.sha256:
        raise _changed(checkpoint, "they have changed")
    return now


def _changed(checkpoint: Checkpoint, why: str) -> JobError:
    return JobError(
        "checkpoint.changed",
        f"the files of {checkpoint.name} are not those that were added: {why}.",
        hint=f"Add them again: stembridge models add {checkpoint.name} {checkpoint.source}",
    )


def _gone(name: str) -> JobError:
    return JobError(
        "checkpoint.missing", f"the checkpoint {name} is gone.", hint="`stembridge models` lists those that are there."
    )
