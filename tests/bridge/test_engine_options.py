"""What the command line tells the engine's process, and what `render` puts into the request."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.arrangement import Arrangement, Section
from bridge.cli import build_parser
from bridge.commands.engine import engine_options
from bridge.commands.render import with_options
from bridge.messages import Render
from engine.process import parse

SONG = Render("song", Arrangement(48000, ((0.0, 0.0), (16.0, 8.0)), sections=(Section("Verse", "verse", 0.0, 16.0),)))


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("--idle-release 20", "idle_release", 20.0),
        ("--time-limit 90", "time_limit", 90.0),
        ("--stages-gib 1.5", "stages_gib", 1.5),
        ("--log-level warning", "log_level", "warning"),
        ("--trace", "trace", True),
        ("--lan 192.0.2.1:7000", "lan", "192.0.2.1:7000"),
    ],
)
def test_the_engine_s_process_understands_what_it_is_told(words: str, name: str, value: object) -> None:
    told = parse(engine_options(build_parser().parse_args(["engine", "start", *words.split()])))
    assert getattr(told, name) == value
    untold = parse(engine_options(build_parser().parse_args(["engine", "start"])))
    assert vars(told) == {**vars(untold), name: value}
    assert vars(untold) == vars(parse([]))


def test_a_render_s_request_says_what_the_command_line_says(tmp_path: Path) -> None:
    def asked(*words: str) -> Render:
        return with_options(SONG, build_parser().parse_args(["render", str(tmp_path / "song.json"), *words]))

    plain = asked()
    assert (plain.priority, plain.time_limit, plain.trace) == ("interactive", None, False)
    full = asked("--batch", "--time-limit", "30", "--trace")
    assert (full.priority, full.time_limit, full.trace) == ("batch", 30.0, True)
