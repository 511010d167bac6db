"""`stembridge render --trace` and `--time-limit`, on the real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.checkpoints import stembridge
from tests.e2e.songs import eight_bars
from tests.engine.test_trace import check_format

pytestmark = pytest.mark.usefixtures("engine")


def write(path: Path, **changes: object) -> Path:
    """Eight bars of drums and bass with open chords."""
    request = eight_bars(path.parent / "out", stems=[{"role": "drums"}, {"role": "bass"}], **changes)
    path.write_text(json.dumps(request))
    return path


def test_a_timeline_shows_every_stage_of_the_render(tmp_path: Path) -> None:
    done = stembridge("render", write(tmp_path / "song.json", style="pop traced"), "--trace")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("timeline: ")]
    path = Path(line.removeprefix("timeline: ").partition(" (")[0])
    phases = check_format(path.read_bytes())
    spans = [(event["name"], event.get("args", {}).get("part", "")) for event in phases["X"]]
    for name in ("job", "listen", "compose", "plan model", "parts model", "perform", "mix"):
        assert (name, "") in spans
    for part in ("drums", "bass"):
        assert {("guide", part), ("check", part), ("hand over", part)} <= set(spans)
    (job,) = [event for event in phases["X"] if event["name"] == "job"]
    inside = sum(event["dur"] for event in phases["X"] if event["name"] in ("listen", "compose"))
    assert 0 < inside <= job["dur"]
    assert all(event["args"]["megabytes"] > 50 for event in phases["C"] if event["name"] == "memory")


def test_without_the_wish_there_is_none(tmp_path: Path) -> None:
    done = stembridge("render", write(tmp_path / "song.json"))
    assert done.returncode == 0, done.stderr
    assert "timeline" not in done.stdout


def test_a_render_ends_at_its_time_limit(tmp_path: Path) -> None:
    done = stembridge("render", write(tmp_path / "song.json", style="pop limited"), "--time-limit", "0.05")
    assert done.returncode == 3
    assert "it has run for 0.05 seconds, the limit" in done.stderr
    assert not list((tmp_path / "out").rglob("*.wav"))
    assert stembridge("render", tmp_path / "song.json", "--time-limit", "0").returncode == 2
