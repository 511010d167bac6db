"""What goes wrong in Live: the engine absent, late, killed, foreign, babbling; full disks; sets and tracks that go."""

from __future__ import annotations

import builtins
import errno
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from bridge.messages import Failed
from bridge.transport.osc_packet import message2packet
from tests.daw.live.conftest import Opener
from tests.daw.live.desk import Babbler, NoiseEngine, make_endpoint
from tests.daw.live.fake_live import FakeLive, Host
from tests.daw.live.saved_sets import write_als
from tests.daw.live.test_live_scenarios import CANCEL, FRESH, GENERATE, REROLL, TAKE, clips, press, song

PONG = b"\xc0" + message2packet("/stembridge/v1/pong", "sii", ["9.0.0", 1, 0]) + b"\xc0"


def ticks(host: Host, count: int) -> None:
    for _ in range(count):
        host.tick()


def test_no_engine(project: Path, runtime: Path, open_set: Opener) -> None:
    live = song("12.3.0", project)
    host = open_set(live)
    host.press(GENERATE)
    host.run_until(lambda: host.said("The stembridge engine is not running. Start it in a terminal"))
    assert live.undo == []


def test_the_engine_is_started_late(project: Path, runtime: Path, tmp_path: Path, open_set: Opener) -> None:
    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000)
    ticks(host, 5)
    noise = NoiseEngine(runtime, [tmp_path])
    noise.start()
    try:
        press(host, GENERATE)
    finally:
        noise.stop()
    assert live.names == ["1-MIDI", "Rhodes", *FRESH]


def test_an_endpoint_file_that_nobody_stands_behind(project: Path, runtime: Path, open_set: Opener) -> None:
    babbler = Babbler(b"")
    babbler.close()
    make_endpoint(runtime, babbler.port)
    live = song("12.3.0", project)
    host = open_set(live)
    ticks(host, 10)
    host.press(GENERATE)
    host.run_until(lambda: host.said("not running"))
    assert not host.said("Traceback")
    assert not host.said("The engine is there")
    assert live.undo == []


@pytest.mark.parametrize("forget", [False, True])
def test_the_engine_is_killed_in_the_middle(
    forget: bool, project: Path, noise: NoiseEngine, open_set: Opener, tmp_path: Path
) -> None:
    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000)
    noise.hold = True
    host.run_until(lambda: host.said("The engine is there"))
    host.press(GENERATE)
    host.run_until(lambda: host.said("drums is ready"))
    noise.stop(forget=forget)
    host.run_until(lambda: host.said("The job goes on when the engine is there again"))
    if forget:
        (old,) = tmp_path.glob("My Song Project/stembridge/live-*")
        old.rename(old.with_name("gone"))
    noise.hold = False
    noise.start()
    host.run_until(lambda: host.said("Done: "))
    assert live.names == ["1-MIDI", "Rhodes", *FRESH]
    assert [len(clips(live, name)) for name in FRESH] == [1] * len(FRESH)
    assert len({request.job for request in noise.requests}) == 1
    assert len(live.undo) == 1


def test_a_lost_engine_can_be_given_up(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000)
    noise.hold = True
    host.run_until(lambda: host.said("The engine is there"))
    host.press(GENERATE)
    host.run_until(lambda: host.said("drums is ready"))
    noise.stop()
    host.run_until(lambda: host.said("is lost"))
    host.press(CANCEL)
    host.run_until(lambda: host.said("Given up"))
    assert json.loads(live.data["stembridge"])["running"] is None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n\xc0",
        b"\xc0" + b"/stembridge/v1/pong\x00,s" + b"\xc0",
        b"\xc0" + b"\xdb\x00" + b"\xc0",
        b"\xc0#bundle\x00" + b"\x00" * 8 + struct.pack(">i", -8) + b"\xc0",
        b"x" * 300_000,
        b"\xc0/a\x00\x00,s\x00\x00\xff\xfe\x00\x00\xc0",
    ],
)
def test_an_engine_that_babbles(answer: bytes, project: Path, runtime: Path, open_set: Opener) -> None:
    babbler = Babbler(answer)
    make_endpoint(runtime, babbler.port)
    live = song("12.3.0", project)
    host = open_set(live)
    host.run_until(lambda: host.said("not understood"))
    host.run_until(lambda: babbler.calls >= 2)
    babbler.close()
    assert not host.said("Traceback")
    assert live.undo == []


