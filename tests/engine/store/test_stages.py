"""Kept stages: the same bytes come back, damage is found, the bound holds, and what a running job needs stays."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.arrangement import ContextTrack
from bridge.messages import Checks
from engine.checks import StemVerdict
from engine.checks.stem import Problem
from engine.sampler import Instrument
from engine.sounds import Sound, bytes2sound, sound2chunks
from engine.stages import kept, put_json, request2inputs, stage2key
from engine.store.database import DATABASE, open_database
from engine.store.stages import SMALL, StageStore
from tests.engine.rig import song

LARGE = SMALL + 1000


@pytest.fixture
def store(tmp_path: Path) -> StageStore:
    opened = StageStore(tmp_path / DATABASE, tmp_path / "stages", max_bytes=5 * LARGE)
    opened.begin("job")
    return opened


def add_job(tmp_path: Path, name: str, final: bytes | None = None) -> None:
    columns = "id, number, project, kind, work, body, out, first_take, state, attempts, cancelling, final"
    connection = open_database(tmp_path / DATABASE)
    row = (name, 0, "", "", 1.0, "", "", 1, "running", 1, 0, final)
    connection.execute(f"INSERT OR REPLACE INTO jobs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.close()


def value(number: int, size: int = LARGE) -> bytes:
    return bytes([number]) * size


def files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "stages").rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL + 1, 3 << 20])
def test_what_is_put_comes_back_from_another_process_s_point_of_view(size: int, tmp_path: Path) -> None:
    store = StageStore(tmp_path / DATABASE, tmp_path / "stages", 1 << 30)
    data = os.urandom(size)
    store.put("key", data[: size // 3], memoryview(data)[size // 3 :])
    other = StageStore(tmp_path / DATABASE, tmp_path / "stages", 1 << 30)
    assert other.get("key") == store.get("key") == data
    assert other.get("another") is None
    assert (other.hits, len(files(tmp_path))) == (1, int(size > SMALL))


@pytest.mark.parametrize("size", [100, LARGE])
@pytest.mark.parametrize("harm", ["changed", "cut", "gone"])
def test_a_damaged_value_is_made_again(harm: str, size: int, store: StageStore, tmp_path: Path) -> None:
    store.put("key", value(1, size))
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        for path in files(tmp_path):
            if harm == "gone":
                path.unlink()
            else:
                path.write_bytes(value(2, size) if harm == "changed" else value(1, size - 1))
        damaged = {"changed": value(2, size), "cut": value(1, size - 1), "gone": None}[harm]
        if size <= SMALL:
            connection.execute("UPDATE stages SET value = ?", (damaged,))
    assert store.get("key") is None
    assert store.hits == 0
    store.put("key", value(1, size))
    assert store.get("key") == value(1, size)


def test_the_least_recently_used_go_first(store: StageStore, tmp_path: Path) -> None:
    for number in range(5):
        store.put(f"{number}", value(number))
    assert store.get("0") == value(0)
    store.put("5", value(5))
    store.put("6", value(6))
    there = [number for number in range(7) if store.get(f"{number}") is not None]
    assert there == [0, 3, 4, 5, 6]
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 5 * LARGE


def test_what_an_unfinished_job_has_used_stays(store: StageStore, tmp_path: Path) -> None:
    add_job(tmp_path, "under-way")
    store.put("shared", value(0))
    store.begin("under-way")
    for number in (1, 2, 3):
        store.put(f"{number}", value(number))
    assert store.get("shared") == value(0)
    store.begin("another")
    for number in range(10, 20):
        store.put(f"{number}", value(number))
    assert all(store.get(key) is not None for key in ("shared", "1", "2", "3"))
    assert store.get("10") is None
    add_job(tmp_path, "under-way", b"{}")
    store.begin("third")
    for number in range(20, 26):
        store.put(f"{number}", value(number))
    assert [store.get(key) for key in ("1", "2", "3")] == [None] * 3
    assert len(files(tmp_path)) == 5


def test_equal_values_share_a_file_and_lose_it_together(store: StageStore, tmp_path: Path) -> None:
    store.put("a", value(1))
    store.put("b", value(1))
    assert len(files(tmp_path)) == 1
    for number in range(2, 6):
        store.put(f"{number}", value(number))
    assert store.get("a") is None
    assert store.get("b") == value(1)


def test_half_written_files_are_swept_at_the_start(store: StageStore, tmp_path: Path) -> None:
    store.put("key", value(1))
    half = files(tmp_path)[0].with_name(".0badcafe.part")
    half.write_bytes(b"half")
    orphan = half.with_name("ab" * 32)
    orphan.write_bytes(b"whole, but its row was never written")
    again = StageStore(tmp_path / DATABASE, tmp_path / "stages", 1 << 30)
    assert not half.exists()
    assert not orphan.exists()
    assert again.get("key") == value(1)


def test_a_full_disk_costs_nothing_but_time(
    store: StageStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    store.put("key", value(1))
    assert store.get("key") is None
    assert "No space left" in caplog.text
    assert files(tmp_path) == []


def test_threads_that_want_one_stage_make_it_once(store: StageStore) -> None:
    made: list[int] = []
    begun = threading.Event()

    def make() -> bytes:
        made.append(1)
        begun.set()
        time.sleep(0.05)
        if len(made) == 1:
            raise ValueError("the first one is broken off")
        return b"stage"

    def want() -> bytes:
        return kept(store, "key", make, lambda raw: [raw], bytes)

    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(want)
        begun.wait()
        others = [pool.submit(want) for _ in range(5)]
        assert [other.result() for other in others] == [b"stage"] * 5
        assert isinstance(first.exception(), ValueError)
    assert len(made) == 2


def test_many_threads_may_use_it(store: StageStore) -> None:
    def work(number: int) -> None:
        for i in range(20):
            store.put(f"{number} {i % 4}", value(number, 2000))
            assert store.get(f"{number} {i % 4}") == value(number, 2000)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.hits == 120


samples = st.integers(0, 50).flatmap(
    lambda n: st.lists(st.floats(-4, 4, width=32), min_size=2 * n, max_size=2 * n).map(
        lambda x: np.array(x, np.float32).reshape(2, -1)
    )
)


@given(samples, st.none() | samples, st.text(max_size=20), st.floats(-60, 12))
@settings(max_examples=60, deadline=None)
def test_a_sound_survives_to_the_bit(audio: np.ndarray, tail: np.ndarray | None, name: str, gain: float) -> None:
    instrument = Instrument(name, "soundfont", 0, 1, "CC0", gain, 0.25, None, 3.5)
    sound = Sound(audio, tail, instrument, StemVerdict(Checks(0.1, None), (Problem("a.b", "no"),), 4))
    chunks = [
        bytes(chunk) if isinstance(chunk, bytes | memoryview) else b"".join(chunk) for chunk in sound2chunks(sound)
    ]
    assert [len(chunk) for chunk in chunks[2:]] == [chunk.nbytes for chunk in (audio, tail) if chunk is not None]
    again = bytes2sound(b"".join(chunks))
    assert again.audio[:, :].tobytes() == audio.tobytes()
    assert again.audio.shape == audio.shape
    assert (again.tail is None) == (tail is None)
    assert tail is None or (again.tail is not None and again.tail.tobytes() == tail.tobytes())
    assert (again.instrument, again.verdict) == (sound.instrument, sound.verdict)


def test_a_key_tells_apart_all_that_a_take_depends_on(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mid"
    clip.write_bytes(b"one")
    base = song("a", tmp_path)
    tracks = (ContextTrack("Piano", midi=str(clip)),)
    base = msgspec.structs.replace(base, arrangement=msgspec.structs.replace(base.arrangement, tracks=tracks))
    key = stage2key("take", *request2inputs(base))
    for same in ({"job": "b"}, {"takes": 3}, {"priority": "batch"}):
        assert stage2key("take", *request2inputs(msgspec.structs.replace(base, **same))) == key
    for other in ({"seed": 1}, {"style": "x"}, {"bits": 24}, {"tail": "wrap"}, {"commercial": True}):
        assert stage2key("take", *request2inputs(msgspec.structs.replace(base, **other))) != key
    assert stage2key("score", *request2inputs(base)) != key
    clip.write_bytes(b"two")
    assert stage2key("take", *request2inputs(base)) != key
    clip.unlink()
    with pytest.raises(FileNotFoundError):
        request2inputs(base)


def test_what_json_cannot_say_to_the_bit_is_not_kept(store: StageStore, caplog: pytest.LogCaptureFixture) -> None:
    put_json(store, "plain", {"a": 0.1})
    put_json(store, "numpy", {"a": np.float32(0.1)})
    assert store.get("plain") == b'{"a":0.1}'
    assert store.get("numpy") is None
    assert "could not be kept" in caplog.text


def test_keys_do_not_run_together() -> None:
    assert stage2key("x", b"ab", b"c") != stage2key("x", b"a", b"bc")


def test_what_is_made_for_a_waiting_job_is_its_own(store: StageStore, tmp_path: Path) -> None:
    add_job(tmp_path, "job")
    add_job(tmp_path, "waiting")
    beside = store.beside("waiting")
    beside.put("clip", value(1))
    assert beside.get("clip") == value(1)
    assert store.hits == 0, "the running job has used nothing"
    add_job(tmp_path, "job", final=b"{}")
    for number in range(6):
        store.put(f"{number}", value(number))
    store.begin("waiting")
    assert store.get("clip") == value(1), "it was kept for the job that waits"
    assert store.hits == 1
    assert store.get("0") is None
