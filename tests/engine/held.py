"""The real pipeline, held after its first stem for as long as a file stands: what is killed then is in its middle.

Whether a kill comes before the last stem is no matter of who is quicker, the test or the engine.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.client import start_engine, stop_engine
from bridge.messages import Done, PieceReady, Render, StemReady
from bridge.transport.endpoint import Endpoint
from engine.coming import Coming
from engine.pipeline import Pipeline
from engine.report import Reporter
from engine.stages import NO_STAGES, StageCache
from tests.engine.rig import ROOT

GATE = "STEMBRIDGE_TEST_GATE"


class Held:
    """Passes on what is reported; waits after each stem while the gate's file is there."""

    def __init__(self, report: Reporter, gate: Path) -> None:
        self._report, self._gate = report, gate

    def progress(self, stage: str, fraction: float, note: str = "") -> None:
        self._report.progress(stage, fraction, note)

    def piece(self, event: PieceReady) -> None:
        self._report.piece(event)

    def stem(self, event: StemReady) -> None:
        self._report.stem(event)
        while self._gate.exists():
            time.sleep(0.01)


class HeldPipeline(Pipeline):
    """The real one, with a `Held` reporter."""

    def render(
        self,
        request: Render,
        out: Path,
        report: Reporter,
        *,
        stages: StageCache = NO_STAGES,
        first_take: int = 1,
        coming: Sequence[Coming] = (),
    ) -> Done:
        held = Held(report, Path(os.environ[GATE]))
        return super().render(request, out, held, stages=stages, first_take=first_take, coming=coming)


@dataclass(frozen=True)
class HeldEngine:
    """A running engine that stays in the middle of its first job until `let_go` or `revive`."""

    endpoint: Endpoint
    roots: tuple[Path, ...]
    gate: Path

    def let_go(self) -> None:
        """Nothing holds it from now on."""
        self.gate.unlink()

    def revive(self) -> None:
        """Starts it again, after it was killed; nothing holds it from now on."""
        self.let_go()
        start_engine(roots=self.roots, wait_for_models=False)


@contextlib.contextmanager
def held_engine(root: Path, folder: Path) -> Iterator[HeldEngine]:
    """An engine in the present runtime and data folders that may read `root`; `folder` is for the gate."""
    gate = folder / "held"
    gate.touch()
    before = {name: os.environ.get(name) for name in (GATE, "PYTHONPATH")}
    os.environ |= {GATE: str(gate), "PYTHONPATH": str(ROOT)}
    try:
        endpoint = start_engine(roots=[root], options=("--pipeline", "tests.engine.held:HeldPipeline"))
        yield HeldEngine(endpoint, (root,), gate)
    finally:
        stop_engine()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
