"""The log: one JSON object a line, the job named, bounded, at the level that was asked for."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from bridge.client import Client
from bridge.messages import Done, Failed, encode
from engine.logs import LOG_BYTES, LOG_FILES, logging_to
from tests.engine.rig import echo_engine, song, wait_for


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_line_is_one_json_object(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    with logging_to(path) as form:
        form.job_of_worker = lambda: "song-2"
        log = logging.getLogger("engine.test")
        log.info("two\nlines and a \udc80 stray", extra={"job": "song-1"})
        log.debug("not at this level")
        logging.getLogger("worker").info("a library prints")
        try:
            raise ZeroDivisionError("a fault")
        except ZeroDivisionError:
            log.exception("broke")
    first, worker, broke = lines(path)
    assert (first["job"], first["level"], first["from"]) == ("song-1", "info", "engine.test")
    assert first["text"] == "two\nlines and a ? stray"
    assert first["time"].endswith("Z")
    assert (worker["job"], worker["text"]) == ("song-2", "a library prints")
    assert "job" not in broke
    assert "ZeroDivisionError: a fault" in broke["error"]


@pytest.mark.parametrize(("level", "kept"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_is_what_was_asked_for(level: str, kept: int, tmp_path: Path) -> None:
    before = logging.getLogger().level
    with logging_to(tmp_path / "engine.log", level):
        for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger("engine.test").log(number, "said")
    assert len(lines(tmp_path / "engine.log")) == kept
    assert logging.getLogger().level == before


def test_it_stays_bounded(tmp_path: Path) -> None:
    with logging_to(tmp_path / "engine.log"):
        for _ in range(6000):
            logging.getLogger("test").info("x" * 1000)
    logs = list(tmp_path.iterdir())
    assert len(logs) == LOG_FILES
    assert sum(log.stat().st_size for log in logs) <= LOG_FILES * LOG_BYTES


def test_an_engine_s_log_tells_each_job_s_life(tmp_path: Path) -> None:
    with echo_engine(tmp_path, "--log-level", "debug") as endpoint, Client(endpoint) as client:
        assert isinstance(list(client.request(song("loud", tmp_path, "noise")))[-1], Done)
        assert isinstance(list(client.request(song("bad", tmp_path, "error=job")))[-1], Failed)
        path = Path(endpoint.log)
        wait_for(lambda: "libraries print" in path.read_text() and "stem.silent" in path.read_text())
        said = lines(path)
        figures = encode(client.stats()).decode()
    assert endpoint.token not in path.read_text()
    assert endpoint.token not in figures
    loud = [line["text"] for line in said if line.get("job") == "loud"]
    assert loud[0].startswith("accepted: render auto auto, 24 stem-seconds")
    assert loud[1].startswith("begins, attempt 1")
    assert "libraries print to standard output" in loud
    assert "stem bass of take 1" in loud
    assert loud[-1].startswith("done after")
    (failed,) = [line["text"] for line in said if line.get("job") == "bad" and line["text"].startswith("failed")]
    assert "stem.silent: the stem is silent." in failed
