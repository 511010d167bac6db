"""Several sets at once, and where another version of something goes by the musician's choice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daw.live.conftest import Opener
from tests.daw.live.desk import NoiseEngine
from tests.daw.live.test_live_scenarios import FRESH, GENERATE, TAKE, clips, done, has_lanes, press, song


def test_two_sets_at_once(noise: NoiseEngine, open_set: Opener, tmp_path: Path) -> None:
    """Two Lives share one engine; each gets what it asked for."""
    lives, hosts = [], []
    for name in ("One", "Two"):
        folder = tmp_path / f"{name} Project"
        folder.mkdir()
        lives.append(song("12.2.0" if name == "One" else "11.3.25", folder))
        hosts.append(open_set(lives[-1], sample_rate=8000))
    for host in hosts:
        host.run_until(lambda host=host: host.said("The engine is there"))  # type: ignore[misc]
        host.press(GENERATE)
    for host in hosts:
        host.run_until(done(host, 1))
    assert len({request.job for request in noise.requests}) == 2
    for live, name in zip(lives, ("One", "Two"), strict=True):
        assert live.names == ["1-MIDI", "Rhodes", *FRESH]
        (audio,) = clips(live, "bass")
        assert f"{name} Project" in str(audio.file)


@pytest.mark.parametrize("versions", ["lanes", "scenes", "tracks"])
def test_where_other_versions_go_is_the_musician_s_choice(
    versions: str, version: str, project: Path, noise: NoiseEngine, open_set: Opener
) -> None:
    live = song(version, project)
    host = open_set(live, sample_rate=8000, stems=["bass"], versions=versions)
    press(host, GENERATE)
    press(host, TAKE, 2)
    old = clips(live, "bass")[0]
    if versions == "scenes":
        assert live.named("bass").slots[-1].inside is not None
    elif versions == "lanes" and has_lanes(live):
        assert len(live.named("bass").lanes) == 1
    else:
        assert live.names[-2:] == ["bass 2", "bass MIDI 2"]
    assert old.values["muted"] == (versions == "tracks" or (versions == "lanes" and not has_lanes(live)))
