"""Renders that are killed at random moments: what is there afterwards must be what an undisturbed render gives.

Each trial clears the store of stages, sends a request, waits for a random part of the time that it takes, kills the
worker, the front or both with SIGKILL, looks at what lies on disk, starts the engine again where it is dead, asks for
the same job again and compares all files with those of the undisturbed render.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil

from bridge.client import Client, find_engine, start_engine, stop_engine
from bridge.errors import StembridgeError
from bridge.messages import Done, Event, Render, Status, StemReady
from engine.coming import Coming
from engine.pipeline import Pipeline
from engine.report import Reporter
from engine.stages import Chunk, StageCache
from tests.patience import PATIENCE

PIPELINE = "tests.engine.kills:CountingPipeline"
COUNTS = "STEMBRIDGE_TEST_COUNTS"
VICTIMS = ("worker", "front", "both")
GENTLE = ("stop", "pause")
"""Interruptions of the engine's own: SIGTERM, and a pause that ends at once."""
MANIFEST_MAY_DIFFER = ("job", "seconds")
"""What of a manifest is of the attempt and not of the music: the job's id, and how long each stage took."""


@dataclass
class CountingStages:
    """Writes down each stage that is finished, after it was kept."""

    stages: StageCache
    path: Path

    def get(self, key: str) -> bytes | None:
        return self.stages.get(key)

    def put(self, key: str, *chunks: Chunk) -> None:
        self.stages.put(key, *chunks)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, f"{key}\n".encode())
        os.close(handle)


class CountingPipeline(Pipeline):
    """The real pipeline; it tells which stages it has finished."""

    def render(
        self,
        request: Render,
        out: Path,
        report: Reporter,
        *,
        stages: StageCache,
        first_take: int = 1,
        coming: Sequence[Coming] = (),
    ) -> Done:
        counted = CountingStages(stages, Path(os.environ[COUNTS]) / request.job)
        return super().render(request, out, report, stages=counted, first_take=first_take, coming=coming)


@dataclass(frozen=True)
class Trial:
    """One interruption: `at` is the share of an undisturbed render's time."""

    number: int
    at: float
    victim: str


def trials(count: int, seed: int, kinds: Sequence[str] = VICTIMS) -> list[Trial]:
    """Spread over the whole render, at random within each part; every victim equally often."""
    chance = random.Random(seed)
    victims = [kinds[i % len(kinds)] for i in range(count)]
    chance.shuffle(victims)
    return [Trial(i, (i + chance.random()) / count, victims[i]) for i in range(count)]


@dataclass
class Killer:
    """Runs trials on one data folder; `request` is what is rendered, `home` where all is kept."""

    home: Path
    request: Render
    seconds: float = 0.0

    def undisturbed(self) -> None:
        """Renders without a kill, twice: the first one warms the models up, the second one is timed and compared."""
        (self.home / "counts").mkdir(exist_ok=True)
        os.environ[COUNTS] = str(self.home / "counts")
        self.start()
        for name in ("warm", "undisturbed"):
            self._clear()
            with Client.connect() as client:
                began = time.monotonic()
                assert isinstance(list(client.request(self._named(name)))[-1], Done)
                self.seconds = time.monotonic() - began

    def start(self) -> None:
        """An engine with its models."""
        start_engine(options=["--pipeline", PIPELINE])

    def run(self, trial: Trial, tries: int = 3) -> float:
        """One trial, done again earlier where the render was over before; gives the seconds from the interruption to
        the end of the job. Raises AssertionError."""
        for attempt in range(tries):
            took, under_way = self._interrupt(trial, f"killed-{trial.number}-{attempt}")
            if under_way:
                break
            self.seconds *= 0.8  # the machine has become faster than it was when this was measured
        return took

    def _interrupt(self, trial: Trial, name: str) -> tuple[float, bool]:
        """Seconds from the interruption to the end, and whether the render was under way."""
        request = self._named(name)
        self._clear()
        finals: list[Event] = []
        with Client.connect() as client:
            client.models()
            client.send(request)
            time.sleep(trial.at * self.seconds)
            under_way = not (self._folder(name) / f"take-{request.takes}" / "manifest.json").exists()
            if trial.victim == "pause":
                client.pause(name)
                client.resume(name)
            else:
                self._kill(client.endpoint.pid, trial.victim)
        began = time.monotonic()
        self._check_names(name)
        if find_engine() is None:
            self.start()
        with Client.connect() as client:
            finals.append(list(client.request(request))[-1])
            told = list(client.request(Status(name)))
            finals.append(told[-1])
            states = [row.state for row in client.jobs().jobs if row.job == name]
        took = time.monotonic() - began
        assert isinstance(finals[0], Done), finals[0]
        assert finals[0] == finals[1]
        assert states == ["done"]
        stems = [(event.take, event.stem) for event in told if isinstance(event, StemReady)]
        assert sorted(stems) == sorted(
            (take, stem.title) for take in range(1, request.takes + 1) for stem in request.stems
        )
        self.compare(name)
        return took, under_way

    def compare(self, name: str) -> None:
        """Every file of every take is the undisturbed one's; nothing else is there; no stage was finished twice."""
        ours, theirs = self._folder(name), self._folder("undisturbed")
        assert files(ours) == files(theirs)
        for path in files(ours):
            if path.name == "manifest.json":
                assert manifest(ours / path) == manifest(theirs / path)
            else:
                assert (ours / path).read_bytes() == (theirs / path).read_bytes(), path
        finished = (self.home / "counts" / name).read_text().splitlines()
        assert len(finished) == len(set(finished)), "a finished stage was made again"
        expected = (self.home / "counts" / "undisturbed").read_text().splitlines()
        assert set(finished) <= set(expected)
        leftovers = [p for p in self.home.rglob("*.part") if p.is_file()]
        assert not leftovers, leftovers

    def _kill(self, pid: int, victim: str) -> None:
        front = psutil.Process(pid)
        workers = front.children()
        if victim == "stop":
            front.terminate()
            assert not psutil.wait_procs([front, *workers], timeout=PATIENCE)[1]
            return
        dying = {"worker": workers, "front": [front], "both": [front, *workers]}[victim]
        for process in dying:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(dying if victim == "worker" else [front, *workers], timeout=PATIENCE)

    def _check_names(self, name: str) -> None:
        """Just after the kill: whatever has its final name is whole."""
        ours, theirs = self._folder(name), self._folder("undisturbed")
        for path in files(ours):
            if not path.name.startswith(".") and path.name != "manifest.json":
                assert (ours / path).read_bytes() == (theirs / path).read_bytes(), path

    def _clear(self) -> None:
        """Forgets all finished stages, so that each trial has to make them."""
        connection = sqlite3.connect(self.home / "data" / "engine.sqlite", timeout=PATIENCE)
        with connection:
            connection.execute("DELETE FROM stages")
            connection.execute("DELETE FROM uses")
        connection.close()
        for path in (self.home / "data" / "stages").glob("*/*"):
            path.unlink()

    def _named(self, name: str) -> Render:
        return msgspec.structs.replace(self.request, job=name)

    def _folder(self, name: str) -> Path:
        return Path(self.request.project.out) / name


def files(folder: Path) -> list[Path]:
    """All files below a folder, relative to it, sorted."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def manifest(path: Path) -> dict[str, Any]:
    """A manifest without what is of the attempt."""
    said = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    return {name: value for name, value in said.items() if name not in MANIFEST_MAY_DIFFER}


def stop() -> None:
    """Ends the engine, if one runs."""
    with contextlib.suppress(StembridgeError):
        stop_engine()