@pytest.mark.parametrize(
    ("address", "tags", "values"),
    [
        ("/stem", "ss", ["JOB", "no json"]),
        ("/stem", "ss", ["JOB", "[1]"]),
        ("/stem", "ss", ["JOB", '{"stem": "drums"}']),
        ("/done", "ss", ["JOB", '{"manifests": 7, "warnings": 3}']),
        ("/progress", "ssff", ["JOB", "render", float("nan"), 1.0]),
        ("/progress", "sss", ["JOB", "render", "half"]),
        ("/accepted", "sss", ["JOB", "first", "soon"]),
        ("/what", "s", ["JOB"]),
    ],
)
def test_events_that_are_not_understood(
    address: str, tags: str, values: list[Any], project: Path, noise: NoiseEngine, open_set: Opener
) -> None:
    from stembridge.osc import Message

    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000)
    noise.hold = True
    host.run_until(lambda: host.said("The engine is there"))
    host.press(GENERATE)
    host.run_until(lambda: host.said("drums is ready"))
    job = noise.requests[0].job
    host.script._heard(Message(address, [job if value == "JOB" else value for value in values]))
    noise.release()
    host.run_until(lambda: not host.script._band.busy)
    assert not host.said("Traceback")
    assert live.touched == []


def test_another_protocol_and_another_version(project: Path, runtime: Path, open_set: Opener) -> None:
    babbler = Babbler(PONG)
    make_endpoint(runtime, babbler.port, protocol=2, version="9.0.0")
    host = open_set(song("12.3.0", project))
    host.run_until(lambda: host.said("speaks protocol 2"))
    assert sum("speaks protocol 2" in line for line in host.logged) == 1
    host.press(GENERATE)
    host.run_until(lambda: sum("speaks protocol 2" in line for line in host.logged) == 2)
    make_endpoint(runtime, babbler.port, version="9.0.0")
    host.run_until(lambda: host.said("The engine has version 9.0.0, this script"))
    babbler.close()


def test_a_damaged_endpoint_file(project: Path, runtime: Path, open_set: Opener) -> None:
    runtime.mkdir()
    for text in ("", "[]", '{"ports": 3}', '{"ports": {"osc_tcp": 99999999}}', "\x00" * 100):
        (runtime / "endpoint.json").write_text(text)
        live = song("12.3.0", project)
        host = open_set(live)
        ticks(host, 3)
        host.press(GENERATE)
        host.run_until(lambda host=host: host.said("not running"))  # type: ignore[misc]
        assert not host.said("Traceback")
        assert live.undo == []


def test_the_disk_is_full(project: Path, noise: NoiseEngine, open_set: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000)
    host.run_until(lambda: host.said("The engine is there"))
    real = builtins.open

    def no_room(path: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if "w" in mode and str(project) in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, mode, *rest, **named)

    monkeypatch.setattr(builtins, "open", no_room)
    host.press(GENERATE)
    host.run_until(lambda: host.said("The disk is full"))
    monkeypatch.undo()
    assert noise.requests == []
    assert not list(project.rglob("*.part"))


def test_the_engine_says_why_it_cannot(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000)
    noise.fail = Failed("", "disk.full", "the disk is full: 12 MB are missing.", hint="Make room, then ask again.")
    host.run_until(lambda: host.said("The engine is there"))
    host.press(GENERATE)
    host.run_until(lambda: host.said("12 MB are missing. Make room, then ask again."))
    assert live.undo == []
    assert not host.script._band.busy


