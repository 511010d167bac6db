"""The real engine, killed at random moments of a render: what comes out is what an undisturbed render gives."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from bridge.messages import Render
from tests.e2e.songs import eight_bars
from tests.engine.kills import GENTLE, Killer, Trial, stop, trials
from tests.engine.rig import own_places


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with own_places(tmp_path_factory.mktemp("kills")) as folder:
        request = msgspec.convert(eight_bars(folder / "out", bits=24, tail="file", takes=2), Render)
        stems = tuple(stem for stem in request.stems if stem.role in ("drums", "bass"))
        made = Killer(folder, msgspec.structs.replace(request, stems=stems))
        made.undisturbed()
        yield made
        stop()


@pytest.mark.parametrize(
    "trial", [*trials(12, seed=20), *trials(2, 21, GENTLE)], ids=lambda trial: f"{trial.victim}-at-{trial.at:.2f}"
)
def test_a_killed_render_ends_as_if_nothing_had_been(killer: Killer, trial: Trial) -> None:
    print(f"\nwhole {killer.run(trial):.1f} s after the kill")
