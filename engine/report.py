"""How a running job talks to its surroundings: progress, finished stems, and the wish to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bridge.messages import StemReady

Tick = Callable[[float], None]
"""Called by long stages at every decoding or diffusion step with the stage's fraction 0-1; raises `JobCancelled`."""


class JobCancelled(Exception):
    """Raised out of a stage when the user asked the job to stop."""


class Reporter(Protocol):
    """Given to the pipeline by whoever runs it."""

    def progress(self, stage: str, fraction: float, note: str = "") -> None:
        """Tells how far the whole job is (0-1). Raises `JobCancelled` when the job shall stop."""

    def stem(self, event: StemReady) -> None:
        """Announces a stem that is complete on disk."""
