"""Shipped weights are what they were when they were shipped, or are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bridge.errors import JobError
from engine.shipped import FOLDER, SUMS, check_weights, read_sums


def test_every_shipped_file_has_its_sum() -> None:
    files = {path.name for path in FOLDER.glob("*.safetensors")}
    assert files == set(read_sums())
    for name, digest in read_sums().items():
        assert check_weights(FOLDER / name) == digest


def test_one_changed_bit_is_refused(tmp_path: Path) -> None:
    name = next(iter(read_sums()))
    shutil.copy(FOLDER / SUMS, tmp_path)
    data = bytearray((FOLDER / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(JobError) as refused:
        check_weights(tmp_path / name, tmp_path)
    assert refused.value.code == "weights.damaged"


def test_a_file_that_is_not_listed_or_not_there_is_refused(tmp_path: Path) -> None:
    shutil.copy(FOLDER / SUMS, tmp_path)
    (tmp_path / "other.safetensors").write_bytes(b"x")
    for name, code in (("other.safetensors", "weights.damaged"), ("none.safetensors", "weights.missing")):
        with pytest.raises(JobError) as refused:
            check_weights(tmp_path / name, tmp_path)
        assert refused.value.code == code


def test_the_users_own_weights_are_taken(tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_bytes(b"x")
    assert len(check_weights(tmp_path / "mine.safetensors")) == 64
