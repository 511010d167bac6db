"""A job that waits, as the worker knows it while another one runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bridge.messages import Render
from engine.stages import NO_STAGES, StageCache


@dataclass(frozen=True)
class Coming:
    """It may share batches with the one that runs. `stages` keeps what is finished of it; `gone`: whether it shall be
    left alone, from now on."""

    request: Render
    stages: StageCache = NO_STAGES
    gone: Callable[[], bool] = lambda: False

    @property
    def job(self) -> str:
        """Its id."""
        return self.request.job
