"""Jobs that wait share the plan model's batch with the one that runs, and come out as they would alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.client import Client, start_engine, stop_engine
from bridge.messages import Accepted, Done, Render
from tests.e2e.songs import eight_bars
from tests.engine.rig import own_places


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with own_places(tmp_path):
        start_engine()
        yield tmp_path
        stop_engine()


def request(out: Path, job: str, **changes: Any) -> Render:
    made = msgspec.convert(eight_bars(out, job=job, style="pop", trace=True), Render)
    stems = tuple(stem for stem in made.stems if stem.role in ("drums", "bass"))
    return msgspec.structs.replace(made, stems=stems, **changes)


def plans(folder: Path, job: str) -> list[int]:
    """How many plans each call of the model wrote for the job."""
    events = json.loads((folder / "data" / "traces" / f"{job}.json").read_bytes())["traceEvents"]
    return [event["args"]["plans"] for event in events if event["name"] == "plan model"]


def contents(take: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in take.iterdir() if path.suffix in (".wav", ".mid")}


def test_a_waiting_job_shares_the_batch_and_keeps_its_bytes(folder: Path) -> None:
    names = {"first": 5, "second": 6}
    with Client.connect() as client:
        client.models()
        client.pause()
        following = {}
        for name, seed in names.items():
            following[name] = Client.connect().request(request(folder / "out", name, seed=seed))
            assert isinstance(next(following[name]), Accepted)
        client.resume()
        assert all(isinstance(list(events)[-1], Done) for events in following.values())
    assert plans(folder, "first") == [4]
    assert plans(folder, "second") == []
    stop_engine()
    for path in (folder / "data").rglob("*"):
        if path.name.startswith("engine.sqlite"):
            path.unlink()
    start_engine()
    with Client.connect() as client:
        assert isinstance(list(client.request(request(folder / "out", "alone", seed=names["second"])))[-1], Done)
    assert plans(folder, "alone") == [2]
    together, alone = (contents(folder / "out" / name / "take-1") for name in ("second", "alone"))
    assert sorted(together) == ["bass.mid", "bass.wav", "drums.mid", "drums.wav", "mix.wav"]
    assert together == alone
