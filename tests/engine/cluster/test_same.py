"""What holds of an engine with one worker process holds with two Ray actors: the same tests, on such an engine."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bridge.client import Client, start_engine
from bridge.errors import StembridgeError
from bridge.messages import Accepted, Done, Status
from bridge.transport.endpoint import Endpoint
from engine.cluster.join import check_installed
from tests.engine.rig import ECHO, echo_engine, song, wait_for, workers
from tests.engine.test_faults import (
    test_a_full_disk_under_the_worker_fails_the_job_alone,
    test_a_worker_without_memory_fails_the_job_alone,
)
from tests.engine.test_process_jobs import (
    test_a_bad_request_is_refused_before_it_is_queued,
    test_a_finished_take_outlives_the_failure_of_the_job,
    test_a_job_survives_one_kill_of_its_worker,
    test_a_job_tells_its_whole_life,
    test_a_job_that_kills_its_worker_twice_fails_and_the_engine_lives,
    test_a_running_job_is_cancelled_soon_and_leaves_nothing,
    test_a_worker_that_is_deaf_to_cancel_is_killed_and_replaced,
    test_an_idle_worker_that_is_killed_is_replaced,
    test_another_request_under_the_same_id_is_refused,
    test_cancelling_before_the_request_is_checked_still_cancels,
    test_cancelling_what_is_over_or_unknown,
    test_errors_of_the_pipeline_reach_the_musician,
    test_late_joiners_get_a_snapshot,
    test_listen_and_models,
    test_round_trip_while_a_job_runs,
    test_the_eta_is_measured,
    test_the_same_request_again_gives_the_state_and_no_second_job,
)
from tests.engine.test_queue import (
    test_a_paused_job_can_be_cancelled,
    test_a_running_job_is_paused_and_frees_the_worker,
)
from tests.patience import PATIENCE

__all__ = [
    "test_a_bad_request_is_refused_before_it_is_queued",
    "test_a_finished_take_outlives_the_failure_of_the_job",
    "test_a_full_disk_under_the_worker_fails_the_job_alone",
    "test_a_job_survives_one_kill_of_its_worker",
    "test_a_job_tells_its_whole_life",
    "test_a_job_that_kills_its_worker_twice_fails_and_the_engine_lives",
    "test_a_paused_job_can_be_cancelled",
    "test_a_running_job_is_cancelled_soon_and_leaves_nothing",
    "test_a_running_job_is_paused_and_frees_the_worker",
    "test_a_worker_that_is_deaf_to_cancel_is_killed_and_replaced",
    "test_a_worker_without_memory_fails_the_job_alone",
    "test_an_idle_worker_that_is_killed_is_replaced",
    "test_another_request_under_the_same_id_is_refused",
    "test_cancelling_before_the_request_is_checked_still_cancels",
    "test_cancelling_what_is_over_or_unknown",
    "test_errors_of_the_pipeline_reach_the_musician",
    "test_late_joiners_get_a_snapshot",
    "test_listen_and_models",
    "test_round_trip_while_a_job_runs",
    "test_the_eta_is_measured",
    "test_the_same_request_again_gives_the_state_and_no_second_job",
]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with echo_engine(tmp_path_factory.mktemp("actors"), "--ray", "auto", "--actors", "2") as running:
        yield running


@pytest.fixture
def end_of_a_killed_worker() -> str:
    """As Ray tells it."""
    return "The actor is dead because "


def test_the_workers_are_two_actors(endpoint: Endpoint) -> None:
    assert len(workers(endpoint)) == 2


def test_two_jobs_run_at_a_time_and_the_third_waits(client: Client, tmp_path: Path) -> None:
    gate = tmp_path / "go"
    following = [client.request(song(f"pair-{i}", tmp_path, f"hold={gate}")) for i in range(3)]
    for events in following:
        next(events)
    wanted = {"pair-0": ("running", -1), "pair-1": ("running", -1), "pair-2": ("queued", 0)}
    wait_for(lambda: {r.job: (r.state, r.position) for r in client.jobs().jobs if r.job.startswith("pair-")} == wanted)
    gate.touch()
    ends = [list(events)[-1] for events in following]
    assert [type(end) for end in ends] == [Done] * 3
    pids = [json.loads(Path(end.manifests[0]).read_text())["pid"] for end in ends if isinstance(end, Done)]
    assert pids[0] != pids[1]


def test_what_an_engine_that_died_with_its_cluster_leaves_is_gone_on_with(tmp_path: Path) -> None:
    gate = tmp_path / "go"
    options = ("--ray", "auto", "--actors", "2")
    with echo_engine(tmp_path, *options) as endpoint, Client(endpoint) as client:
        for name in ("one", "two", "three"):
            assert isinstance(next(client.request(song(name, tmp_path, f"hold={gate}"))), Accepted)
        wait_for(lambda: len(list(tmp_path.rglob("drums.wav"))) == 2)
        family = psutil.Process(endpoint.pid).children(recursive=True)
        assert workers(endpoint) <= {process.pid for process in family}
        os.kill(endpoint.pid, signal.SIGKILL)
        assert not psutil.wait_procs(family, timeout=PATIENCE)[1], "workers outlive their engine"
        gate.touch()
        with Client(start_engine(options=[*ECHO, *options])) as again:
            ends = [list(again.request(Status(name)))[-1] for name in ("one", "two", "three")]
        assert [type(end) for end in ends] == [Done] * 3


def test_without_ray_the_engine_says_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(StembridgeError) as caught:
        check_installed()
    assert "stembridge[ray]" in caught.value.hint


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StembridgeError, match="cannot be joined"),
        echo_engine(tmp_path, "--ray", "127.0.0.1:1"),
    ):
        pass
