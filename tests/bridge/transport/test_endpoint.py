"""Endpoint file, token and lock."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import StembridgeError
from bridge.transport.endpoint import (
    ENDPOINT,
    Endpoint,
    Ports,
    engine_lock,
    is_alive,
    is_locked,
    make_private,
    new_token,
    read_endpoint,
    remove_endpoint,
    runtime_folder,
    same_token,
    write_endpoint,
    write_private,
)

SOME = Endpoint(4711, "0.1.0", 1, "secret", Ports(1, 2, 3, 4), "/box", "/log")


def test_only_the_user_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = write_endpoint(SOME, tmp_path / "runtime")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert read_endpoint(path.parent) == SOME
    assert [p.name for p in path.parent.iterdir()] == [ENDPOINT]


def test_a_folder_that_is_open_to_others_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    make_private(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(StembridgeError, match="belongs to another user"):
        make_private(tmp_path)
    (tmp_path / ENDPOINT).write_text("{}")
    with pytest.raises(StembridgeError, match="belongs to another user"):
        read_endpoint(tmp_path)


def test_a_folder_that_cannot_be_made_is_an_error_for_people(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StembridgeError, match="cannot make the folder"):
        make_private(tmp_path / "file" / "runtime")


def test_a_failed_write_keeps_the_old_file_and_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_private(tmp_path / "x", b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_private(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@given(st.binary(max_size=300))
def test_a_damaged_file_is_no_endpoint(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ENDPOINT).write_bytes(content)
        assert read_endpoint(Path(folder)) is None


def test_only_its_owner_removes_it(tmp_path: Path) -> None:
    write_endpoint(SOME, tmp_path)
    remove_endpoint(SOME.pid + 1, tmp_path)
    assert read_endpoint(tmp_path) == SOME
    remove_endpoint(SOME.pid, tmp_path)
    assert read_endpoint(tmp_path) is None


def test_the_runtime_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMBRIDGE_RUNTIME", str(tmp_path))
    assert runtime_folder() == tmp_path
    monkeypatch.delenv("STEMBRIDGE_RUNTIME")
    assert runtime_folder().name == "stembridge"


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) >= 40 for token in tokens)


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec="utf-8"), min_size=1))
def test_same_token_is_equality(given_token: str, token: str) -> None:
    assert same_token(given_token, token) == (given_token == token)
    assert same_token(token.encode(), token)
    assert not same_token(b"\xff" + token.encode(), token)


def test_one_holder_of_the_lock(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with engine_lock(tmp_path):
        write_endpoint(SOME, tmp_path)
        assert is_locked(tmp_path)
        with pytest.raises(StembridgeError, match="runs already \\(process 4711\\)"), engine_lock(tmp_path):
            pass
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    with engine_lock(tmp_path):
        pass


def test_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from bridge.transport.endpoint import engine_lock\n"
        "with engine_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert is_locked(tmp_path)
    assert is_alive(holder.pid)
    holder.kill()
    holder.wait()
    assert not is_alive(holder.pid)
    assert not is_locked(tmp_path)
