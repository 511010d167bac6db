"""The Python client: starts, finds and ends the engine, sends requests, hands out events.

    with Client.connect(start=True) as client:
        for event in client.request(render):
            ...

One client serves one thread. An engine that dies is noticed within `LOST_AFTER` seconds: `StembridgeError`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from bridge.errors import RequestError, StembridgeError
from bridge.messages import (
    FINAL,
    PROTOCOL,
    Accepted,
    Cancel,
    Event,
    Failed,
    Heard,
    JobList,
    Jobs,
    Listen,
    ModelList,
    Models,
    Move,
    Pause,
    Ping,
    Pong,
    Progress,
    Project,
    Render,
    Request,
    Resume,
    Shutdown,
    StatList,
    Stats,
    Status,
    decode_event,
    encode,
)
from bridge.paths import data_folder
from bridge.transport.endpoint import Endpoint, is_alive, is_locked, make_private, read_endpoint, runtime_folder
from bridge.transport.lan import named_engine
from bridge.validate import MAX_MESSAGE

if TYPE_CHECKING:
    import zmq

FRAME = f"stembridge/{PROTOCOL}".encode()
ANSWER_WITHIN = 5.0
"""Seconds within which a living engine answers a ping, busy or not, on a machine that has no turn for it at once."""
PING_EVERY = 1.0
LOST_AFTER = 10.0
"""Seconds of silence after which an engine is lost whose process lives; one that has died is noticed after a ping."""
START_TIMEOUT = 180.0
LAST_SEND_MS = 500
ENDS = (*FINAL, Heard)
Answer = TypeVar("Answer", JobList, ModelList, StatList)
MAX_INBOX = 10_000
RUNNING_ALREADY = 4
"""Exit code of `engine.process` where another engine runs."""


class Client:
    """A connection to the engine. Use as a context manager, or `close` it."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Connects; nothing is sent yet. `Client.connect` finds the engine first."""
        import zmq

        self.endpoint = endpoint
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, LAST_SEND_MS)
        self._socket.setsockopt(zmq.IDENTITY, new_identity())
        self._socket.setsockopt(zmq.MAXMSGSIZE, 4 * MAX_MESSAGE)
        if endpoint.curve is not None:
            self._socket.setsockopt(zmq.CURVE_SERVERKEY, endpoint.curve.server.encode())
            self._socket.setsockopt(zmq.CURVE_PUBLICKEY, endpoint.curve.public.encode())
            self._socket.setsockopt(zmq.CURVE_SECRETKEY, endpoint.curve.secret.encode())
        self._socket.connect(f"tcp://{endpoint.address}:{endpoint.ports.zmq}")
        self._inbox: list[Event] = []
        self._pinged_at = 0.0

    @classmethod
    def connect(cls, *, start: bool = False, roots: Sequence[Path] = (), timeout: float = START_TIMEOUT) -> Self:
        """A client of the running engine; `start` starts one where none runs. Raises `StembridgeError`.

        Where `STEMBRIDGE_ENGINE` names a pass, of that engine on another machine.
        """
        endpoint = named_engine() or find_engine()
        if endpoint is None and start:
            try:
                endpoint = start_engine(roots=roots, timeout=timeout, wait_for_models=False)
            except StembridgeError as error:
                endpoint = find_engine(timeout) if error.code == "engine.running" else None
                if endpoint is None:
                    raise
        if endpoint is None:
            raise StembridgeError("engine.none", "no engine runs.", hint="Start it with `stembridge engine start`.")
        return cls(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; jobs go on."""
        self._context.destroy(linger=LAST_SEND_MS)

    def send(self, message: Request) -> None:
        """Sends without waiting for an answer. Raises `RequestError` where the message is too large."""
        import zmq

        raw = encode(message)
        if len(raw) > MAX_MESSAGE:
            raise RequestError(
                "message.too_large", f"the request has {len(raw) >> 20} MB; at most {MAX_MESSAGE >> 20}."
            )
        try:
            self._socket.send_multipart([FRAME, self.endpoint.token.encode(), raw], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            raise self._lost() from error

    def request(self, message: Render | Listen | Status) -> Iterator[Event]:
        """Sends a request at once; gives its job's events up to the last one as they come.

        Raises `StembridgeError` when the engine dies. Sending the same request again is safe: it gives the state of
        the job and what follows.
        """
        self._inbox = [event for event in self._inbox if getattr(event, "job", "") != message.job]
        self.send(message)
        return self._events(message.job)

    def _events(self, job: str) -> Iterator[Event]:
        while True:
            event = self._wait(lambda e: getattr(e, "job", None) in (job, ""))
            yield event
            if isinstance(event, ENDS):
                return

    def ping(self, timeout: float = ANSWER_WITHIN) -> Pong:
        """Asks whether the engine lives. Raises `StembridgeError` where it does not answer in `timeout` seconds."""
        self._inbox = [event for event in self._inbox if not isinstance(event, Pong)]
        self.send(Ping())
        event = self._wait(lambda e: isinstance(e, Pong) or _is_refusal(e), timeout)
        if isinstance(event, Failed):
            raise RequestError(event.code, event.message, field=event.field, hint=event.hint)
        assert isinstance(event, Pong)
        return event

    def cancel(self, job: str) -> Event:
        """Stops a job and waits for its last event: `Cancelled`, or `Done` or `Failed` where it came too late."""
        self.send(Cancel(job))
        return self._wait(lambda e: isinstance(e, ENDS) and e.job in (job, ""))

    def pause(self, job: str = "") -> Event:
        """Lets a job wait, keeping what it has finished, or the whole queue; see `bridge.messages.Pause`."""
        return self._change(Pause(job), job)

    def resume(self, job: str = "") -> Event:
        """Goes on with a paused or parked job, or with the queue; see `bridge.messages.Resume`."""
        return self._change(Resume(job), job)

    def move(self, job: str, position: int = 0) -> Event:
        """Puts a waiting job elsewhere in its client's order; see `bridge.messages.Move`."""
        return self._change(Move(job, position), job)

    def _change(self, message: Pause | Resume | Move, job: str) -> Event:
        """The answer: `Progress` of stage "paused", `Accepted`, the job's last event, a refusal; or `JobList`."""
        self._inbox = [event for event in self._inbox if getattr(event, "job", None) != job]
        self.send(message)

        def answers(event: Event) -> bool:
            if not job:
                return isinstance(event, JobList) or _is_refusal(event)
            said = isinstance(event, (Accepted, *ENDS)) or (isinstance(event, Progress) and event.stage == "paused")
            return said and getattr(event, "job", "") in (job, "")

        return self._wait(answers)

    def jobs(self) -> JobList:
        """The jobs that the engine knows, newest last."""
        return self._ask(Jobs(), JobList)

    def stats(self) -> StatList:
        """The engine's counters and gauges."""
        return self._ask(Stats(), StatList)

    def models(self, timeout: float | None = None) -> ModelList:
        """The composers and renderers. Waits until the worker has loaded. Raises `StembridgeError` where it cannot."""
        return self._ask(Models(), ModelList, timeout)

    def listen(self, path: str, project: Project | None = None) -> Heard | Event:
        """What a MIDI or audio file holds; `Failed` where it cannot be said."""
        import uuid

        *_, last = self.request(Listen(f"listen-{uuid.uuid4().hex}", path, project=project or Project()))
        return last

    def _ask(self, message: Request, kind: type[Answer], timeout: float | None = None) -> Answer:
        self.send(message)
        event = self._wait(lambda e: isinstance(e, kind) or _is_refusal(e), timeout)
        if isinstance(event, Failed):
            raise StembridgeError(event.code, event.message, field=event.field, hint=event.hint)
        assert isinstance(event, kind)
        return event

    def _wait(self, wanted: Callable[[Event], bool], timeout: float | None = None) -> Event:
        """The first event that fits; keeps the others. Pings meanwhile, so that a dead engine is noticed.

        Only time spent listening is silence: a machine that was suspended does not lose its engine.
        """
        end = None if timeout is None else time.monotonic() + timeout
        silence = 0.0
        while True:
            for i, event in enumerate(self._inbox):
                if wanted(event):
                    return self._inbox.pop(i)
            now = time.monotonic()
            if (end is not None and now >= end) or silence > LOST_AFTER:
                raise self._lost()
            if silence >= PING_EVERY:
                if self.endpoint.curve is None and not is_alive(self.endpoint.pid):
                    raise self._lost()
                if now - self._pinged_at > PING_EVERY:
                    self._pinged_at = now
                    self.send(Ping())
            pause = PING_EVERY if end is None else min(PING_EVERY, max(end - now, 0.0))
            silence = 0.0 if self._receive(pause) else silence + pause

    def _receive(self, seconds: float) -> bool:
        """Takes what has arrived into the inbox, but for events of kinds yet unknown; False when nothing came."""
        import zmq

        if not self._socket.poll(int(seconds * 1000) + 1):
            return False
        with contextlib.suppress(zmq.Again):
            while True:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
                if len(frames) == 2 and frames[0] == FRAME:
                    with contextlib.suppress(msgspec.MsgspecError):
                        self._keep(decode_event(frames[1]))
        return True

    def _keep(self, event: Event) -> None:
        """Of pongs only the last is kept; of too many events nobody asks for, the newest."""
        if isinstance(event, Pong):
            self._inbox = [other for other in self._inbox if not isinstance(other, Pong)]
        self._inbox.append(event)
        del self._inbox[:-MAX_INBOX]

    def _lost(self) -> StembridgeError:
        hint = f"Start it again with `stembridge engine start`; its log is {self.endpoint.log}."
        return StembridgeError("engine.lost", "the engine does not answer any more.", hint=hint)


def new_identity() -> bytes:
    """A name by which the engine shares out turns, and a nonce: commands of one terminal or script count as one."""
    import secrets

    session = os.getsid(0) if hasattr(os, "getsid") else os.getppid()
    return f"{Path(sys.argv[0] or 'python').stem[:40]}-{session}/{secrets.token_hex(16)}".encode("ascii", "replace")


def _is_refusal(event: Event) -> bool:
    return isinstance(event, Failed) and event.job == ""


def find_engine(timeout: float = 0.0) -> Endpoint | None:
    """The endpoint of an engine that lives and answers, waiting for one if asked; None for none or a stale file."""
    end = time.monotonic() + timeout
    while True:
        endpoint = read_endpoint()
        if endpoint is not None and is_locked() and _ping(endpoint) is not None:
            return endpoint
        if time.monotonic() >= end:
            return None
        time.sleep(0.02)


def engine_status() -> Pong | None:
    """The running engine's state, or None where none runs."""
    endpoint = read_endpoint()
    return None if endpoint is None or not is_locked() else _ping(endpoint)


def _ping(endpoint: Endpoint) -> Pong | None:
    if not is_alive(endpoint.pid):
        return None
    with Client(endpoint) as client, contextlib.suppress(StembridgeError):
        return client.ping()
    return None


def start_engine(
    *,
    roots: Sequence[Path] = (),
    timeout: float = START_TIMEOUT,
    wait_for_models: bool = True,
    options: Sequence[str] = (),
) -> Endpoint:
    """Starts a detached engine and waits until it answers (and has loaded its models). `options`: of `engine.process`.

    Raises `StembridgeError` where one runs already, or it does not come up in `timeout` seconds.
    """
    import subprocess

    data = make_private(data_folder())
    first_words = data / "engine-start.log"
    command = [sys.executable, "-P", "-m", "engine.process", *options]
    for root in roots:
        command += ["--root", str(Path(root).resolve())]
    with first_words.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            creationflags=getattr(subprocess, "DETACHED_PROCESS", 0),
            cwd=data,
        )
    threading.Thread(target=process.wait, name="engine reaper", daemon=True).start()
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        endpoint = read_endpoint()
        if endpoint is not None and endpoint.pid == process.pid and _ping(endpoint) is not None:
            if wait_for_models:
                _wait_for_models(endpoint, end - time.monotonic())
            return endpoint
        if process.poll() is not None:
            words = first_words.read_text("utf-8", "replace").strip().removeprefix("stembridge: ")
            code = "engine.running" if process.returncode == RUNNING_ALREADY else "engine.start"
            raise StembridgeError(code, words.splitlines()[-1] if words else "the engine ended at once.")
        time.sleep(0.02)
    process.kill()
    raise _too_slow(timeout, str(data / "engine.log"))


