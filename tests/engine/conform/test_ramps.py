"""A bass over a tempo ramp, painted in whole takes by renderers that are off by what can be repaired: what lands is on
the grid by the checks of the finished stem, which know nothing of the repair; where they say otherwise the guide stands
in, bit for bit, and the take says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from bridge.handover.manifest import Manifest, read_manifest
from bridge.messages import Render
from engine.rendering import Audio, Stretch
from engine.score import Score
from tests.engine.conform.adversaries import bent
from tests.engine.conform.doubles import DoubleRenderer, filtered
from tests.engine.conform.material import BARS, make_clock, make_part
from tests.engine.conform.painting_rig import Listener, Painting, four_bars, stem

RATE = 48_000
MEDIAN_MS, LATEST_MS = 2.0, 10.0
LATE_MS, SWELL_MS = 20.0, 20.0
SWELLING = 7
"""Of the bass's notes the one that swells, where it is drifting."""


def drifting(stretch: Stretch) -> Audio:
    """The guide, on time in the beginning and 20 ms late in the end; one of its notes swells from nothing."""
    samples = stretch.guide.audio.shape[1]
    audio = bent(stretch.guide.audio, np.linspace(0.0, LATE_MS, samples))
    note, clock = make_part("bass").notes[SWELLING], make_clock("ramp", BARS)
    place = (clock.beat2second(note.start) + note.offset_ms / 1000) * RATE
    first, length = round(place + LATE_MS / 1000 * RATE * place / samples), round(SWELL_MS / 1000 * RATE)
    audio[:, first : first + length] *= np.linspace(0.0, 1.0, length, dtype=np.float32) ** 2
    return audio


def wavering(stretch: Stretch) -> Audio:
    """Up to 10 ms early and late, in turns of some seconds."""
    return bent(stretch.guide.audio, 10.0 * np.sin(1.3 * np.arange(stretch.guide.audio.shape[1]) / RATE))


def late_and_darker(stretch: Stretch) -> Audio:
    return bent(filtered(stretch), np.full(stretch.guide.audio.shape[1], 14.0))


@pytest.fixture(scope="module")
def bass(pipeline: Painting) -> Iterator[Painting]:
    """The pipeline, to which the bass of the other tests is composed."""
    write = pipeline._write
    with pytest.MonkeyPatch.context() as patch:

        def written(*told: object) -> Score:
            score = write(*told)  # type: ignore[arg-type]
            return replace(score, parts=(make_part("bass"),))

        patch.setattr(pipeline, "_write", written)
        yield pipeline


def take(pipeline: Painting, out: Path, answer: Callable[[Stretch], Audio], **wishes: object) -> tuple[Path, Manifest]:
    """One take of the bass."""
    pipeline.doubles = {"double": DoubleRenderer("double", answer)}
    clock = make_clock("ramp", BARS)
    body = four_bars(out, stems=[{"role": "bass"}], **{"renderer": "double", **wishes})
    body["arrangement"]["clock"] = [[beat, clock.beat2second(beat)] for beat in np.arange(0.0, 16.25, 0.25).tolist()]
    done = pipeline.render(msgspec.convert(body, Render), out / "job", Listener())
    folder = Path(done.manifests[0]).parent
    return folder, read_manifest(folder)


@pytest.fixture(scope="module")
def guide(bass: Painting, tmp_path_factory: pytest.TempPathFactory) -> Audio:
    folder, _ = take(bass, tmp_path_factory.mktemp("guide"), filtered, renderer="guide")
    return sound(folder)


def sound(folder: Path) -> Audio:
    return np.asarray(soundfile.read(folder / "bass.wav", dtype="float32")[0])


@pytest.mark.parametrize("answer", [wavering, late_and_darker])
def test_what_lands_of_a_bass_on_a_ramp_is_on_the_grid(
    bass: Painting, guide: Audio, tmp_path: Path, answer: Callable[[Stretch], Audio]
) -> None:
    folder, manifest = take(bass, tmp_path, answer)
    files = stem(manifest, "bass")
    assert files.painted is not None
    assert files.painted.after_ms is not None, "its stretch was repaired"
    assert files.checks.onset_ms_median is not None
    assert files.checks.onset_ms_p99 is not None
    assert files.checks.onset_ms_median <= MEDIAN_MS
    assert files.checks.onset_ms_p99 <= LATEST_MS
    assert files.painted.used
    assert not np.array_equal(sound(folder), guide)


def test_a_repaired_bass_of_which_one_note_stays_off_gives_way_to_the_guide(
    bass: Painting, guide: Audio, tmp_path: Path
) -> None:
    """Its stretch is within the bounds by the measure that moved it, and not by the finished stem's own."""
    folder, manifest = take(bass, tmp_path, drifting)
    files = stem(manifest, "bass")
    assert files.painted is not None
    assert files.painted.after_ms is not None
    assert files.painted.after_ms[1] <= LATEST_MS
    assert (files.painted.used, files.painted.tries, files.renderer) == (False, 3, "guide")
    why = files.checks.repaired[-1]
    assert why.startswith("the sampler's guide stands in for double: one note in a hundred is 1")
    assert why in files.warnings
    assert f"bass: {why}" in manifest.warnings
    assert np.array_equal(sound(folder), guide)


def test_another_seed_may_bring_a_bass_that_is_whole(bass: Painting, tmp_path: Path) -> None:
    seeds: list[int] = []

    def moody(stretch: Stretch) -> Audio:
        seeds.append(stretch.seed)
        return filtered(stretch) if len(seeds) > 1 else drifting(stretch)

    _, manifest = take(bass, tmp_path, moody)
    files = stem(manifest, "bass")
    assert files.painted is not None
    assert (files.painted.used, files.painted.tries, files.renderer) == (True, 2, "double")
    assert len(set(seeds)) == len(seeds) == 2
    assert len(files.painted.refused) == 1
    assert "one note in a hundred is 1" in files.painted.refused[0]
    assert files.checks.onset_ms_p99 is not None
    assert files.checks.onset_ms_p99 <= LATEST_MS
