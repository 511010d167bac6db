"""How far a diffusion model is, told at every step; and its end between two layers when the user wants it.

Both are done by what is called from inside the pipelines: diffusers' callback at each step's end for the progress, and
a hook before every layer that looks whether the job shall stop. Layers are short, so a cancel is heeded long before a
step is over on any device. An exception leaves the pipelines as they were: they keep nothing between calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from engine.report import Tick


class Steps:
    """Counts the network's steps over all calls of one rendering, `total` of them."""

    def __init__(self, total: int, tick: Tick) -> None:
        self._total = max(1, total)
        self._tick = tick
        self._done = 0

    def step(self) -> None:
        """One more is done. Raises `JobCancelled`."""
        self._done += 1
        self.poll()

    def poll(self) -> None:
        """Says again how far it is. Raises `JobCancelled`."""
        self._tick(min(1.0, self._done / self._total))

    def on_step_end(self, _pipe: Any, _index: int, _time: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
        """diffusers' `callback_on_step_end`; changes nothing."""
        self.step()
        return {}

    @contextmanager
    def watching(self, modules: Iterable[nn.Module]) -> Iterator[None]:
        """Polls before each of the modules runs."""

        def before(_module: nn.Module, _inputs: Any) -> None:
            self.poll()

        handles = [module.register_forward_pre_hook(before) for module in modules]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def layers(*networks: nn.Module) -> list[nn.Module]:
    """The members of all module lists in the networks: their layers and blocks."""
    lists = (m for network in networks for m in network.modules() if isinstance(m, nn.ModuleList))
    return [layer for members in lists for layer in members]
