"""A disk that is full at every write of a take, by a file system of its own that has so much room and no more."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from bridge.errors import JobError
from bridge.handover.manifest import MANIFEST_NAME
from bridge.messages import PieceReady, StemReady, StemWanted
from engine.pipeline import Pipeline
from engine.stages import Chunk
from tests.engine.rig import song

PAGE = 4096
ROOM = 8 << 20


@dataclass
class Kept:
    """Finished stages of a whole take; what a trial adds is forgotten with it."""

    whole: dict[str, bytes] = field(default_factory=dict)
    trial: dict[str, bytes] = field(default_factory=dict)

    def get(self, key: str) -> bytes | None:
        return self.trial.get(key, self.whole.get(key))

    def put(self, key: str, *chunks: Chunk) -> None:
        self.trial[key] = b"".join(bytes(chunk) for chunk in chunks)


class Told:
    """A `Reporter`: what is announced is there."""

    def progress(self, stage: str, fraction: float, note: str = "") -> None: ...

    def stem(self, event: StemReady) -> None:
        assert Path(event.wav).exists()

    def piece(self, event: PieceReady) -> None:
        raise AssertionError(event)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sizes_as_written(take: Path) -> list[int]:
    """Bytes on disk of the take's files, in the order in which they were written."""
    files = sorted((path for path in take.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime_ns)
    assert files[-1].name == MANIFEST_NAME
    return [-(-path.stat().st_size // PAGE) * PAGE for path in files]


def leave(disk: Path, room: int) -> Path:
    """Fills the disk, but for so many bytes."""
    filler = disk / "filler"
    status = os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(status.f_bavail * status.f_frsize - room, 1))
    return filler


def test_wherever_the_disk_is_full_a_take_is_whole_or_not_there(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.takes.check_writable", lambda folder, size: None)  # it would refuse all of these before
    pipeline, stages = Pipeline(), Kept()
    wanted = song("song", disk, stems=(StemWanted("bass"), StemWanted("keys")))
    wanted = msgspec.structs.replace(
        wanted, arrangement=msgspec.structs.replace(wanted.arrangement, sample_rate=22_050)
    )
    pipeline.render(wanted, tmp_path / "whole", Told(), stages=stages)
    stages.whole = {**stages.trial}
    whole = contents(tmp_path / "whole")
    ends = list(itertools.accumulate(sizes_as_written(tmp_path / "whole" / "take-1")))
    refused = 0
    rooms = sorted({0, *(max(end - less, 0) for end in ends for less in (PAGE, 2 * PAGE))})
    for room in rooms:
        stages.trial.clear()
        filler = leave(disk, room)
        why = ""
        try:
            pipeline.render(wanted, disk / "out", Told(), stages=stages)
        except JobError as error:
            why = error.code
        left = contents(disk / "out")
        assert why in ("", "disk.full"), room
        assert left.keys() == (set() if why else whole.keys()), room
        refused += bool(why)
        shutil.rmtree(disk / "out", ignore_errors=True)
        filler.unlink()
    assert refused >= len(ends), "each file was the one that did not fit"
    pipeline.render(wanted, disk / "after", Told(), stages=stages)
    again = contents(disk / "after")
    assert {n: b for n, b in again.items() if n.endswith((".wav", ".mid"))} == {
        n: b for n, b in whole.items() if n.endswith((".wav", ".mid"))
    }
