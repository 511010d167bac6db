"""The mailbox: as a DAW script uses it, on a real engine; and its own care for damaged and leftover files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.client import Client, start_engine
from bridge.messages import Accepted, Cancel, Cancelled, Event, Failed, Progress, Status, encode
from bridge.transport import Outlet
from bridge.transport.endpoint import Endpoint, is_locked
from bridge.transport.mailbox import KEEP_SECONDS, PROVEN, Mailbox
from bridge.validate import MAX_MESSAGE
from tests.engine.rig import ECHO, echo_engine, song, wait_for


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with echo_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


class Script:
    """What a DAW script does, with files only."""

    def __init__(self, box: Path) -> None:
        self.box = box

    def token(self) -> str:
        return str(json.loads((self.box / "engine.json").read_text())["token"])

    def put(self, job: str, content: bytes) -> Path:
        part = self.box / "requests" / f".{job}.part"
        part.write_bytes(content)
        part.rename(self.box / "requests" / f"{job}.json")
        return self.box / "jobs" / job

    def ask(self, job: str, root: Path, style: str = "", **changes: Any) -> Path:
        request = json.loads(encode(song(changes.pop("named", job), root, style)))
        return self.put(job, json.dumps({**request, "token": self.token(), **changes}).encode())


@pytest.fixture
def script(endpoint: Endpoint) -> Script:
    return Script(Path(endpoint.mailbox))


def result(folder: Path) -> dict[str, Any]:
    wait_for((folder / "result.json").exists)
    answer: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return answer


def test_a_request_runs_and_is_tidied_away(script: Script, tmp_path: Path) -> None:
    folder = script.ask("box-1", tmp_path, "steps=60 pause=0.005")
    assert result(folder)["type"] == "done"
    files = sorted(path.name for path in folder.iterdir())
    stems = [f"stem-{n:03d}.json" for n in (1, 2, 3)]
    assert files == ["accepted.json", "progress.json", "result.json", *stems]
    assert [json.loads((folder / name).read_text())["stem"] for name in stems] == ["drums", "bass", "keys"]
    assert not list((script.box / "requests").iterdir())
    (folder / "gone").touch()
    wait_for(lambda: not folder.exists())


def test_only_the_user_may_look(script: Script, tmp_path: Path) -> None:
    folder = script.ask("private", tmp_path)
    result(folder)
    for path in (script.box, script.box / "requests", script.box / "jobs", folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (script.box / "engine.json", folder / "result.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_heartbeat_beats(script: Script, endpoint: Endpoint) -> None:
    first = json.loads((script.box / "engine.json").read_text())
    assert (first["pid"], first["token"], first["version"]) == (endpoint.pid, endpoint.token, "0.1.0")
    assert first["protocol"] == endpoint.protocol
    assert abs(first["time"] - time.time()) < 60
    wait_for(lambda: json.loads((script.box / "engine.json").read_text())["time"] > first["time"])


def test_cancel_by_an_empty_file(script: Script, tmp_path: Path) -> None:
    folder = script.ask("box-cancel", tmp_path, "steps=3000 pause=0.01")
    wait_for((folder / "progress.json").exists)
    began = time.monotonic()
    (folder / "cancel").touch()
    assert result(folder)["type"] == "cancelled"
    print(f"\ncancel through the mailbox: {(time.monotonic() - began) * 1000:.0f} ms (bound 300 ms)")


def test_what_is_refused_says_why(script: Script, tmp_path: Path) -> None:
    assert result(script.ask("box-token", tmp_path, token="wrong"))["code"] == "token.wrong"
    assert result(script.ask("box-none", tmp_path, token=None))["code"] == "message.json"
    assert result(script.ask("box-name", tmp_path, named="another"))["code"] == "job.name"
    assert result(script.ask("box-label", tmp_path, stems=[{"role": "kazoo"}]))["field"] == "stems[0].role"
    assert result(script.put("box-junk", b"\xff\x00["))["code"] == "message.json"
    assert result(script.put("box-deep", b"[" * 100_000))["code"] == "message.json"


def test_a_corrected_request_may_use_the_id_again(script: Script, tmp_path: Path) -> None:
    folder = script.ask("box-again", tmp_path, stems=[])
    assert result(folder)["code"] == "stem.none"
    script.ask("box-again", tmp_path)
    wait_for(lambda: result(folder)["type"] == "done")
    assert (folder / "stem-003.json").exists()


def test_what_is_no_request_is_removed(script: Script, tmp_path: Path) -> None:
    requests = script.box / "requests"
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    (requests / "link.json").symlink_to(secret)
    (requests / "folder.json").mkdir()
    (requests / "no request.json").write_text("{}")
    os.mkfifo(requests / "pipe.json")
    with (requests / "large.json").open("wb") as file:
        file.truncate(MAX_MESSAGE + 1)
    wait_for(lambda: not list(requests.iterdir()))
    assert secret.exists()
    assert result(script.ask("box-lives", tmp_path))["type"] == "done"


def test_a_job_goes_on_when_its_engine_was_killed(tmp_path: Path) -> None:
    gate = tmp_path / "go"
    with echo_engine(tmp_path) as first:
        script = Script(Path(first.mailbox))
        folder = script.ask("box-killed", tmp_path, f"hold={gate}")
        lost = script.box / "jobs" / "box-lost"
        wait_for((folder / "stem-001.json").exists)
        before = (folder / "stem-001.json").read_text()
        (folder / ".half.part").write_text("{")
        lost.mkdir()
        os.kill(first.pid, signal.SIGKILL)
        wait_for(lambda: not is_locked())
        start_engine(options=ECHO)
        gate.touch()
        assert result(folder)["type"] == "done"
        assert (folder / "stem-001.json").read_text() == before
        assert sorted(path.name for path in folder.iterdir()) == [
            "accepted.json", "progress.json", "result.json", "stem-001.json", "stem-002.json", "stem-003.json",
        ]  # fmt: skip
        assert result(lost)["code"] == "job.unknown"


def test_a_request_that_was_taken_and_not_accepted_outlives_its_engine(tmp_path: Path) -> None:
    with echo_engine(tmp_path) as first:
        script = Script(Path(first.mailbox))
        with Client(first) as client:
            client.models()
        locked = sqlite3.connect(tmp_path / "data" / "engine.sqlite", isolation_level=None)
        locked.execute("BEGIN IMMEDIATE")
        folder = script.ask("box-taken", tmp_path)
        wait_for((folder / PROVEN).exists)
        wait_for(lambda: not list((script.box / "requests").iterdir()))
        assert script.token() not in (folder / PROVEN).read_text()
        os.kill(first.pid, signal.SIGKILL)
        locked.close()
        wait_for(lambda: not is_locked())
        start_engine(options=ECHO)
        assert result(folder)["type"] == "done"
        assert not (folder / PROVEN).exists()


def test_a_request_that_was_written_down_twice_is_taken_once(tmp_path: Path) -> None:
    mailbox, _, script = opened(tmp_path / "box")
    script.ask("job", tmp_path)
    raw = (script.box / "requests" / "job.json").read_bytes()
    mailbox.tick()
    (script.box / "requests" / "job.json").write_bytes(raw)
    _, desk, _ = opened(tmp_path / "box")
    assert [json.loads(one) for one, _ in desk.received] == [json.loads(encode(song("job", tmp_path)))]
    assert desk.received[0][1].client == f"mailbox {tmp_path}"
    assert not list((script.box / "requests").iterdir())
    desk.received[0][1].send(Failed("job", "queue.full", "full.", refused=True))
    _, desk, _ = opened(tmp_path / "box")
    assert desk.received == []


class RecordingDesk:
    """A desk that only notes what comes; events are sent by the test."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Outlet]] = []

    def receive(self, raw: bytes, outlet: Outlet) -> None:
        self.received.append((raw, outlet))

    def receive_file(self, path: str, outlet: Outlet) -> None:
        raise AssertionError(path)


