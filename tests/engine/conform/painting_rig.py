"""The real pipeline with strict doubles for its renderers, in this process, and one take of four bars by it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.handover.manifest import Manifest, StemFiles, read_manifest
from bridge.messages import ModelRow, PieceReady, Render, StemReady
from engine import pipeline as pipelines
from engine.pipeline import Pipeline
from engine.rendering import Renderer
from engine.report import JobCancelled
from engine.score import Score
from engine.setting import Setting
from tests.e2e.songs import eight_bars
from tests.engine.conform.doubles import Answer, DoubleRenderer

ROWS = {
    "guide": ModelRow("guide", "renderer", True, "Apache-2.0"),
    "double": ModelRow("double", "renderer", True, "MIT", path="here"),
    "other": ModelRow("other", "renderer", True, "MIT", path="there"),
}


@dataclass
class Listener:
    """A `Reporter` that remembers, and stops the job where `stop` says so."""

    stop: Callable[[str], bool] = lambda stage: False
    stages: list[str] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)
    stems: list[StemReady] = field(default_factory=list)

    def progress(self, stage: str, fraction: float, note: str = "") -> None:
        self.stages.append(stage)
        self.fractions.append(fraction)
        if self.stop(stage):
            raise JobCancelled

    def stem(self, event: StemReady) -> None:
        self.stems.append(event)

    def piece(self, event: PieceReady) -> None:
        raise AssertionError(event)


class Painting(Pipeline):
    """The real pipeline with doubles for its renderers. What was composed for the same wish is not composed again."""

    def __init__(self) -> None:
        super().__init__()
        self.doubles: dict[str, DoubleRenderer] = {}
        self._scores: dict[bytes, Score] = {}

    def open_renderer(self, row: ModelRow) -> Renderer | None:
        return self.doubles.get(row.name)

    def _write(self, setting: Setting, take: Render, *rest: Any) -> Score:
        if take.scope is not None:
            return super()._write(setting, take, *rest)
        stems = tuple(msgspec.structs.replace(s, renderer="", strength=None, words="") for s in take.stems)
        wish = msgspec.json.encode((take.arrangement.sections, take.arrangement.clock, stems, take.seed, take.style))
        if wish not in self._scores:
            self._scores[wish] = super()._write(setting, take, *rest)
        return self._scores[wish]


def four_bars(out: Path, **changes: Any) -> dict[str, Any]:
    """Two bars of verse at 100 bpm and two of chorus at 120."""
    request = eight_bars(out, **changes)
    request["arrangement"]["clock"] = [[0.0, 0.0], [8.0, 4.8], [16.0, 8.8]]
    for section, (start, end) in zip(request["arrangement"]["sections"], ((0.0, 8.0), (8.0, 16.0)), strict=True):
        section.update(start=start, end=end)
    return request


def choose(kind: str, name: str, **_: object) -> ModelRow:
    return ROWS["guide" if name == "auto" else name] if kind == "renderer" else ModelRow("band", "composer", True, "")


def stem_rows(request: Render) -> dict[str, ModelRow]:
    return {stem.title: choose("renderer", stem.renderer or request.renderer) for stem in request.stems}


def render(
    pipeline: Painting,
    out: Path,
    answer: Answer | dict[str, DoubleRenderer],
    listener: Listener | None = None,
    *,
    stems: str | list[dict[str, object]] = "drums bass keys",
    **changes: object,
) -> tuple[Path, Manifest, Listener]:
    """One take of the four bars by the double."""
    pipeline.doubles = answer if isinstance(answer, dict) else {"double": DoubleRenderer("double", answer)}
    listener = listener or Listener()
    wanted = [{"role": role} for role in stems.split()] if isinstance(stems, str) else stems
    wishes: dict[str, object] = {"stems": wanted, "renderer": "double", "seed": 3, **changes}
    references = wishes.pop("references", ())
    body = four_bars(out.parent, **wishes)
    body["arrangement"]["references"] = references
    request = msgspec.convert(body, Render)
    done = pipeline.render(request, out / request.job, listener)
    folder = Path(done.manifests[0]).parent
    return folder, read_manifest(folder), listener


def stem(manifest: Manifest, name: str) -> StemFiles:
    return next(s for s in manifest.stems if s.name == name)


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.wav")}


@contextmanager
def doubled() -> Iterator[None]:
    """Pipelines have the rows above in place of the user's checkpoints."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipelines, "check_choice", lambda request: None)
        patch.setattr(pipelines, "choose_model", choose)
        patch.setattr(pipelines, "stem_rows", stem_rows)
        yield