def test_a_refusal_is_shown(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("12.3.0", project)
    live.user_locators((24.0, "far away"), (20_000.0, "End"))
    host = open_set(live, sample_rate=8000)
    host.run_until(lambda: host.said("The engine is there"))
    host.press(GENERATE)
    host.run_until(lambda: host.said("Ask for the song in parts"))
    assert not host.script._band.busy


def test_tracks_deleted_while_the_band_plays(version: str, project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song(version, project)
    host = open_set(live, sample_rate=8000)
    press(host, GENERATE)
    live.user_selects(live.named("bass"), live.named("drums"))
    noise.hold = True
    host.press(REROLL)
    host.run_until(lambda: sum("drums is ready" in line for line in host.logged) == 2)
    live.user_delete(live.named("bass"))
    live.user_delete(live.named("Rhodes"))
    noise.release()
    host.run_until(lambda: sum("Done: " in line for line in host.logged) == 2)
    assert [clip.start for clip in clips(live, "bass")] == [0.0]
    assert not host.said("Traceback")


def test_a_frozen_track_is_left_alone(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000)
    press(host, GENERATE)
    live.named("bass").frozen = True
    live.user_selects(live.named("bass"))
    press(host, REROLL, 2)
    assert len(clips(live, "bass 2")) == 1


def test_the_set_is_closed_and_opened_again(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000)
    noise.hold = True
    host.run_until(lambda: host.said("The engine is there"))
    host.press(GENERATE)
    host.run_until(lambda: host.said("drums is ready"))
    saved = dict(live.data)
    host.disconnect()
    live.close()
    host.midi((0xBF, GENERATE, 127))
    noise.release()
    again = song("12.3.0", project)
    again.data = saved
    host = open_set(again, sample_rate=8000)
    host.run_until(lambda: host.said("Done: "))
    assert again.names == ["1-MIDI", "Rhodes", *FRESH]
    assert len(noise.requests) == 1
    press(host, TAKE, 2)
    assert noise.requests[1].seed == 1


def test_a_set_that_remembers_nonsense(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    for nonsense in (
        "",
        "null",
        "[]",
        '{"takes": 3}',
        '{"takes": [{"job": 1}]}',
        7,
        '{"running": {"job": "x"}}',
        "\x00",
    ):
        live = song("12.3.0", project)
        live.data["stembridge"] = nonsense
        host = open_set(live, sample_rate=8000)
        press(host, GENERATE)
        assert not host.said("Traceback")
        assert live.names == ["1-MIDI", "Rhodes", *FRESH]
        assert json.loads(live.data["stembridge"])["takes"], "what is remembered now can be read again"
        host.disconnect()
    assert len(noise.requests) == 8, "one for each set: nobody went on with a job that never was"


def test_an_edition_without_room_for_more_tracks(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("12.3.0", project)
    live.max_tracks = 5
    host = open_set(live, sample_rate=8000)
    press(host, GENERATE)
    assert live.names == ["1-MIDI", "Rhodes", "drums", "drums MIDI", "bass"]
    assert host.said("bass MIDI could not be placed: no more tracks in this edition")
    assert len(live.undo) == 1


def test_a_clip_that_landed_wrong_is_told(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000, stems=["drums"])
    noise.hold = True
    host.run_until(lambda: host.said("The engine is there"))
    host.press(GENERATE)
    host.run_until(lambda: host.said("drums is ready"))
    live.tempo = [(0.0, 100.0)]
    noise.release()
    host.run_until(lambda: host.said("the tempo has changed since"))
    assert [clip.start for clip in clips(live, "drums")] == [0.0]
    assert len(live.undo) == 1
    assert live.touched == []


def test_a_missing_stem_file_is_told(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000)
    noise.hold = True
    host.run_until(lambda: host.said("The engine is there"))
    host.press(GENERATE)
    host.run_until(lambda: host.said("drums is ready"))
    next(project.rglob("bass.wav")).unlink()
    next(project.rglob("pad.mid")).write_bytes(b"MThd and no more")
    next(project.rglob("keys.wav")).write_bytes(b"no audio")
    noise.release()
    host.run_until(lambda: host.said("Done: "))
    assert host.said("The file of bass is missing")
    assert host.said("The notes of pad cannot be read")
    assert host.said("keys could not be placed: the path does not point to a valid audio file")
    assert live.names == ["1-MIDI", "Rhodes", "drums", "drums MIDI", "keys MIDI", "lead", "lead MIDI"]


@pytest.mark.parametrize("old", ["11.2.0", "11.3.20", "12.0.0"])
def test_a_live_that_cannot_place_audio(old: str, project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song(old, project)
    host = open_set(live)
    host.run_until(lambda: host.said("The engine is there"))
    host.press(GENERATE)
    host.run_until(lambda: host.said("Live 11.3.25, 12.0.5 or later is needed"))
    assert not host.said("Traceback")


def test_the_request_of_the_last_take_is_missing(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000)
    press(host, GENERATE)
    for path in (project / "stembridge" / "requests").iterdir():
        path.unlink()
    host.press(TAKE)
    names = live.names
    host.run_until(lambda: host.said("What the last take was asked with is missing"))
    assert len(noise.requests) == 1
    assert live.names == names


def test_the_tempo_was_changed_since_the_take(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000)
    press(host, GENERATE)
    live.tempo = [(0.0, 90.0)]
    host.press(TAKE)
    host.run_until(lambda: host.said("tempo has changed since the last take"))
    assert len(noise.requests) == 1
    assert len(live.undo) == 1


def test_the_folder_of_the_project_was_moved(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000)
    press(host, GENERATE)
    moved = project.with_name("Moved Project")
    project.rename(moved)
    live.path = moved / "Song.als"
    press(host, TAKE, 2)
    assert noise.requests[1].project.root == str(moved)


def test_a_port_that_is_taken(project: Path, runtime: Path, open_set: Opener) -> None:
    first = open_set(song("12.3.0", project))
    port = first.script._remote.port
    second = open_set(FakeLive("12.3.0", write_als(project / "Other.als")), osc_port=port)
    assert second.said(f"OSC port {port} cannot be used")
    ticks(second, 3)
    closed = open_set(FakeLive("12.3.0", write_als(project / "Third.als")), osc_port=0)
    assert closed.script._remote.port == 0
    assert not closed.said("OSC port")
    open_to_all = open_set(FakeLive("12.3.0", write_als(project / "Fourth.als")), osc_host="0.0.0.0")
    assert open_to_all.said("is open to the network")


def test_a_fault_of_our_own_is_logged_and_told(
    project: Path, noise: NoiseEngine, open_set: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = open_set(song("12.3.0", project))
    monkeypatch.setattr(host.script._band, "step", lambda: 1 // 0)
    ticks(host, 20)
    assert sum("ZeroDivisionError" in line for line in host.logged) == 1
    assert sum("Something went wrong in the script" in line for line in host.logged) == 1
