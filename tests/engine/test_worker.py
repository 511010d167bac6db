"""The worker's parts: what a job may say and how often, how errors become events, what the pipes carry."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import JobError, RequestError
from bridge.messages import Cancelled, Done, Event, Failed, Heard, Listen, ModelList, Progress, Render
from engine import worker
from engine.coming import Coming
from engine.report import JobCancelled, Reporter
from engine.stages import StageCache
from engine.wire import FromWorker, Run, Said, Stop, from_worker, line, to_worker
from engine.worker import REPORT_EVERY, Channel, JobReporter, StopSign, run_job
from tests.engine.rig import song


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(worker.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def told(pipe: io.BytesIO) -> list[Event]:
    messages: list[FromWorker] = [from_worker.decode(raw) for raw in pipe.getvalue().splitlines()]
    return [message.event for message in messages if isinstance(message, Said)]


def test_progress_goes_out_at_most_twice_a_second(clock: Clock) -> None:
    pipe = io.BytesIO()
    reporter = JobReporter("job", Channel(pipe), StopSign())
    for step in range(1000):
        clock.now = step * 0.01
        reporter.progress("render", step / 1000)
    events = told(pipe)
    assert len(events) == 10.0 / REPORT_EVERY
    assert [event.fraction for event in events if isinstance(event, Progress)][:3] == [0.0, 0.05, 0.1]


def test_no_note_is_lost_and_none_is_said_twice(clock: Clock) -> None:
    pipe = io.BytesIO()
    reporter = JobReporter("job", Channel(pipe), StopSign())
    for note in ("first", "second", "third", "second"):
        reporter.progress("compose", 0.1, note)
    assert told(pipe) == [Progress("job", "compose", 0.1, note="first")]
    clock.now = 1.0
    reporter.progress("render", 0.2)
    assert told(pipe)[1:] == [Progress("job", "render", 0.2, note="second third")]
    reporter.progress("render", 0.9, "last")
    reporter.flush()
    reporter.flush()
    assert told(pipe)[2:] == [Progress("job", "render", 0.9, note="last")]


def test_a_stop_breaks_out_of_the_next_step(clock: Clock) -> None:
    stop = StopSign()
    reporter = JobReporter("job", Channel(io.BytesIO()), stop)
    reporter.progress("compose", 0.1)
    stop.set()
    with pytest.raises(JobCancelled):
        reporter.progress("compose", 0.2)


class Raising:
    """A pipeline that ends in one way."""

    def __init__(self, how: BaseException) -> None:
        self.how = how

    def render(
        self,
        request: Render,
        out: Path,
        reporter: Reporter,
        *,
        stages: StageCache,
        first_take: int,
        coming: Sequence[Coming],
    ) -> Done:
        raise self.how

    def listen(self, request: Listen, reporter: Reporter) -> Heard:
        raise self.how

    def models(self) -> ModelList:
        return ModelList(())


@pytest.mark.parametrize(
    ("how", "final"),
    [
        (JobCancelled("job"), Cancelled("job")),
        (JobError("a.b", "no.", field="f", hint="h"), Failed("job", "a.b", "no.", "f", "h", refused=False)),
        (RequestError("a.b", "no.", field="f", hint="h"), Failed("job", "a.b", "no.", "f", "h", refused=True)),
        (
            OSError(28, "No space left on device", "/full"),
            Failed("job", "file.error", "No space left on device", "/full"),
        ),
    ],
)
def test_every_end_is_an_event(how: BaseException, final: Event, tmp_path: Path) -> None:
    reporter = JobReporter("job", Channel(io.BytesIO()), StopSign())
    assert run_job(Raising(how), Run(song("job", tmp_path), str(tmp_path)), reporter) == final
    assert run_job(Raising(how), Run(Listen("job", "x.mid"), ""), reporter) == final


@pytest.mark.parametrize(("how", "code"), [(MemoryError(), "memory.full"), (KeyError("x"), "engine.fault")])
def test_faults_tell_what_to_do(how: BaseException, code: str, tmp_path: Path) -> None:
    reporter = JobReporter("job", Channel(io.BytesIO()), StopSign())
    final = run_job(Raising(how), Run(song("job", tmp_path), str(tmp_path)), reporter)
    assert isinstance(final, Failed)
    assert (final.code, final.refused) == (code, False)
    assert final.hint


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_message_is_one_line_whatever_it_holds(job: str, note: str) -> None:
    said = Said(Progress(job, "x", 0.5, note=note))
    for message, decode in ((said, from_worker.decode), (Stop(job), to_worker.decode)):
        raw = line(message)
        assert raw.count(b"\n") == 1
        assert raw.endswith(b"\n")
        assert decode(raw) == message
