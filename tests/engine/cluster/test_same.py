"""What holds of an engine with one worker process holds with two Ray actors: the same tests, on such an engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.client import Client
from bridge.transport.endpoint import Endpoint
from tests.engine.rig import echo_engine, workers
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
def client(endpoint: Endpoint) -> Iterator[Client]:
    with Client(endpoint) as connected:
        yield connected


@pytest.fixture
def other(endpoint: Endpoint) -> Iterator[Client]:
    with Client(endpoint) as connected:
        yield connected


def test_the_workers_are_two_actors(endpoint: Endpoint) -> None:
    assert len(workers(endpoint)) == 2