def _wait_for_models(endpoint: Endpoint, timeout: float) -> None:
    """Ends an engine that cannot load them, and raises its reason."""
    try:
        with Client(endpoint) as client:
            client.models(timeout)
    except StembridgeError as error:
        stop_engine()
        if error.code == "engine.lost":
            raise _too_slow(timeout, endpoint.log) from error
        raise


def _too_slow(seconds: float, log: str) -> StembridgeError:
    message = f"the engine was not ready within {seconds:.0f} seconds."
    return StembridgeError("engine.slow", message, hint=f"Its log is {log}.")


def stop_engine(timeout: float = 20.0) -> bool:
    """Ends the running engine; one that does not answer is killed. False where none runs. Raises `StembridgeError`."""
    endpoint = read_endpoint()
    if endpoint is None or not is_locked():
        return False
    with Client(endpoint) as client, contextlib.suppress(StembridgeError):
        client.send(Shutdown())
        client.ping()
    if _ends_within(timeout / 2):
        return True
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        stuck = read_endpoint()
        if stuck is not None and is_locked():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(stuck.pid, number)
        if _ends_within(timeout / 4):
            return True
    raise StembridgeError("engine.stuck", f"process {endpoint.pid} does not end.", field=str(runtime_folder()))


def _ends_within(seconds: float) -> bool:
    end = time.monotonic() + seconds
    while is_locked():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
