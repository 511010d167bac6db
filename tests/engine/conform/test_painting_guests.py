"""Jobs that wait, painted along with the one that runs: free rows alone, the same bytes, nobody hurt by the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.errors import JobError
from bridge.messages import Done, Render
from engine import pipeline as pipelines
from engine.coming import Coming
from engine.rendering import Audio, Clip, Renderer, Stretch
from engine.report import JobCancelled, Tick
from engine.sharing import Shared, share_renderers
from engine.stages import StageCache
from engine.store.database import DATABASE
from engine.store.stages import StageStore
from tests.engine.conform.doubles import DoubleRenderer, filtered
from tests.engine.conform.painting_rig import Listener, Painting, four_bars, hashes
from tests.patience import PATIENCE

Alone = Callable[[Render], dict[str, str]]
HOST, GUEST, OTHER = 3, 40, 41
"""Seeds of the jobs."""


class Patient(DoubleRenderer):
    """A double that chooses no batch before guests offer so many stretches. `stuck`: it never gets further than its
    first step, until it is stopped."""

    def __init__(
        self, made: list[Shared], wanted: int, answer: Callable[[Stretch], Audio] = filtered, *, stuck: bool = False
    ) -> None:
        super().__init__("double", answer, batch=4)
        self.made, self.wanted, self.stuck = made, wanted, stuck

    def shape(self, stretch: Stretch) -> Hashable:
        wait_until(lambda: sum(shared.offered for shared in self.made) >= self.wanted)
        return super().shape(stretch)

    def render(self, stretches: Sequence[Stretch], tick: Tick) -> list[Clip]:
        end = time.monotonic() + PATIENCE
        while self.stuck:
            assert time.monotonic() < end, "nobody stopped it"
            tick(0.0)
            time.sleep(0.005)
        return super().render(stretches, tick)


def wait_until(said: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not said():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Shared]:
    """The shared renderers of the pipeline."""
    known: list[Shared] = []

    def watched(renderers: dict[str, Renderer], kept: dict[int, Shared]) -> dict[str, Renderer]:
        answer = share_renderers(renderers, kept)
        known.extend(s for s in dict.fromkeys(answer.values()) if isinstance(s, Shared) and s not in known)
        return answer

    monkeypatch.setattr(pipelines, "share_renderers", watched)
    return known


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StageStore]:
    opened = StageStore(tmp_path / DATABASE, tmp_path / "stages", 1 << 30)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def nobody_stays(pipeline: Painting) -> Iterator[None]:
    yield
    pipeline._guests.invite(())
    wait_until(lambda: not any(t.name == "guest" for t in threading.enumerate()))


def job(out: Path, seed: int, **changes: Any) -> Render:
    wishes = {"job": f"job-{seed}", "stems": [{"role": "bass"}], "renderer": "double", "seed": seed, **changes}
    return msgspec.convert(four_bars(out, **wishes), Render)


def coming(store: StageStore, request: Render, gone: Callable[[], bool] = lambda: False) -> Coming:
    return Coming(request, store.beside(request.job), gone)


def run(
    pipeline: Painting, double: DoubleRenderer, request: Render, stages: StageCache, *guests: Coming,
    listener: Listener | None = None,
) -> Done:  # fmt: skip
    pipeline.doubles = {"double": double}
    out = Path(request.project.out or request.project.root)
    return pipeline.render(request, out / request.job, listener or Listener(), stages=stages, coming=guests)


@pytest.fixture(scope="module")
def known() -> dict[int, dict[str, str]]:
    """What the jobs are by themselves."""
    return {}


@pytest.fixture
def alone(pipeline: Painting, known: dict[int, dict[str, str]], tmp_path: Path) -> Callable[[Render], dict[str, str]]:
    """Hashes of the job's take by itself, one row a call, with nothing kept."""

    def render(request: Render) -> dict[str, str]:
        if request.seed not in known:
            pipeline.doubles = {"double": DoubleRenderer("double", filtered, batch=1)}
            known[request.seed] = take(pipeline.render(request, tmp_path / "alone" / request.job, Listener()))
        return known[request.seed]

    return render


def seeds(double: DoubleRenderer) -> list[int]:
    return [len({s.seed for s in batch}) for batch in double.asked]


def take(done: Done) -> dict[str, str]:
    return hashes(Path(done.manifests[0]).parent)


def test_waiting_jobs_are_painted_in_free_rows_and_come_out_as_alone(
    pipeline: Painting, made: list[Shared], store: StageStore, tmp_path: Path, alone: Alone
) -> None:
    jobs = [job(tmp_path, seed) for seed in (HOST, GUEST, OTHER)]
    double = Patient(made, wanted=2)
    store.begin(jobs[0].job)
    host = run(pipeline, double, jobs[0], store, *(coming(store, j) for j in jobs[1:]))
    assert [len(batch) for batch in double.asked] == [3], "one call for three jobs"
    assert not (tmp_path / jobs[1].job).exists(), "nothing of a guest lies in its folder"
    finished = [host]
    for request, after in zip(jobs[1:], (jobs[2:], []), strict=True):
        store.begin(request.job)
        double.wanted = 0
        finished.append(run(pipeline, double, request, store, *(coming(store, j) for j in after)))
        assert store.hits > 0
    assert [len(batch) for batch in double.asked] == [3], "they found their sound in the store"
    for request, done in zip(jobs, finished, strict=True):
        assert take(done) == alone(request)


