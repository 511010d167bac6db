"""Real disks that are full or may not be written, under the real engine. Needs the right to mount; skipped without."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bridge.client import Client
from bridge.messages import Done, Event, Failed, Render, StemReady, StemWanted
from tests.e2e.songs import eight_bars
from tests.engine.held import held_engine

STEMS = tuple(StemWanted(role) for role in ("drums", "bass", "keys", "pad"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for the take and 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=44m", "none", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def request(disk: Path) -> Render:
    wanted = msgspec.convert(eight_bars(disk, job=f"disk-{uuid.uuid4().hex[:8]}"), Render)
    return msgspec.structs.replace(wanted, stems=STEMS)


def test_a_disk_that_fills_up_ends_the_job_alone(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMBRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("STEMBRIDGE_RUNTIME", str(tmp_path / "runtime"))
    with held_engine(disk, tmp_path) as held, Client.connect() as client:
        wanted = request(disk)
        following = client.request(wanted)
        next(event for event in following if isinstance(event, StemReady))
        filler = disk / "filler"
        with filler.open("wb") as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
                    file.flush()
            except OSError:
                held.let_go()
        failed = list(following)[-1]
        assert isinstance(failed, Failed), failed
        assert failed.code == "disk.full"
        assert "Free some space" in failed.hint
        assert [path.name for path in disk.rglob("*") if path.is_file()] == ["filler"]
        filler.unlink()
        assert isinstance(list(client.request(request(disk)))[-1], Done)


def test_a_disk_that_is_too_small_is_told_before_anything_is_made(engine: Path, disk: Path) -> None:
    (disk / "filler").write_bytes(bytes(30 << 20))
    with Client.connect() as client:
        events: list[Event] = list(client.request(request(disk)))
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert failed.code == "disk.full"
    assert not [event for event in events if isinstance(event, StemReady)]


def test_a_disk_that_may_not_be_written_is_told(engine: Path, disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with Client.connect() as client:
        failed = list(client.request(request(disk)))[-1]
        assert isinstance(failed, Failed)
        assert failed.code == "disk.readonly"
        assert os.listdir(disk) == []
        assert client.ping().ready
