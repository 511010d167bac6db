"""The `stembridge` command as a user types it: output, exit codes, what is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.e2e.songs import chord_song, eight_bars
from tests.patience import PATIENCE

pytestmark = pytest.mark.usefixtures("engine")
COMMAND = [sys.executable, "-m", "bridge.cli"]


def stembridge(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One finished command."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def write(path: Path, request: dict[str, object]) -> Path:
    path.write_text(json.dumps(request))
    return path


def test_help_names_every_command() -> None:
    done = stembridge("--help")
    assert done.returncode == 0
    for command in ("engine", "render", "jobs", "cancel", "models", "listen", "demo", "doctor", "install", "pack"):
        assert command in done.stdout


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, bridge.cli; bridge.cli.build_parser(); print([m for m in sys.modules])"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("torch", "numpy", "zmq", "mido", "soundfile", "rich", "engine"):
        assert f"'{heavy}'" not in names


def test_render_draws_a_table_and_names_the_take(tmp_path: Path) -> None:
    path = write(tmp_path / "request.json", eight_bars(tmp_path, stems=[{"role": "drums"}, {"role": "bass"}]))
    done = stembridge("render", path, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "onset ms" in done.stdout
    take = Path(next(line for line in done.stdout.splitlines() if line.startswith("take: "))[6:])
    assert {"drums.wav", "bass.wav", "drums.mid", "mix.wav", "session.rpp", "manifest.json"} <= {
        p.name for p in take.iterdir()
    }


def test_edit_re_rolls_the_named_part_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "request.json", eight_bars(tmp_path, stems=[{"role": "bass"}, {"role": "keys"}]))
    first = json.loads(stembridge("render", path, "--json").stdout.splitlines()[-1])
    take = Path(first["manifests"][0]).parent
    edit = ("--edit", f"{take.parent.name}/take-1", "--sections", "Chorus", "--only", "bass", "--seed", "9")
    done = stembridge("render", path, *edit, "--json")
    assert done.returncode == 0, done.stderr
    edited = Path(json.loads(done.stdout.splitlines()[-1])["manifests"][0]).parent
    assert (edited / "keys.wav").read_bytes() == (take / "keys.wav").read_bytes()
    assert (edited / "bass.wav").read_bytes() != (take / "bass.wav").read_bytes()
    gone = stembridge("render", path, "--edit", "no-such-job/take-1", "--only", "bass")
    assert gone.returncode == 2
    assert "no-such-job/take-1" in gone.stderr


def test_render_json_ends_with_done(tmp_path: Path) -> None:
    path = chord_song(tmp_path / "song.mid")
    done = stembridge("render", path, "--json", "--stems", "bass", "--seed", "4", "--style", "soul", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["type"] == "accepted"
    assert events[-1]["type"] == "done"
    assert Path(events[-1]["manifests"][0]).is_file()


def test_a_refused_request_exits_with_2_and_names_the_field(tmp_path: Path) -> None:
    request = eight_bars(tmp_path)
    request["arrangement"]["clock"][1][1] = -5.0
    done = stembridge("render", write(tmp_path / "bad.json", request))
    assert done.returncode == 2
    assert "arrangement.clock[1]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xff", b'{"type":"ping"}'])
def test_a_file_that_is_no_request_exits_with_2(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    done = stembridge("render", path)
    assert done.returncode == 2
    assert done.stderr.startswith("stembridge: ")


def test_missing_and_damaged_files_exit_with_2(tmp_path: Path) -> None:
    (tmp_path / "bad.mid").write_bytes(b"MThd but no")
    for name in ("gone.json", "gone.mid", "bad.mid"):
        done = stembridge("render", tmp_path / name)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr


def test_an_unwritable_folder_fails_with_3_and_leaves_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    path = write(tmp_path / "request.json", eight_bars(blocked / "out", stems=[{"role": "bass"}]))
    done = stembridge("render", path)
    assert done.returncode in (2, 3)
    assert "folder" in done.stderr
    assert blocked.read_text() == "not a folder"


def test_jobs_models_listen_doctor_and_osc_answer(tmp_path: Path) -> None:
    song = chord_song(tmp_path / "song.mid")
    assert "band" in stembridge("models").stdout
    heard = json.loads(stembridge("listen", song, "--json").stdout)
    assert heard["result"]["key"]["tonic"] == "D"
    assert stembridge("jobs").returncode == 0
    doctor = stembridge("doctor")
    assert doctor.returncode == 0, doctor.stdout
    assert "/stembridge/v1/draft/new" in stembridge("osc").stdout
    assert stembridge("engine", "status").returncode == 0


def test_a_clips_profile_is_told_and_drawn(tmp_path: Path) -> None:
    clip, page = tmp_path / "clip.wav", tmp_path / "clip.html"
    soundfile.write(clip, 0.1 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000), 48000)
    told = stembridge("listen", clip, "--html", page)
    assert told.returncode == 0, told.stderr
    assert "loudness: -2" in told.stdout
    assert page.read_text().startswith("<!doctype html>")
    refused = stembridge("listen", chord_song(tmp_path / "song.mid"), "--html", page)
    assert (refused.returncode, "audio only" in refused.stderr) == (2, True)
    nowhere = stembridge("listen", clip, "--html", tmp_path / "no" / "page.html")
    assert (nowhere.returncode, "cannot be written" in nowhere.stderr) == (2, True)


def test_interrupting_a_render_cancels_its_job_and_leaves_no_take(tmp_path: Path) -> None:
    request = eight_bars(tmp_path / "out")
    request["arrangement"]["clock"] = [[0.0, 0.0], [800.0, 400.0]]
    request["arrangement"]["sections"] = [{"name": "Long", "label": "verse", "start": 0.0, "end": 800.0}]
    path = write(tmp_path / "request.json", request)
    running = subprocess.Popen([*COMMAND, "render", str(path), "--json"], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    for line in running.stdout:
        if json.loads(line)["type"] == "progress":
            break
    os.kill(running.pid, signal.SIGINT)
    assert running.wait(timeout=PATIENCE) == 130
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        rows = json.loads(stembridge("jobs", "--json").stdout)["jobs"]
        state = [row["state"] for row in rows if row["job"].startswith(request["job"])]
        if state == ["cancelled"]:
            break
        time.sleep(0.2)
    assert state == ["cancelled"]
    assert not list((tmp_path / "out").rglob("*.wav"))
