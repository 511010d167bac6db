"""What a good renderer's sound becomes on the whole road: strict doubles stand in the place of the networks, at the
pipeline's own seam (`Pipeline.open_renderer`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.e2e.checkpoints import DOUBLES, MIXED, SAMPLES, digest, engine, four_bars, rendered, stem


@pytest.fixture(scope="module")
def doubles(added: Path) -> Iterator[Path]:
    """An engine in which ACE-Step answers well and Stable Audio 3 with noise."""
    with engine(added, DOUBLES, "ace-step=filtered stable-audio-3=noise"):
        yield added


def test_a_good_renderer_s_sound_lands_beside_a_bad_one_s_guide(doubles: Path, tmp_path: Path) -> None:
    take, manifest = rendered(tmp_path, four_bars(tmp_path, stems=MIXED, renderer="guide"))
    assert [s.renderer for s in manifest.stems] == ["guide", "ace-step", "guide"]
    bass = stem(manifest, "bass")
    assert bass.painted is not None
    assert (bass.painted.used, bass.painted.tries) == (True, 1)
    assert bass.checks.repaired == ()
    assert (bass.checks.onset_ms_median or 0.0) <= 2.0
    assert "stands in for stable-audio-3" in stem(manifest, "keys").checks.repaired[-1]
    total = sum(soundfile.read(take / s.wav)[0] for s in manifest.stems)
    mix = soundfile.read(take / "mix.wav")[0]
    assert manifest.mix is not None
    assert manifest.mix.limiter is not None
    if manifest.mix.limiter.max_reduction_db == 0.0:
        assert np.abs(mix - total).max() < 1e-5


def test_a_scoped_edit_repaints_its_bars_alone(doubles: Path, tmp_path: Path) -> None:
    request = four_bars(tmp_path, stems=[{"role": "bass"}, {"role": "keys"}], renderer="ace-step")
    before, _ = rendered(tmp_path, request)
    edit = ("--edit", f"{before.parent.name}/take-1", "--sections", "Chorus", "--only", "bass", "--seed", "9")
    after, manifest = rendered(tmp_path, request, *edit)
    files = stem(manifest, "bass")
    assert files.painted is not None
    assert (files.renderer, files.painted.tasks) == ("ace-step", ("repaint",))
    assert digest(before / "keys.wav") == digest(after / "keys.wav")
    old, new = (soundfile.read(folder / "bass.wav", dtype="float32")[0] for folder in (before, after))
    assert np.array_equal(old[: SAMPLES // 2], new[: SAMPLES // 2])
    assert np.abs(old[SAMPLES // 2 :] - new[SAMPLES // 2 :]).max() > 0.005
