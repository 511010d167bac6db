"""The engine's side for the script's tests: its real OSC server, and behind it a desk that plays noise at once.

Requests pass `bridge.validate.check_request`, so that what the real engine refuses fails here, too. The engine can be
held after its first stem, killed, started again, and told to fail.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mido
import msgspec
import numpy as np
import soundfile

from bridge import VERSION
from bridge.errors import RequestError
from bridge.messages import (
    PROTOCOL,
    Accepted,
    Cancel,
    Cancelled,
    Checks,
    Done,
    Event,
    Failed,
    Ping,
    Pong,
    Progress,
    Render,
    Status,
    StemReady,
)
from bridge.transport import Outlet
from bridge.transport.endpoint import Endpoint, Ports, remove_endpoint, write_endpoint
from bridge.transport.osc import OscServer
from bridge.validate import check_request
from tests.patience import PATIENCE

TOKEN = "a-token-of-the-test"
TICKS = 480


def make_endpoint(folder: Path, port: int, *, version: str = VERSION, protocol: int = PROTOCOL) -> None:
    """Writes an endpoint file for a TCP port."""
    write_endpoint(Endpoint(4242, version, protocol, TOKEN, Ports(1, 1, port, port), "", ""), folder)


@dataclass
class NoiseEngine:
    """Runs between `start` and `stop`. `hold`: jobs stop after their first stem until `release`d. `fail`: the event
    that every job ends with. `lengthen`: samples that every stem has too many."""

    folder: Path
    roots: Sequence[Path]
    hold: bool = False
    fail: Failed | None = None
    lengthen: int = 0
    requests: list[Render] = field(default_factory=list)
    refused: list[RequestError] = field(default_factory=list)
    done: dict[str, list[Event]] = field(default_factory=dict)
    waiting: dict[str, Outlet] = field(default_factory=dict)
    ready: threading.Event = field(default_factory=threading.Event)
    running: bool = False

    def start(self) -> None:
        self.ready.clear()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.thread.start()
        assert self.ready.wait(PATIENCE)

    async def _serve(self) -> None:
        self.loop, self.end = asyncio.get_running_loop(), asyncio.Event()
        self.server = OscServer(self, TOKEN)
        await self.server.open()
        make_endpoint(self.folder, self.server.tcp_port)
        self.running = True
        self.ready.set()
        await self.end.wait()
        await self.server.close()

    def stop(self, *, forget: bool = False) -> None:
        """Ends it; with `forget` all that it knew of jobs is gone, as after a kill of an engine that keeps nothing."""
        if not self.running:
            return
        self.running = False
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join(10)
        remove_endpoint(4242, self.folder)
        self.waiting.clear()
        if forget:
            self.done.clear()

    def release(self) -> None:
        """Lets the held jobs end."""
        self.hold = False
        self.loop.call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        for job, outlet in list(self.waiting.items()):
            del self.waiting[job]
            for event in self.done[job][2:]:
                outlet.send(event)

    # As `bridge.transport.Desk`

    def receive(self, raw: bytes, outlet: Outlet) -> None:
        try:
            request = check_request(raw, self.roots)
        except RequestError as error:
            self.refused.append(error)
            outlet.send(Failed("", error.code, error.message, error.field, error.hint, refused=True))
            return
        if isinstance(request, Ping):
            outlet.send(Pong(VERSION, 4242, True, len(self.waiting)))
        elif isinstance(request, Cancel):
            self.waiting.pop(request.job, None)
            self.done[request.job] = [Cancelled(request.job)]
            outlet.send(Cancelled(request.job))
        elif isinstance(request, Status):
            self._tell(request.job, outlet)
        elif isinstance(request, Render):
            if request.job not in self.done:
                self.requests.append(request)
                self.done[request.job] = self._play(request)
            outlet.send(Accepted(request.job, 0, 2.0))
            self._tell(request.job, outlet)

    def receive_file(self, path: str, outlet: Outlet) -> None:
        self.receive(Path(path).read_bytes(), outlet)

    def _tell(self, job: str, outlet: Outlet) -> None:
        events = self.done.get(job, [])
        if self.hold and len(events) > 2:
            self.waiting[job] = outlet
            events = events[:2]
        for event in events:
            outlet.send(event)

    def _play(self, request: Render) -> list[Event]:
        """The events of a job: progress, stems in order, the end."""
        out = Path(request.project.root or self.folder) / "stembridge" / request.job
        events: list[Event] = [Progress(request.job, "render", 0.5, 1.0)]
        manifests = []
        for take in range(1, request.takes + 1):
            folder = out / f"take-{take}"
            folder.mkdir(parents=True)
            for number, stem in enumerate(request.stems):
                events.append(self._stem(request, folder, take, number, stem.title, stem.role))
            manifests.append(str(folder / "manifest.json"))
        if self.fail:
            return [*events, msgspec.structs.replace(self.fail, job=request.job)]
        return [*events, Done(request.job, tuple(manifests), 0.1, ("one thing to know",))]

    def _stem(self, request: Render, folder: Path, take: int, number: int, name: str, role: str) -> StemReady:
        arrangement = request.arrangement
        clock, rate = arrangement.timeline(), arrangement.sample_rate
        samples = clock.span2samples(arrangement.start, arrangement.end, rate) + self.lengthen
        noise = np.random.default_rng(number).normal(0.0, 0.05, (samples, 2)).astype(np.float32)
        wav, midi = folder / f"{name}.wav", folder / f"{name}.mid"
        soundfile.write(wav, noise, rate, subtype="FLOAT")
        file = mido.MidiFile(ticks_per_beat=TICKS)
        file.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000)]))
        notes = [mido.Message("note_on", note=48 + number, velocity=80, time=0 if number else TICKS)]
        notes.append(mido.Message("note_off", note=48 + number, time=2 * TICKS))
        file.tracks.append(mido.MidiTrack(notes))
        file.save(midi)
        start = clock.beat2sample(arrangement.start, rate)
        return StemReady(
            request.job, take, name, role, str(wav), str(midi), start, arrangement.start, samples, 2, rate, Checks()
        )


class Babbler:
    """A TCP server that answers every connection with bytes of its own."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.calls = 0
        self.held: list[Any] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.calls += 1
            self.held.append(connection)
            connection.sendall(self.answer)
            time.sleep(0.01)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        for one in [self.listener, *self.held]:
            one.close()
