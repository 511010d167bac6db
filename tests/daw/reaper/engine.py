"""The strict engine with several jobs at once, edits of takes, and all the ways in which an engine goes wrong."""

from __future__ import annotations

import json
import shutil
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bridge import VERSION
from bridge.errors import RequestError
from bridge.messages import PROTOCOL, Accepted, Cancelled, Done, Failed, Progress, Render, StemReady, encode
from bridge.validate import check_request
from tests.daw.strict_engine import StrictEngine, appear

NONSENSE = (
    b'{"type": "stem"}',
    b'{"type": "stem", "job": 7, "take": "one", "stem": null, "wav": {}, "samples": -4, "start_sample": 1e400}',
    b'{"type": "stem", "take": 1, "stem": "keys", "role": "keys", "wav": "/no/such/file.wav", "midi": "/no.mid", '
    b'"start_sample": 0, "start_beat": 0, "samples": 100, "channels": 2, "sample_rate": 48000}',
    b"[1, 2]",
    b"",
    b"\x00\xff\xfe garbage",
    b'"a string"',
)
"""What a mad engine writes as its stems, one after the other."""


@dataclass
class BandEngine(StrictEngine):
    """Works on all jobs side by side, one stem of each at a time.

    `hold_after`: stems after which every job waits until `release` is set. `mad`: stems are NONSENSE. `beating` False
    keeps the heartbeat from being written: an engine that hangs. `stems` are all that were announced, in order.
    """

    hold_after: int | None = None
    mad: bool = False
    beating: bool = True
    stems: list[StemReady] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.release = threading.Event()
        self.jobs: dict[str, Iterator[None]] = {}

    def __enter__(self) -> BandEngine:
        self._recover()
        super().__enter__()
        return self

    def __exit__(self, *_: Any) -> None:
        super().__exit__()
        assert not self.problems, self.problems

    def kill(self) -> None:
        """As `kill -9`: nothing is tidied; the heartbeat stays as it was."""
        self.ending.set()
        self.thread.join(10)

    def _recover(self) -> None:
        """As the real engine: an accepted job goes on and says again what it has said; of one that it never wrote down
        it knows nothing."""
        for folder in (self.box / "jobs").iterdir():
            kept = self.data / "band" / f"{folder.name}.json"
            if (folder / "result.json").exists():
                continue
            if kept.exists():
                self.jobs[folder.name] = self._play(folder.name, kept.read_bytes())
            else:
                appear(folder / "result.json", encode(Failed(folder.name, "job.unknown", "there is no such job.")))

    def beat(self) -> None:
        if not self.beating:
            return
        beat = {"pid": 1, "version": VERSION, "protocol": PROTOCOL, "token": self.token, "time": time.time()}
        appear(self.box / "engine.json", json.dumps(beat).encode())

    def _run(self) -> None:
        try:
            self._serve()
        except Exception:
            self.problems.append(traceback.format_exc())

    def _serve(self) -> None:
        beaten = 0.0
        while not self.ending.wait(0.004):
            if time.monotonic() - beaten > 0.5:
                self.beat()
                beaten = time.monotonic()
            for path in sorted((self.box / "requests").glob("*.json")):
                raw = json.loads(path.read_bytes())
                path.unlink()
                if raw.pop("token", None) != self.token:
                    self._refuse(path.stem, "token.wrong")
                else:
                    self.jobs[path.stem] = self._play(path.stem, json.dumps(raw).encode())
            for job, steps in list(self.jobs.items()):
                try:
                    next(steps)
                except StopIteration:
                    del self.jobs[job]
                    self.finished.append(job)
            for gone in (self.box / "jobs").glob("*/gone"):
                shutil.rmtree(gone.parent, ignore_errors=True)

    def _refuse(self, job: str, code: str) -> None:
        folder = self.box / "jobs" / job
        folder.mkdir(exist_ok=True)
        appear(folder / "result.json", encode(Failed(job, code, "the token is not this engine's.", refused=True)))

    def _play(self, job: str, raw: bytes) -> Iterator[None]:
        folder = self.box / "jobs" / job
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        try:
            request = check_request(raw, self.roots)
        except RequestError as error:
            self.refused.append(error)
            failed = Failed(job, error.code, error.message, error.field, error.hint, refused=True)
            appear(folder / "result.json", encode(failed))
            return
        assert isinstance(request, Render)
        if request.job != job:
            self.problems.append(f"{job}.json holds job {request.job}")
        self.requests.append(request)
        (self.data / "band").mkdir(exist_ok=True)
        resumed = (self.data / "band" / f"{job}.json").exists()
        appear(self.data / "band" / f"{job}.json", raw)
        appear(folder / "accepted.json", encode(Accepted(job, 0, 1.0)))
        out = Path(request.project.out or Path(request.project.root or self.data) / "stembridge") / job
        manifests, number = [], 0
        for take in range(1, request.takes + 1):
            home = out / f"take-{take}"
            home.mkdir(parents=True, exist_ok=resumed)
            for place in range(1, len(request.stems) + 1):
                yield
                number += 1
                path = folder / f"stem-{number:03d}.json"
                if self.mad:
                    appear(path, NONSENSE[(number - 1) % len(NONSENSE)])
                    continue
                stem = msgspec.structs.replace(self._stem(request, place, home), take=take)
                self.stems.append(stem)
                appear(folder / "progress.json", encode(Progress(job, "render", place / len(request.stems), 0.5)))
                appear(path, encode(stem))
                while self.hold_after == number and not self.release.is_set():
                    if (folder / "cancel").exists():
                        break
                    yield
                if (folder / "cancel").exists():
                    shutil.rmtree(home)
                    appear(folder / "result.json", encode(Cancelled(job)))
                    return
            manifests.append(str(home / "manifest.json"))
        yield
        done = (
            b'{"type": "done", "manifests": 7}' if self.mad else encode(Done(job, tuple(manifests), 0.1, ("mind it",)))
        )
        appear(folder / "result.json", done)