def test_guests_that_came_too_late_share_the_next_job_s_call(
    pipeline: Painting, made: list[Shared], store: StageStore, tmp_path: Path, alone: Alone
) -> None:
    jobs = [job(tmp_path, seed) for seed in (HOST, GUEST, OTHER)]
    double = DoubleRenderer("double", late := Late(), batch=4)
    store.begin(jobs[0].job)
    late.until = lambda: sum(shared.offered for shared in made) >= 2

    def after_the_first_call() -> bool:
        wait_until(lambda: len(double.asked) > 0)
        return False

    run(pipeline, double, jobs[0], store, *(coming(store, j, after_the_first_call) for j in jobs[1:]))
    assert [len(batch) for batch in double.asked] == [1], "the host waited for nobody"
    late.until = lambda: True
    store.begin(jobs[1].job)
    second = run(pipeline, double, jobs[1], store, coming(store, jobs[2]))
    assert [len(batch) for batch in double.asked] == [1, 2]
    store.begin(jobs[2].job)
    third = run(pipeline, double, jobs[2], store)
    assert [len(batch) for batch in double.asked] == [1, 2]
    for request, done in zip(jobs[1:], (second, third), strict=True):
        assert take(done) == alone(request)


class Late:
    """An answer that comes when something has happened meanwhile."""

    until: Callable[[], bool] = staticmethod(lambda: True)

    def __call__(self, stretch: Stretch) -> Audio:
        wait_until(self.until)
        return filtered(stretch)


def test_a_cancel_of_the_host_leaves_its_guest_s_job_whole(
    pipeline: Painting, made: list[Shared], store: StageStore, tmp_path: Path, alone: Alone
) -> None:
    host, guest = job(tmp_path, HOST), job(tmp_path, GUEST)
    store.begin(host.job)
    stop = Listener(stop=lambda stage: sum(shared.offered for shared in made) >= 1)
    with pytest.raises(JobCancelled):
        run(pipeline, (double := Patient(made, wanted=0, stuck=True)), host, store, coming(store, guest), listener=stop)
    assert double.asked == []
    store.begin(guest.job)
    done = run(pipeline, DoubleRenderer("double", filtered, batch=4), guest, store)
    assert take(done) == alone(guest)


def test_a_guest_that_is_wanted_no_longer_leaves_and_the_host_is_whole(
    pipeline: Painting, made: list[Shared], store: StageStore, tmp_path: Path, alone: Alone
) -> None:
    host, guest = job(tmp_path, HOST), job(tmp_path, GUEST)
    cancelled = threading.Event()

    def leaves(stretch: Stretch) -> Audio:
        cancelled.set()
        return filtered(stretch)

    double = Patient(made, 1, leaves)
    store.begin(host.job)
    done = run(pipeline, double, host, store, coming(store, guest, cancelled.is_set))
    assert seeds(double) == [2], "it was in the batch when it was cancelled"
    assert take(done) == alone(host)
    assert not (tmp_path / guest.job).exists()


def test_what_a_guest_breaks_is_its_own(
    pipeline: Painting, made: list[Shared], store: StageStore, tmp_path: Path, alone: Alone
) -> None:
    host, guest = job(tmp_path, HOST), job(tmp_path, GUEST, stems=[{"role": "bass", "words": "broken"}])

    def moody(stretch: Stretch) -> Audio:
        if "broken" in stretch.words:
            raise JobError("renderer.broken", "it broke.")
        return filtered(stretch)

    double = Patient(made, 1, moody)
    store.begin(host.job)
    done = run(pipeline, double, host, store, coming(store, guest))
    assert [len(batch) for batch in double.asked] == [2, 1], "the host was rendered again without it"
    assert take(done) == alone(host)
    store.begin(guest.job)
    with pytest.raises(JobError, match="it broke"):
        run(pipeline, DoubleRenderer("double", moody, batch=4), guest, store)


def test_a_first_try_that_was_painted_ahead_is_judged_and_tried_again(
    pipeline: Painting, made: list[Shared], store: StageStore, tmp_path: Path
) -> None:
    host, guest = job(tmp_path, HOST), job(tmp_path, GUEST)
    first: dict[float, int] = {}

    def shy(stretch: Stretch) -> Audio:
        """Silence at the guest's first seed."""
        own = first.setdefault(float(stretch.guide.audio.sum()), stretch.seed)
        return filtered(stretch) * (0.0 if own == stretch.seed and len(first) > 1 else 1.0)

    double = Patient(made, 1, shy)
    store.begin(host.job)
    run(pipeline, double, host, store, coming(store, guest))
    double.wanted = 0
    store.begin(guest.job)
    done = run(pipeline, double, guest, store)
    assert [len(batch) for batch in double.asked] == [2, 1], "the refused one alone was rendered in its own turn"
    manifest = msgspec.json.decode(Path(done.manifests[0]).read_bytes())
    assert manifest["stems"][0]["painted"]["tries"] == 2


@pytest.mark.parametrize("why", ["one row a call", "nothing is kept", "other machine", "no memory"])
def test_there_are_no_guests_where_they_would_gain_nothing(
    why: str, pipeline: Painting, store: StageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = job(tmp_path, HOST)
    guest = job(tmp_path, GUEST, renderer="guide" if why == "other machine" else "double")
    if why == "no memory":
        monkeypatch.setattr("engine.painting.OPEN_BYTES", 1 << 20)
    invited: list[list[Coming]] = []
    monkeypatch.setattr(pipeline._guests, "invite", lambda coming: invited.append(list(coming)))
    store.begin(host.job)
    double = DoubleRenderer("double", filtered, batch=1 if why == "one row a call" else 4)
    run(pipeline, double, host, store, Coming(guest) if why == "nothing is kept" else coming(store, guest))
    assert invited == [[]]
