"""An engine's mailbox side that refuses all that the real one refuses, and plays noise: known stems, at once.

It takes requests through `bridge.validate.check_request`, so that a wrong or unknown field fails the test. Edits change
the samples of their scope and no other; one whose clock or sections are not its take's, to the bit, is a problem.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

from bridge.errors import RequestError
from bridge.messages import (
    Accepted,
    Cancelled,
    Checks,
    Done,
    Event,
    Failed,
    Progress,
    Render,
    StemReady,
    encode,
)
from bridge.validate import check_request

TICKS = 960
SILENT = "pad"
"""This role gets a MIDI file without notes."""


def appear(path: Path, data: bytes) -> None:
    """Writes a file that becomes visible by rename only."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.rename(path)


@dataclass(frozen=True)
class Taken:
    """A finished take: what was asked for it and what was announced, by the stems' names."""

    request: Render
    folder: Path
    stems: dict[str, StemReady]


@dataclass
class StrictEngine:
    """Runs in a thread while it is entered. `hold` keeps a job from going on after its first stem. `takes` are the
    finished ones by name ("<job>/take-N"). Leaving it, or `kill`, is `kill -9`: what it does is left half done."""

    data: Path
    roots: Sequence[Path]
    token: str = "a-token-of-the-test"
    pid: int = 1
    hold: bool = False
    takes: dict[str, Taken] = field(default_factory=dict)
    requests: list[Render] = field(default_factory=list)
    refused: list[RequestError] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.box = self.data / "mailbox"
        for folder in ("requests", "jobs"):
            (self.box / folder).mkdir(parents=True, exist_ok=True)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> StrictEngine:
        self.beat()
        self.thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.kill()

    def kill(self) -> None:
        """Ends it at once; its heartbeat and its half-done work stay."""
        self.ending.set()
        self.thread.join(10)

    def beat(self) -> None:
        beat = {"pid": self.pid, "version": "test", "token": self.token, "time": time.time()}
        appear(self.box / "engine.json", json.dumps(beat).encode())

    def _run(self) -> None:
        beaten = 0.0
        while not self.ending.wait(0.02):
            if time.monotonic() - beaten > 0.5:
                self.beat()
                beaten = time.monotonic()
            for path in sorted((self.box / "requests").glob("*.json")):
                raw = json.loads(path.read_bytes())
                path.unlink()
                if raw.pop("token", None) != self.token:
                    self.problems.append(f"{path.name}: wrong token")
                self._work(path.stem, json.dumps(raw).encode())

    def _work(self, job: str, raw: bytes) -> None:
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
        self.requests.append(request)
        if request.job != job:
            self.problems.append(f"{job}.json holds job {request.job}")
        self._check_earlier(request)
        appear(folder / "accepted.json", encode(Accepted(job, 0, 1.0)))
        manifests, number = [], 0
        for _ in range(request.takes):
            out = next_take(Path(request.project.root) / "stembridge" / job)
            stems: dict[str, StemReady] = {}
            for place, wanted in enumerate(request.stems, start=1):
                number += 1
                stem = self._stem(request, place, out)
                stems[wanted.title] = stem
                appear(folder / "progress.json", encode(Progress(job, "render", place / len(request.stems), 0.5)))
                appear(folder / f"stem-{number:03d}.json", encode(stem))
                while self.hold and not self.ending.is_set():
                    if (folder / "cancel").exists():
                        shutil.rmtree(out)
                        appear(folder / "result.json", encode(Cancelled(job)))
                        return
                    time.sleep(0.02)
                if self.ending.is_set():
                    return
            self.takes[f"{job}/{out.name}"] = Taken(request, out, stems)
            manifests.append(str(out / "manifest.json"))
        result: Event = Done(job, tuple(manifests), 0.1, ("one thing to know",))
        appear(folder / "result.json", encode(result))

    def _check_earlier(self, request: Render) -> None:
        """The take that is edited or gone on with has to be there and to fit."""
        name = request.scope.take if request.scope else request.continues
        if not name:
            return
        earlier = self.takes.get(name)
        if earlier is None:
            self.problems.append(f"{request.job} names {name}, which is no finished take")
            return
        before, now = earlier.request.arrangement, request.arrangement
        if request.scope is None:
            if now.start != before.end:
                self.problems.append(f"{request.job} goes on at beat {now.start}, its take ends at {before.end}")
        elif (before.clock, before.metres, before.sections) != (now.clock, now.metres, now.sections):
            self.problems.append(f"{request.job} edits {name} with another clock or other sections")

    def _stem(self, request: Render, number: int, out: Path) -> StemReady:
        wanted, arrangement = request.stems[number - 1], request.arrangement
        clock, rate = arrangement.timeline(), arrangement.sample_rate
        start = clock.beat2sample(arrangement.start, rate)
        samples = clock.span2samples(arrangement.start, arrangement.end, rate)
        seed = zlib.crc32(f"{request.seed} {wanted.title}".encode())
        rng = np.random.default_rng(seed)
        audio = (rng.standard_normal((samples, 2)) * 0.05).astype(np.float32)
        audio[0] = audio[-1] = 0.5
        self._keep_outside(request, wanted.title, audio)
        wav, midi = out / f"{wanted.title}.wav", out / f"{wanted.title}.mid"
        soundfile.write(wav, audio, rate, subtype="FLOAT")
        song = mido.MidiFile(ticks_per_beat=TICKS, type=1, charset="utf-8")
        conductor, notes = mido.MidiTrack(), mido.MidiTrack()
        conductor.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(clock.bpm_at(clock.start)), time=0))
        notes.append(mido.MetaMessage("track_name", name=wanted.title, time=0))
        # One velocity per note: a single one of 80 would make every eightieth pair of takes the very same notes.
        for i, velocity in enumerate(rng.integers(40, 120, 8) if wanted.role != SILENT else ()):
            notes.append(mido.Message("note_on", note=40 + number + i, velocity=int(velocity), time=0 if i else 7))
            notes.append(mido.Message("note_off", note=40 + number + i, velocity=0, time=TICKS))
        song.tracks += [conductor, notes]
        song.save(midi)
        return StemReady(
            job=request.job,
            take=int(out.name.removeprefix("take-")),
            stem=wanted.title,
            role=wanted.role,
            wav=str(wav),
            midi=str(midi),
            start_sample=start,
            start_beat=arrangement.start,
            samples=samples,
            channels=2,
            sample_rate=rate,
            checks=Checks(),
        )

    def _keep_outside(self, request: Render, stem: str, audio: NDArray[np.float32]) -> None:
        """In an edit, puts the earlier take's samples back into `audio` [samples, 2] wherever the scope leaves them."""
        scope = request.scope
        earlier = self.takes.get(scope.take) if scope else None
        if scope is None or earlier is None or stem not in earlier.stems:
            return
        before, _ = soundfile.read(earlier.stems[stem].wav, dtype="float32", always_2d=True)
        arrangement = request.arrangement
        clock, rate = arrangement.timeline(), arrangement.sample_rate
        first = clock.beat2sample(arrangement.start, rate)
        start = arrangement.start if scope.start is None else scope.start
        end = arrangement.end if scope.end is None else scope.end
        span = slice(clock.beat2sample(start, rate) - first, clock.beat2sample(end, rate) - first)
        new = audio[span].copy()
        audio[:] = before
        if not scope.stems or stem in scope.stems:
            audio[span] = new


def next_take(job_folder: Path) -> Path:
    """A new `take-N`: numbers are never used again, not even those of a take that was broken off."""
    number = 1
    while (job_folder / f"take-{number}").exists():
        number += 1
    out = job_folder / f"take-{number}"
    out.mkdir(parents=True)
    return out
