"""Tiny checkpoints in folders of their own, for the tests of renderers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.checkpoints import stembridge
from tests.engine.diffusion.tiny_models import save_ace_step, save_stable_audio
from tests.engine.rig import own_places


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders of our own in which both checkpoints were added by the command."""
    folder = tmp_path_factory.mktemp("renderers")
    ace = save_ace_step(folder / "ACE-Step-base", "base")
    stable = save_stable_audio(folder / "stable-audio-3-small", "distilled")
    with own_places(folder):
        for name, where, *more in (("ace-step", ace), ("stable-audio-3", stable, "--accept")):
            done = stembridge("models", "add", name, where, *more)
            assert done.returncode == 0, done.stderr
        yield folder
