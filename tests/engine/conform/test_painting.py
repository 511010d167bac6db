"""Stems painted by strict doubles through the real pipeline: what lands, what is said about it, what stays."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.handover.manifest import Manifest
from engine.rendering import Audio, Stretch
from tests.engine.conform.doubles import DoubleRenderer, filtered, late, noise
from tests.engine.conform.painting_rig import Listener, Painting, hashes, render, stem


@pytest.fixture(scope="module")
def good(pipeline: Painting, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest, Listener]:
    return render(pipeline, tmp_path_factory.mktemp("good"), filtered)


def test_a_good_rendering_lands_as_it_is(pipeline: Painting, good: tuple[Path, Manifest, Listener]) -> None:
    folder, manifest, listener = good
    assert [s.stem for s in listener.stems] == ["drums", "bass", "keys"]
    assert listener.fractions == sorted(listener.fractions)
    for files in manifest.stems:
        assert files.renderer == "double"
        assert files.licence == "MIT"
        painted = files.painted
        assert painted is not None
        assert (painted.used, painted.tries, painted.weights) == (True, 1, "sha256:double")
        assert painted.after_ms is not None
        assert painted.after_ms[0] <= 2.0
        assert painted.after_ms[1] <= 10.0
        assert (files.checks.onset_ms_median or 0.0) <= 2.0
        assert files.checks.repaired == ()
        assert files.warnings == ()
    assert manifest.renderer.name == "double"
    assert manifest.renderer.weights == "sha256:double"
    assert "MIT" in manifest.licences
    info = soundfile.info(folder / "bass.wav")
    assert (info.frames, info.samplerate) == (422_400, 48_000)
    assert len({s.seeds[0] for s in (f.painted for f in manifest.stems) if s}) == 3, "every stem has its own seed"


def test_loudness_is_the_guide_s(pipeline: Painting, good: tuple[Path, Manifest, Listener], tmp_path: Path) -> None:
    _, guide, _ = render(pipeline, tmp_path / "guide", filtered, renderer="guide")
    for files in good[1].stems:
        other = stem(guide, files.name)
        assert files.checks.lufs is not None
        assert other.checks.lufs is not None
        assert files.checks.lufs == pytest.approx(other.checks.lufs, abs=1.0)
        assert files.sha256 != other.sha256
        assert other.painted is None


def test_the_same_seed_gives_the_same_bytes_alone_and_in_company(
    pipeline: Painting, good: tuple[Path, Manifest, Listener], tmp_path: Path
) -> None:
    again = render(pipeline, tmp_path / "a", {"double": DoubleRenderer("double", filtered, batch=1)})[0]
    names = ("drums.wav", "bass.wav", "keys.wav")
    assert {n: hashes(again)[n] for n in names} == {n: hashes(good[0])[n] for n in names}
    other = render(pipeline, tmp_path / "b", filtered, seed=4)[0]
    assert all(hashes(other)[n] != hashes(good[0])[n] for n in names)


def test_a_late_rendering_is_moved_and_says_so(pipeline: Painting, tmp_path: Path) -> None:
    _, manifest, _ = render(pipeline, tmp_path / "out", late)
    for files in manifest.stems:
        painted = files.painted
        assert painted is not None
        assert painted.used
        assert painted.before_ms is not None
        assert painted.after_ms is not None
        assert painted.before_ms[0] == pytest.approx(14.0, abs=1.0)
        assert painted.after_ms[0] <= 1.0
        assert painted.warp_ms == pytest.approx(14.0, abs=2.0)
        assert files.checks.repaired == (f"moved onto the grid by up to {painted.warp_ms:.0f} ms",)
        assert (files.checks.onset_ms_median or 0.0) <= 2.0


def test_what_cannot_be_used_is_tried_again_and_then_the_guide_stands_in(pipeline: Painting, tmp_path: Path) -> None:
    doubles = {"double": DoubleRenderer("double", noise)}
    _, manifest, listener = render(pipeline, tmp_path / "out", doubles)
    guide, _, _ = render(pipeline, tmp_path / "guide", filtered, renderer="guide")
    for files in manifest.stems:
        painted = files.painted
        assert painted is not None
        assert (painted.used, painted.tries, len(painted.refused)) == (False, 3, 3)
        assert files.renderer == "guide"
        assert files.checks.repaired[0].startswith("the sampler's guide stands in for double: ")
        assert any("stands in" in text for text in manifest.warnings)
        assert files.sha256 == hashlib.sha256((guide / files.wav).read_bytes()).hexdigest()
    told = {event.stem: event.checks.repaired for event in listener.stems}
    assert all(told[name] for name in ("drums", "bass", "keys"))
    seeds = [s.seed for batch in doubles["double"].asked for s in batch if s.stem == "bass"]
    assert len(set(seeds)) == 3


def test_the_second_try_is_taken_where_the_first_fails(pipeline: Painting, tmp_path: Path) -> None:
    tried: set[str] = set()

    def moody(stretch: Stretch) -> Audio:
        first = stretch.stem not in tried
        tried.add(stretch.stem)
        return noise(stretch) if first else filtered(stretch)

    _, manifest, _ = render(pipeline, tmp_path / "out", moody)
    for files in manifest.stems:
        assert files.painted is not None
        assert (files.painted.used, files.painted.tries, len(files.painted.refused)) == (True, 2, 1)


def test_long_stems_are_cut_into_windows_and_joined(
    pipeline: Painting, good: tuple[Path, Manifest, Listener], tmp_path: Path
) -> None:
    double = DoubleRenderer("double", filtered, window_seconds=5.0)
    folder, manifest, _ = render(pipeline, tmp_path / "out", {"double": double}, stems="bass keys")
    assert all(files.painted is not None and files.painted.used for files in manifest.stems)
    asked = [s for batch in double.asked for s in batch if s.stem == "bass"]
    assert len(asked) >= 3
    assert len({s.seed for s in asked}) == 1
    whole = soundfile.read(good[0] / "bass.wav", dtype="float32")[0]
    cut = soundfile.read(folder / "bass.wav", dtype="float32")[0]
    assert whole.shape == cut.shape
    jump = np.abs(np.diff(cut, axis=0)).max()
    assert jump <= 1.5 * np.abs(np.diff(whole, axis=0)).max(), "no click at a join"


def test_a_bar_that_is_longer_than_the_window_is_played_by_the_guide(pipeline: Painting, tmp_path: Path) -> None:
    double = DoubleRenderer("double", filtered, window_seconds=1.0)
    _, manifest, _ = render(pipeline, tmp_path / "out", {"double": double}, stems="bass")
    assert double.asked == []
    assert "last longer than the 1 s" in stem(manifest, "bass").checks.repaired[0]


def test_renderers_are_mixed_in_one_take(pipeline: Painting, tmp_path: Path) -> None:
    doubles = {"double": DoubleRenderer("double", filtered), "other": DoubleRenderer("other", late)}
    wanted: list[dict[str, object]] = [
        {"role": "drums"},
        {"role": "bass", "renderer": "double", "words": "fat", "strength": 0.4},
        {"role": "keys", "renderer": "other"},
    ]
    _, manifest, listener = render(pipeline, tmp_path / "out", doubles, stems=wanted, renderer="guide")
    assert [(s.name, s.renderer) for s in manifest.stems] == [("drums", "guide"), ("bass", "double"), ("keys", "other")]
    assert [s.stem for s in listener.stems] == ["drums", "bass", "keys"]
    (stretch,) = doubles["double"].asked[0]
    assert (stretch.strength, stretch.others is not None) == (0.4, True)
    assert stretch.words.startswith("pop, fat, ")
    assert (stretch.tonic, stretch.mode, stretch.beats, stretch.unit) == ("A", "minor", 4, 4)
