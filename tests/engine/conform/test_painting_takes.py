"""Takes of one request side by side through the real pipeline: their stretches share the renderer's batches, and each
take is what it would be alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bridge.errors import JobError
from bridge.handover.manifest import read_manifest
from bridge.messages import Done, Render
from engine import pipeline as pipelines
from engine.rendering import Audio, Renderer, Stretch
from engine.report import JobCancelled, Tick
from engine.sharing import Shared, share_renderers
from tests.engine.conform.doubles import DoubleRenderer, filtered
from tests.engine.conform.painting_rig import Listener, Painting, four_bars, hashes
from tests.patience import PATIENCE


class Held(DoubleRenderer):
    """A double that begins its first batch only when `waiting` says that another take waits too, or stop."""

    def __init__(self, answer: Callable[[Stretch], Audio], batch: int = 4) -> None:
        super().__init__("double", answer, batch=batch)
        self.waiting: Callable[[], bool] = lambda: False

    def render(self, stretches: list[Stretch], tick: Tick) -> list[object]:  # type: ignore[override]
        end = time.monotonic() + PATIENCE
        while not self.asked and not self.waiting():
            assert time.monotonic() < end, "the other take never came"
            tick(0.0)
            time.sleep(0.005)
        return super().render(stretches, tick)  # type: ignore[return-value]


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> list[Shared]:
    """The shared renderers of the pipeline, in the order in which they were made."""
    made: list[Shared] = []

    def watched(renderers: dict[str, Renderer], known: dict[int, Shared]) -> dict[str, Renderer]:
        answer = share_renderers(renderers, known)
        made.extend({id(m): m for m in answer.values() if isinstance(m, Shared)}.values())
        for machine in renderers.values():
            if isinstance(machine, Held):
                machine.waiting = lambda: made[-1].waiting >= 2
        return answer

    monkeypatch.setattr(pipelines, "share_renderers", watched)
    return made


def wanted(out: Path, **changes: object) -> Render:
    wishes: dict[str, object] = {
        "stems": [{"role": "bass"}, {"role": "keys"}],
        "renderer": "double",
        "seed": 3,
        **changes,
    }
    return msgspec.convert(four_bars(out, **wishes), Render)


def render(
    pipeline: Painting, double: DoubleRenderer, out: Path, listener: Listener | None = None, **changes: object
) -> Done:
    pipeline.doubles = {"double": double}
    request = wanted(out, **changes)
    return pipeline.render(request, out / "job", listener or Listener())


def alone(pipeline: Painting, out: Path, seed: int) -> dict[str, str]:
    done = render(pipeline, DoubleRenderer("double", filtered, batch=1), out / f"alone-{seed}", seed=seed)
    return hashes(Path(done.manifests[0]).parent)


def test_two_takes_share_batches_and_keep_their_bytes(pipeline: Painting, shared: list[Shared], tmp_path: Path) -> None:
    double, listener = Held(filtered), Listener()
    done = render(pipeline, double, tmp_path, listener, takes=2)
    assert len(shared) == 1
    stems = [[s.stem for s in batch] for batch in double.asked]
    assert sorted(name for batch in stems for name in batch) == ["bass", "bass", "keys", "keys"]
    assert ["keys", "keys"] in stems, "the same stem of both takes was one batch"
    assert all(len({s.seed for s in batch}) == len(batch) for batch in double.asked)
    folders = [Path(name).parent for name in done.manifests]
    assert [folder.name for folder in folders] == ["take-1", "take-2"]
    assert [read_manifest(folder).seed for folder in folders] == [3, 4]
    for folder, seed in zip(folders, (3, 4), strict=True):
        assert hashes(folder) == alone(pipeline, tmp_path, seed)
    assert sorted((e.take, e.stem) for e in listener.stems) == [(n, s) for n in (1, 2) for s in ("bass", "keys")]
    assert listener.fractions == sorted(listener.fractions)
    assert listener.fractions[-1] <= 1.0


def test_a_renderer_without_shared_calls_makes_one_take_after_the_other(
    pipeline: Painting, shared: list[Shared], tmp_path: Path
) -> None:
    listener = Listener()
    done = render(pipeline, DoubleRenderer("double", filtered, batch=1), tmp_path, listener, takes=2)
    assert shared == []
    assert [e.take for e in listener.stems] == [1, 1, 2, 2]
    assert [hashes(Path(m).parent) for m in done.manifests] == [alone(pipeline, tmp_path, seed) for seed in (3, 4)]


def test_a_cancel_stops_all_takes_and_leaves_nothing(pipeline: Painting, shared: list[Shared], tmp_path: Path) -> None:
    double = Held(filtered)
    cancelled = threading.Event()

    def stop(_stage: str) -> bool:
        if shared and shared[-1].waiting >= 2:
            cancelled.set()
        return cancelled.is_set()

    listener = Listener(stop=stop)
    with pytest.raises(JobCancelled):
        render(pipeline, double, tmp_path, listener, takes=2)
    assert not list(tmp_path.rglob("*.wav"))
    assert not [t for t in threading.enumerate() if t.name.startswith("take") and t.is_alive()]


def test_an_error_in_one_take_leaves_the_other_whole(pipeline: Painting, shared: list[Shared], tmp_path: Path) -> None:
    pitches: dict[int, int] = {}

    def moody(stretch: Stretch) -> Audio:
        first = pitches.setdefault(stretch.seed, len(pitches)) == 0
        if first:
            raise JobError("renderer.broken", "it broke.")
        return filtered(stretch)

    with pytest.raises(JobError, match="it broke"):
        render(pipeline, Held(moody), tmp_path, takes=2, stems=[{"role": "bass"}])
    (whole,) = (path.parent for path in (tmp_path / "job").rglob("manifest.json"))
    seed = read_manifest(whole).seed
    done = render(pipeline, DoubleRenderer("double", filtered), tmp_path / "alone", seed=seed, stems=[{"role": "bass"}])
    assert hashes(whole) == hashes(Path(done.manifests[0]).parent)
    assert len(list((tmp_path / "job").rglob("bass.wav"))) == 1


def test_takes_that_are_there_are_told_and_not_made_again(
    pipeline: Painting, shared: list[Shared], tmp_path: Path
) -> None:
    first = render(pipeline, DoubleRenderer("double", filtered), tmp_path)
    before = hashes(Path(first.manifests[0]).parent)
    double, listener = DoubleRenderer("double", filtered, batch=4), Listener()
    done = render(pipeline, double, tmp_path, listener, takes=2)
    assert [Path(m).parent.name for m in done.manifests] == ["take-1", "take-2"]
    assert hashes(Path(done.manifests[0]).parent) == before
    assert hashes(Path(done.manifests[1]).parent) == alone(pipeline, tmp_path, 4)
    assert {(e.take, e.stem) for e in listener.stems} == {(n, s) for n in (1, 2) for s in ("bass", "keys")}
    assert len({s.seed for batch in double.asked for s in batch}) == 2, "only the second take's stems were painted"
