"""The mailbox: a folder through which DAW scripts without sockets talk to the engine. This is the engine's side.

    engine.json                 heartbeat, mode 0600, written each second: pid, version, protocol, token, time (Unix, s)
    requests/<job>.json         a render or listen request with one more field, "token"; the engine takes it away
    jobs/<job>/accepted.json    events as JSON: accepted; progress.json (the last); stem-001.json, stem-002.json, ...
    jobs/<job>/piece-001.json   sections of stems that are still being made, likewise numbered; a script may ignore them
    jobs/<job>/result.json      the last event: done, heard, failed or cancelled
    jobs/<job>/cancel           empty file made by the script
    jobs/<job>/gone             made by the script when it has read the result: the engine may delete the folder
    jobs/<job>/proven.json      the engine's own: the request without its token, until it is accepted or refused

An engine that dies leaves its jobs to the next one, which writes their events again. A request that it had taken and
not yet accepted is taken again by the next one; where even that is gone, the job ends with the code job.unknown, and
may be sent again.
Everything appears by renaming only, so a reader never sees half a file. The engine lists one folder per tick.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import time
from collections.abc import Hashable
from pathlib import Path

import msgspec

from bridge import VERSION
from bridge.messages import (
    FINAL,
    PROTOCOL,
    Accepted,
    Cancel,
    Event,
    Failed,
    Heard,
    PieceReady,
    Progress,
    Status,
    StemReady,
    encode,
)
from bridge.transport import Desk
from bridge.transport.endpoint import make_private, same_token, write_private
from bridge.transport.refusals import Refusals
from bridge.validate import JOB_ID, MAX_MESSAGE

TICK = 0.07
"""Seconds between two looks into the folder."""
MAX_PER_TICK = 32
PROVEN = "proven.json"
MAX_FOLLOWED = 300
KEEP_SECONDS = 7 * 86400
"""Results that no script has fetched stay this long."""

log = logging.getLogger(__name__)


class Heartbeat(msgspec.Struct, frozen=True):
    """`engine.json`. An engine whose `time` is more than three seconds ago is gone.

    Scripts of any version may talk to it that speak its `protocol`; the others say which side is to be updated.
    """

    pid: int
    version: str
    protocol: int
    token: str
    time: float


class _LooseProject(msgspec.Struct, frozen=True):
    root: str = ""
    name: str = ""


class _Loose(msgspec.Struct):
    """What fairness needs of a request, whatever else is in it."""

    project: _LooseProject = _LooseProject()


class MailboxOutlet:
    """Writes one job's events into its folder."""

    def __init__(self, folder: Path, project: str = "") -> None:
        self.folder = folder
        self.project = project
        self.finished = False
        self._settled = False
        self._stems = self._pieces = 0

    @property
    def key(self) -> Hashable:
        return ("mailbox", self.folder.name)

    @property
    def client(self) -> str:
        """The project that the request names: a DAW with two projects open takes its turns for each of them."""
        return f"mailbox {self.project}"

    def send(self, event: Event) -> bool:
        """See `bridge.transport.Outlet`. False where the script has deleted the folder."""
        if isinstance(event, Accepted):
            name = "accepted.json"
        elif isinstance(event, Progress):
            name = "progress.json"
        elif isinstance(event, StemReady):
            self._stems += 1
            name = f"stem-{self._stems:03d}.json"
        elif isinstance(event, PieceReady):
            self._pieces += 1
            name = f"piece-{self._pieces:03d}.json"
        elif isinstance(event, (*FINAL, Heard)):
            name = "result.json"
            self.finished = True
        else:
            return True
        try:
            write_private(self.folder / name, encode(event))
            if not self._settled and not isinstance(event, Progress):
                (self.folder / PROVEN).unlink(missing_ok=True)
                self._settled = True
        except FileNotFoundError:
            return False
        except OSError as error:
            log.error("mailbox: cannot write %s of job %s: %s", name, self.folder.name, error)
        return True


