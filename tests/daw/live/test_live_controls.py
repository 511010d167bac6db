"""What the musician asks of single stems in Live: typed into a clip's name, or sent by OSC from outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from stembridge import wishes
from stembridge.trouble import Trouble
from stembridge.wishes import Names

from bridge.messages import Render, StemWanted
from tests.daw.live.conftest import Opener
from tests.daw.live.desk import NoiseEngine
from tests.daw.live.test_live_scenarios import GENERATE, done, press, song

NAMES = Names(["Verse 1"], ["drums", "bass", "guitar 2"])


@pytest.mark.parametrize(
    ("text", "controls"),
    [
        ("/add guitar density=-0.5", {"density": -0.5}),
        ("/add guitar density=1, Register=.25 complexity=-1", {"density": 1.0, "register": 0.25, "complexity": -1.0}),
        ("/reroll bass space=Guitar_2 verse 1: dusty", {"leave_space_for": "Guitar 2"}),
        ("/gen", {}),
    ],
)
def test_controls_among_the_words(text: str, controls: dict[str, float | str]) -> None:
    wish = wishes.text2wish(text, NAMES)
    assert wish is not None
    assert dict(wish.controls) == controls


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/add guitar loudness=1", "is no control"), ("/add guitar density=loud", "from -1 to 1"),
        ("/add guitar density=2", "from -1 to 1"), ("/add guitar density=nan", "from -1 to 1"),
        ("/add guitar density=", "from -1 to 1"), ("/add guitar space=", "is no control"),
        ("/match density=1", "writes no notes"),
    ],
)  # fmt: skip
def test_controls_that_are_not_understood(text: str, why: str) -> None:
    with pytest.raises(Trouble, match=why):
        wishes.text2wish(text, NAMES)


def asked_of(request: Render) -> dict[str, StemWanted]:
    return {stem.title: stem for stem in request.stems}


def test_controls_reach_the_stems_that_are_written(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("12.3.0", project)
    clip = live.user_midi(live.named("1-MIDI"), 8.0, 4.0)
    live.view.values["detail_clip"] = clip
    host = open_set(live, sample_rate=8000)
    press(host, GENERATE)
    assert all(stem.density is None and not stem.leave_space_for for stem in noise.requests[0].stems)
    live.user_names_clip(clip, "/add guitar density=-0.5 space=lead")
    host.run_until(done(host, 2))
    added = asked_of(noise.requests[1])
    assert (added["guitar"].density, added["guitar"].leave_space_for) == (-0.5, "lead")
    assert added["bass"] == StemWanted("bass", "bass")
    live.user_names_clip(clip, "/reroll bass complexity=1")
    host.run_until(done(host, 3))
    again = asked_of(noise.requests[2])
    assert (again["bass"].complexity, again["drums"].complexity) == (1.0, None)
    live.user_names_clip(clip, "/gen drums keys register=0.5")
    host.run_until(lambda: host.said("drums have no register"))
