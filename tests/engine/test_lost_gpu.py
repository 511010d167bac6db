"""A GPU that is lost in the middle of a job: a strict double raises torch's own error at the pipeline's edge."""

from __future__ import annotations

from pathlib import Path

from bridge.client import Client
from bridge.messages import Done, Failed, Progress
from bridge.transport.endpoint import Endpoint
from engine.worker import is_device_lost, is_out_of_memory
from tests.engine.fakes import lost_gpu
from tests.engine.rig import song, wait_for, workers


def test_a_job_whose_gpu_was_lost_is_tried_again_by_a_new_worker(
    client: Client, endpoint: Endpoint, tmp_path: Path
) -> None:
    before = workers(endpoint)
    events = list(client.request(song("unlucky", tmp_path, "error=gpu-once")))
    assert isinstance(events[-1], Done)
    assert [event.stage for event in events if isinstance(event, Progress)].count("retry") == 1
    assert wait_for(lambda: workers(endpoint) != before)


def test_a_gpu_that_stays_lost_fails_the_job_with_what_torch_said(
    client: Client, endpoint: Endpoint, tmp_path: Path
) -> None:
    failed = list(client.request(song("doomed", tmp_path, "error=gpu")))[-1]
    assert isinstance(failed, Failed)
    assert failed.code == "worker.crashed"
    assert "the GPU was lost: CUDA error: unspecified launch failure" in failed.message
    assert "--resume doomed" in failed.hint
    assert isinstance(list(client.request(song("after", tmp_path)))[-1], Done)


def test_a_lost_gpu_is_told_from_one_that_is_full() -> None:
    import torch

    assert is_device_lost(lost_gpu())
    assert is_device_lost(RuntimeError("CUDA error: device-side assert triggered"))
    assert not is_device_lost(RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"))
    full = getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: out of memory\nCUDA kernel errors might ...")
    assert is_out_of_memory(full)
