"""On the whole road: a job that waits is painted in a free row of the running job's call, and finds its sound there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec

from bridge.client import Client
from bridge.handover.manifest import read_manifest
from bridge.messages import Accepted, Done, Render
from bridge.messages import ModelRow as Row
from engine.rendering import Renderer, Stretch
from tests.e2e.checkpoints import engine, four_bars, stem
from tests.engine.conform.doubles import DoublePipeline, DoubleRenderer, filtered
from tests.engine.rig import wait_for


class PatientPipeline(DoublePipeline):
    """One double for all jobs, that chooses its first batch when a guest offers a stretch."""

    def __init__(self) -> None:
        super().__init__()
        self._double = Patient(self)

    def open_renderer(self, row: Row) -> Renderer | None:
        return self._double if row.path else None


class Patient(DoubleRenderer):
    def __init__(self, pipeline: PatientPipeline) -> None:
        super().__init__("ace-step", filtered)
        self._pipeline = pipeline

    def shape(self, stretch: Stretch) -> Any:
        if not self.asked:
            wait_for(lambda: any(shared.offered for shared in self._pipeline._shared.values()))
        return super().shape(stretch)


def calls(job: str) -> list[tuple[int, int]]:
    """(rows, jobs or takes) of each call of a renderer in the job's turn."""
    raw = (Path(os.environ["STEMBRIDGE_DATA"]) / "traces" / f"{job}.json").read_bytes()
    said = [event["args"] for event in json.loads(raw)["traceEvents"] if event["name"] == "render batch"]
    return [(args["rows"], args["calls"]) for args in said]


def request(out: Path, job: str, seed: int) -> Render:
    body = four_bars(out, job=job, seed=seed, stems=[{"role": "bass"}], renderer="ace-step", trace=True)
    return msgspec.convert(body, Render)


def test_a_waiting_job_is_painted_in_the_running_one_s_call(added: Path, tmp_path: Path) -> None:
    with engine(added, ["--pipeline", "tests.e2e.test_guests:PatientPipeline", "--root", str(tmp_path)]):
        with Client.connect() as client:
            client.models()
            client.pause()
            following = {}
            for job, seed in (("first", 5), ("second", 6)):
                following[job] = Client.connect().request(request(tmp_path, job, seed))
                assert isinstance(next(following[job]), Accepted)
            client.resume()
            ends = {job: list(events)[-1] for job, events in following.items()}
        assert calls("first") == [(2, 2)], "one call with a row for each job"
        assert calls("second") == [], "it found its sound in the store"
    for end in ends.values():
        assert isinstance(end, Done)
        painted = stem(read_manifest(Path(end.manifests[0]).parent), "bass").painted
        assert painted is not None
        assert painted.used