def opened(folder: Path) -> tuple[Mailbox, RecordingDesk, Script]:
    desk = RecordingDesk()
    mailbox = Mailbox(folder, desk, "token")
    mailbox.open()
    return mailbox, desk, Script(folder)


def test_the_desk_gets_the_request_without_the_token(tmp_path: Path) -> None:
    mailbox, desk, script = opened(tmp_path / "box")
    script.ask("job", tmp_path)
    mailbox.tick()
    ((raw, outlet),) = desk.received
    assert json.loads(raw) == json.loads(encode(song("job", tmp_path)))
    events: list[Event] = [Accepted("job", 0), Progress("job", "x", 0.1), Progress("job", "x", 0.2)]
    assert all(outlet.send(event) for event in events)
    assert json.loads((tmp_path / "box" / "jobs" / "job" / "progress.json").read_text())["fraction"] == 0.2
    (tmp_path / "box" / "jobs" / "job" / "cancel").touch()
    mailbox.tick()
    assert desk.received[-1][0] == encode(Cancel("job"))
    mailbox.tick()
    assert len(desk.received) == 2


def test_leftovers_of_an_earlier_engine(tmp_path: Path) -> None:
    jobs = tmp_path / "box" / "jobs"
    for name in ("broken-off", "unread", "read", "old"):
        (jobs / name).mkdir(parents=True)
        (jobs / name / "accepted.json").write_text("{}")
    for name in ("unread", "read"):
        (jobs / name / "result.json").write_bytes(encode(Cancelled(name)))
    (jobs / "read" / "gone").touch()
    os.utime(jobs / "old", (0, time.time() - KEEP_SECONDS - 10))
    (tmp_path / "box" / "requests").mkdir()
    (tmp_path / "box" / "requests" / ".half.part").write_text("{")
    mailbox, desk, _ = opened(tmp_path / "box")
    ((raw, outlet),) = desk.received
    assert raw == encode(Status("broken-off"))
    assert outlet.key == ("mailbox", "broken-off")
    assert sorted(path.name for path in jobs.iterdir()) == ["broken-off", "unread"]
    assert not list((tmp_path / "box" / "requests").iterdir())
    (jobs / "unread" / "gone").touch()
    mailbox.tick()
    assert not (jobs / "unread").exists()


def test_a_script_that_deletes_its_folder_is_forgotten(tmp_path: Path) -> None:
    mailbox, desk, script = opened(tmp_path / "box")
    folder = script.ask("job", tmp_path)
    mailbox.tick()
    shutil.rmtree(folder)
    assert not desk.received[0][1].send(Progress("job", "x", 0.1))
    mailbox.tick()


def test_a_full_disk_does_not_end_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox, desk, script = opened(tmp_path / "box")
    script.ask("job", tmp_path)
    mailbox.tick()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    mailbox.beat()
    assert desk.received[0][1].send(Progress("job", "x", 0.1))
    mailbox.tick()
    monkeypatch.undo()
    assert desk.received[0][1].send(Progress("job", "x", 0.2))
    assert (tmp_path / "box" / "jobs" / "job" / "progress.json").exists()


def test_closing_takes_only_its_own_heartbeat(tmp_path: Path) -> None:
    first, _, _ = opened(tmp_path / "box")
    second = Mailbox(tmp_path / "box", RecordingDesk(), "newer")
    second.open()
    first.close()
    assert (tmp_path / "box" / "engine.json").exists()
    second.close()
    assert not (tmp_path / "box" / "engine.json").exists()
