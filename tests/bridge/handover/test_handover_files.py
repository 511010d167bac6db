"""Files are whole or absent, are never overwritten, and a full or locked disk is told in plain words."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.errors import JobError, RequestError
from bridge.handover import files
from bridge.handover.files import atomic, check_writable, disk_error, write_file

DEV_FULL = Path("/dev/full")


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def write_late(path: Path) -> None:
    """Writes `path` while somebody else takes its name."""
    with atomic(path) as sink:
        sink.write(b"late")
        path.write_bytes(b"early")


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with atomic(path) as sink:
        sink.write(b"first ")
        assert not path.exists()
        sink.write(b"second")
        assert sink.sha256 == hashlib.sha256(b"first second").hexdigest()
    assert path.read_bytes() == b"first second"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("ending", [ValueError("broken off"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_whatever_breaks_off_leaves_nothing(tmp_path: Path, ending: BaseException) -> None:
    def write_half() -> None:
        with atomic(tmp_path / "a.bin") as sink:
            sink.write(b"half")
            raise ending

    with pytest.raises(type(ending)):
        write_half()
    assert names(tmp_path) == []


def test_a_name_is_never_written_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_file(path, b"mine")
    with pytest.raises(JobError, match="ever overwritten") as refused:
        write_file(path, b"other")
    assert refused.value.code == "disk.exists"
    assert path.read_bytes() == b"mine"
    assert names(tmp_path) == ["a.bin"]


def test_a_name_taken_while_the_file_is_written_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with pytest.raises(JobError) as refused:
        write_late(path)
    assert refused.value.code == "disk.exists"
    assert path.read_bytes() == b"early"
    assert names(tmp_path) == ["a.bin"]


def test_disks_without_hard_links_are_served_and_still_nothing_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted", str(source), None, str(target))

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a.bin"
    write_file(path, b"mine")
    assert path.read_bytes() == b"mine"
    other = tmp_path / "b.bin"
    with pytest.raises(JobError) as refused:
        write_late(other)
    assert refused.value.code == "disk.exists"
    assert names(tmp_path) == ["a.bin", "b.bin"]


@pytest.mark.skipif(not DEV_FULL.exists(), reason="this system has no /dev/full")
def test_the_kernel_s_no_space_becomes_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full answers every write with a real ENOSPC."""
    monkeypatch.setattr(files, "_open_new", lambda path: DEV_FULL.open("wb"))
    with pytest.raises(JobError) as full:
        write_file(tmp_path / "drums.wav", b"\0" * 100_000)
    assert full.value.code == "disk.full"
    assert "drums.wav" in full.value.message
    assert "Free some space" in full.value.hint
    assert names(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=False, capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_fills_up_loses_only_the_unfinished_file(small_disk: Path) -> None:
    write_file(small_disk / "bass.wav", b"\1" * 100_000)
    with pytest.raises(JobError) as full:
        write_file(small_disk / "drums.wav", b"\2" * 200_000)
    assert full.value.code == "disk.full"
    assert names(small_disk) == ["bass.wav"]
    assert (small_disk / "bass.wav").read_bytes() == b"\1" * 100_000
    write_file(small_disk / "keys.wav", b"\3" * 100_000)


def test_too_little_space_is_told_before_anything_is_written(small_disk: Path) -> None:
    check_writable(small_disk / "new" / "folder", 100_000)
    with pytest.raises(RequestError, match=r"0\.3 MB free; this needs 80\.0 MB") as full:
        check_writable(small_disk / "new" / "folder", 80_000_000, error=RequestError, field="project.root")
    assert (full.value.code, full.value.field) == ("disk.full", "project.root")
    assert names(small_disk) == []


def test_a_file_size_limit_counts_as_a_full_disk(tmp_path: Path) -> None:
    """A real EFBIG from the kernel, in a process of its own because the limit cannot be lifted again."""
    program = textwrap.dedent(
        f"""
        import resource, signal, sys
        from pathlib import Path
        from bridge.errors import JobError
        from bridge.handover.files import write_file
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            write_file(Path({str(tmp_path)!r}) / "drums.wav", bytes(200_000))
        except JobError as error:
            print(error.code)
        """
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "disk.full"
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk.full"),
        (errno.EDQUOT, "disk.full"),
        (errno.EACCES, "disk.readonly"),
        (errno.EROFS, "disk.readonly"),
        (errno.EEXIST, "disk.exists"),
        (errno.EIO, "disk.failed"),
    ],
)
def test_every_refusal_of_the_disk_has_its_words(number: int, code: str) -> None:
    error = disk_error(OSError(number, os.strerror(number)), Path("/music/take-1/bass.wav"))
    assert error.code == code
    assert "/music/take-1/bass.wav" in error.message
    assert error.hint


def test_an_error_about_another_file_is_not_blamed_on_this_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "a.bin"):
        (tmp_path / "absent.bin").read_bytes()
    assert names(tmp_path) == []


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("no folder")
    with pytest.raises(RequestError) as refused:
        check_writable(tmp_path / "root" / "stembridge", 10, error=RequestError)
    assert refused.value.code == "disk.not_a_folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the next test covers it")
def test_a_locked_folder_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(JobError) as refused:
        check_writable(tmp_path / "take", 10)
    tmp_path.chmod(0o700)
    assert refused.value.code == "disk.readonly"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="this system has no /proc")
def test_a_file_system_that_takes_no_files_is_told() -> None:
    """Nobody, root included, makes files in /proc: the answer is the kernel's own."""
    with pytest.raises(JobError) as refused:
        check_writable(Path("/proc/self/stembridge"), 10)
    assert refused.value.code in ("disk.readonly", "disk.failed")
    with pytest.raises(JobError):
        write_file(Path("/proc/self/drums.wav"), b"x")
