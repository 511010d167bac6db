"""An engine's mailbox side that refuses all that the real one refuses, and plays noise: known stems, at once.

It takes requests through `bridge.validate.check_request`, so that a wrong or unknown field fails the test.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mido
import numpy as np
import soundfile

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


@dataclass
class StrictEngine:
    """Runs in a thread between `start` and `stop`. `hold` keeps a job from ending after its first stem."""

    data: Path
    roots: Sequence[Path]
    token: str = "a-token-of-the-test"
    hold: bool = False
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
        self.ending.set()
        self.thread.join(10)

    def beat(self) -> None:
        beat = {"pid": 1, "version": "test", "token": self.token, "time": time.time()}
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
        folder.mkdir()
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
        appear(folder / "accepted.json", encode(Accepted(job, 0, 1.0)))
        out = Path(request.project.root) / "stembridge" / job / "take-1"
        out.mkdir(parents=True)
        for number in range(1, len(request.stems) + 1):
            appear(folder / "progress.json", encode(Progress(job, "render", number / len(request.stems), 0.5)))
            appear(folder / f"stem-{number:03d}.json", encode(self._stem(request, number, out)))
            while self.hold and not self.ending.is_set():
                if (folder / "cancel").exists():
                    appear(folder / "result.json", encode(Cancelled(job)))
                    return
                time.sleep(0.02)
        result: Event = Done(job, (str(out / "manifest.json"),), 0.1, ("one thing to know",))
        appear(folder / "result.json", encode(result))

    def _stem(self, request: Render, number: int, out: Path) -> StemReady:
        wanted, arrangement = request.stems[number - 1], request.arrangement
        clock, rate = arrangement.timeline(), arrangement.sample_rate
        start = clock.beat2sample(arrangement.start, rate)
        samples = clock.span2samples(arrangement.start, arrangement.end, rate)
        rng = np.random.default_rng(number)
        audio = (rng.standard_normal((samples, 2)) * 0.05).astype(np.float32)
        audio[0] = audio[-1] = 0.5
        wav, midi = out / f"{wanted.title}.wav", out / f"{wanted.title}.mid"
        soundfile.write(wav, audio, rate, subtype="FLOAT")
        song = mido.MidiFile(ticks_per_beat=TICKS, type=1)
        conductor, notes = mido.MidiTrack(), mido.MidiTrack()
        conductor.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(clock.bpm_at(clock.start)), time=0))
        notes.append(mido.MetaMessage("track_name", name=wanted.title, time=0))
        for i in range(8 if wanted.role != SILENT else 0):
            notes.append(mido.Message("note_on", note=40 + number + i, velocity=80, time=0 if i else 7))
            notes.append(mido.Message("note_off", note=40 + number + i, velocity=0, time=TICKS))
        song.tracks += [conductor, notes]
        song.save(midi)
        return StemReady(
            job=request.job,
            take=1,
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
