"""Waiting for work: the result comes through, a wish to stop does not wait for a long step."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.messages import StemReady
from engine.report import JobCancelled, ShareReporter, wait_for
from tests.patience import PATIENCE


class Recorder:
    """A reporter that remembers, and cancels when told to."""

    def __init__(self) -> None:
        self.said: list[tuple[str, float]] = []
        self.stop = False

    def progress(self, stage: str, fraction: float, note: str = "") -> None:
        if self.stop:
            raise JobCancelled
        self.said.append((stage, fraction))

    def stem(self, event: StemReady) -> None:
        raise AssertionError(event)


def test_the_result_and_the_error_of_the_work_come_through() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert wait_for(pool.submit(lambda: 7), lambda: None) == 7
        with pytest.raises(ZeroDivisionError):
            wait_for(pool.submit(lambda: 1 // 0), lambda: None)


def test_a_wish_to_stop_does_not_wait_for_the_step() -> None:
    report, release = Recorder(), threading.Event()
    share = ShareReporter(report, 0.5, 0.5)
    share.progress("guide", 0.2)
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(release.wait, PATIENCE)
        threading.Timer(0.2, lambda: setattr(report, "stop", True)).start()
        with pytest.raises(JobCancelled):
            wait_for(work, share.poll)
        assert not work.done()
        release.set()
    assert set(report.said) == {("guide", 0.6)}


def test_a_take_s_share_never_goes_back() -> None:
    report = Recorder()
    share = ShareReporter(report, 0.0, 1.0)
    share.progress("guide: bass", 0.6)
    share.progress("check: drums", 0.5)
    share.poll()
    assert report.said[-1] == ("check: drums", 0.6)