class Mailbox:
    """Serves a `Desk` from a folder."""

    def __init__(self, folder: Path, desk: Desk, token: str, refusals: Refusals | None = None) -> None:
        self.folder = folder
        self._refusals = refusals or Refusals()
        self._requests, self._jobs, self._heartbeat = folder / "requests", folder / "jobs", folder / "engine.json"
        self._desk = desk
        self._token = token
        self._followed: dict[str, MailboxOutlet] = {}

    def open(self) -> None:
        """Makes the folders and tidies what an earlier engine left. Raises `StembridgeError`."""
        for folder in (self.folder, self._requests, self._jobs):
            make_private(folder)
        self._recover()
        self.beat()

    def _recover(self) -> None:
        """Jobs without a result go on: the desk tells how they stand, or takes them where they were not accepted yet.
        Results that were read, or that nobody reads, are removed."""
        oldest = time.time() - KEEP_SECONDS
        for folder in self._jobs.iterdir():
            if folder.is_symlink() or not folder.is_dir():
                continue
            if (folder / "gone").exists() or folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)
            elif (folder / "result.json").exists():
                self._follow(folder.name, MailboxOutlet(folder)).finished = True
            else:
                proven = read_file(folder / PROVEN)
                (self._requests / f"{folder.name}.json").unlink(missing_ok=True)
                outlet = self._follow(folder.name, MailboxOutlet(folder, raw2project(proven or b"")))
                self._desk.receive(proven or encode(Status(folder.name)), outlet)
        for part in [*self._requests.glob(".*.part"), *self._jobs.glob("*/.*.part")]:
            part.unlink(missing_ok=True)

    def beat(self) -> None:
        """Writes the heartbeat: once a second."""
        heartbeat = Heartbeat(os.getpid(), VERSION, PROTOCOL, self._token, time.time())
        try:
            write_private(self._heartbeat, msgspec.json.encode(heartbeat))
        except OSError as error:
            log.error("mailbox: cannot write the heartbeat: %s", error)

    def close(self) -> None:
        """Takes the heartbeat away."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            if msgspec.json.decode(self._heartbeat.read_bytes(), type=Heartbeat).token == self._token:
                self._heartbeat.unlink()

    def tick(self) -> None:
        """Takes new requests, wishes to cancel, and permissions to delete. Never raises."""
        try:
            with os.scandir(self._requests) as entries:
                found = [entry.name for entry in entries if not entry.name.startswith(".")]
            for name in found[:MAX_PER_TICK]:
                self._take(self._requests / name)
            for job, outlet in list(self._followed.items()):
                self._look_at(job, outlet)
        except Exception:
            log.exception("mailbox: a look into the folder failed")

    def _look_at(self, job: str, outlet: MailboxOutlet) -> None:
        if outlet.finished:
            if (outlet.folder / "gone").exists():
                shutil.rmtree(outlet.folder, ignore_errors=True)
                del self._followed[job]
        elif (outlet.folder / "cancel").exists():
            (outlet.folder / "cancel").unlink(missing_ok=True)
            self._desk.receive(encode(Cancel(job)), outlet)

    def _take(self, path: Path) -> None:
        job = path.name.removesuffix(".json")
        raw = read_file(path)
        if raw is None or not JOB_ID.match(job):
            remove(path)
            self._refusals.count("mailbox.junk", f"{path.name[:80]!r} is no request and was removed")
            return
        folder = make_private(self._jobs / job)
        for old in folder.iterdir():
            old.unlink(missing_ok=True)
        outlet = self._follow(job, MailboxOutlet(folder))
        proven = self._prove(job, raw, outlet)
        if proven is not None:
            with contextlib.suppress(OSError):  # a full disk: it is taken all the same, as durable as it can be
                write_private(folder / PROVEN, proven)
        remove(path)
        if proven is not None:
            self._desk.receive(proven, outlet)

    def _prove(self, job: str, raw: bytes, outlet: MailboxOutlet) -> bytes | None:
        """The request without its token; None where it is refused, which the outlet is told."""
        try:
            fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
            token = msgspec.json.decode(fields.pop("token", b'""'), type=str)
            named = msgspec.json.decode(fields.get("job", b'""'), type=str)
            outlet.project = raw2project(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            outlet.send(Failed(job, "message.json", "the request is not a JSON object.", refused=True))
            return None
        if not same_token(token, self._token):
            self._refusals.count("token.wrong", "mailbox")
            hint = "Read engine.json again: the engine was started anew."
            outlet.send(Failed(job, "token.wrong", "the token is not this engine's.", hint=hint, refused=True))
        elif named != job:
            outlet.send(Failed(job, "job.name", "the file's name is not the request's job id.", "job", refused=True))
        else:
            return msgspec.json.encode(fields)
        return None

    def _follow(self, job: str, outlet: MailboxOutlet) -> MailboxOutlet:
        """Watches the job's folder; of too many, the oldest finished one is watched no longer."""
        self._followed.pop(job, None)
        if len(self._followed) >= MAX_FOLLOWED:
            oldest = next((name for name, other in self._followed.items() if other.finished), None)
            if oldest is not None:
                del self._followed[oldest]
        self._followed[job] = outlet
        return outlet


def raw2project(raw: bytes) -> str:
    """The folder or else the name of the project in a request; empty where it names none."""
    try:
        project = msgspec.json.decode(raw, type=_Loose).project
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return project.root or project.name


def read_file(path: Path) -> bytes | None:
    """A file's content. None for what is no plain file, cannot be read or is too large."""
    with contextlib.suppress(OSError):
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(path, flags)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_MESSAGE:
                return file.read(MAX_MESSAGE)
    return None


def remove(path: Path) -> None:
    """Takes away whatever lies there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
