"""The picture of a take shows what is in it: every stem in its colour, where it plays and nowhere else."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from bridge.arrangement import KeyAt
from bridge.handover.manifest import ChordUsed, KeyUsed, Machine, Manifest
from bridge.handover.project import ROLE_COLOURS
from bridge.handover.take import Frame, TakeFolder
from bridge.messages import Checks
from bridge.timeline import Clock, Metre

pytest.importorskip("matplotlib", reason="the picture needs matplotlib, an extra for developers")

EXAMPLE = Path(__file__).parents[3] / "examples" / "draw_take.py"
CLOCK = Clock.from_pairs([(0.0, 0.0), (8.0, 5.0), (24.0, 14.0), (40.0, 22.0)], [Metre(0.0, 4, 4), Metre(24.0, 3, 4)])
SECTIONS = [("Verse", "verse", 8.0, 24.0), ("Chorus", "chorus", 24.0, 36.0)]
FRAME = Frame.of(CLOCK, 8000, SECTIONS, [KeyAt(0.0, "D", "minor")], project="Night Bus")


@dataclass(frozen=True)
class PlainNote:
    start: float
    length: float
    pitch: int
    velocity: int = 100
    offset_ms: float = 0.0


@pytest.fixture(scope="module")
def draw() -> ModuleType:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("draw_take", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["draw_take"] = module
    spec.loader.exec_module(module)
    return module


def make_take(folder: Path, *, with_bass: bool = True) -> Path:
    """Drums throughout, a lead in the chorus only, and a bass that may be silent."""
    rng = np.random.default_rng(2)
    chorus = slice(CLOCK.beat2sample(24.0, 8000) - FRAME.start_sample, FRAME.samples)
    lead = np.zeros((2, FRAME.samples), np.float32)
    lead[:, chorus] = rng.uniform(-0.5, 0.5, lead[:, chorus].shape)
    noise = rng.uniform(-0.5, 0.5, (2, FRAME.samples)).astype(np.float32)
    parts: list[tuple[str, Any, list[PlainNote]]] = [
        ("drums", noise, [PlainNote(8 + i / 2, 0.1, 36 + 2 * (i % 4)) for i in range(56)]),
        ("lead", lead, [PlainNote(24 + i / 2, 0.5, 60 + i % 12) for i in range(24)]),
        ("bass", noise * with_bass, [PlainNote(8 + i, 1, 33 + i % 5) for i in range(28)] if with_bass else []),
    ]
    with TakeFolder.open(folder, FRAME) as take:
        stems = [take.write_stem(n, n, audio, notes, renderer="guide", checks=Checks()) for n, audio, notes in parts]
        mix = take.write_mix(noise, lufs=-14.0, true_peak_dbfs=-1.0, limiter=None)
        manifest = Manifest(
            job="job-1",
            take=1,
            seed=7,
            sample_rate=FRAME.rate,
            start_sample=FRAME.start_sample,
            samples=FRAME.samples,
            key=KeyUsed("D", "minor"),
            composer=Machine("band", None, "Apache-2.0"),
            renderer=Machine("guide", None, "Apache-2.0"),
            stems=tuple(stems),
            chords=tuple(ChordUsed(8.0 + 2 * i, 2.0, ("Dm", "Bb", "F", "C")[i % 4]) for i in range(14)),
            sections=tuple(FRAME.sections),
            mix=mix,
            start_beat=FRAME.start,
            end_beat=FRAME.end,
            project="Night Bus",
        )
        return take.finish(manifest).parent


def pixels(draw: ModuleType, folder: Path, path: Path) -> NDArray[np.int16]:
    """The picture [height, width, RGB], through a PNG file."""
    from matplotlib.image import imread

    draw.draw_take(draw.read_take(folder)).savefig(path)
    return (imread(path)[:, :, :3] * 255).astype(np.int16)


def coloured(picture: NDArray[np.int16], role: str) -> NDArray[np.bool_]:
    """Pixels within the strips that have about the full colour of a role."""
    near = np.abs(picture - np.array(ROLE_COLOURS[role])).max(axis=2) < 40
    return near[:, 181:]


def test_every_stem_is_drawn_in_its_colour_where_it_plays(draw: ModuleType, tmp_path: Path) -> None:
    picture = pixels(draw, make_take(tmp_path), tmp_path / "take.png")
    assert picture.shape == (1100, 1600, 3)
    song = picture[:735]
    for role in ("drums", "lead", "bass"):
        assert coloured(song, role).sum() > 1500, role
    verse = int((CLOCK.beat2second(24.0) - CLOCK.beat2second(8.0)) / (FRAME.samples / 8000) * (0.984 - 0.112) * 1600)
    assert coloured(song, "lead")[:, : verse - 10].sum() == 0, "the lead is silent in the verse"
    assert coloured(song, "drums")[:, : verse - 10].sum() > 500


def test_a_silent_stem_leaves_its_strip_empty(draw: ModuleType, tmp_path: Path) -> None:
    picture = pixels(draw, make_take(tmp_path, with_bass=False), tmp_path / "take.png")
    assert coloured(picture, "bass").sum() == 0
    assert coloured(picture, "lead").sum() > 1500


def test_beats_and_seconds_are_the_project_s(draw: ModuleType, tmp_path: Path) -> None:
    take = draw.read_take(make_take(tmp_path))
    assert take.clock.start == 8.0
    assert take.clock.beat2second(24.0) == pytest.approx(9.0, abs=1e-3)
    assert [take.section_seconds(s) for s in take.manifest.sections] == [
        (0.0, pytest.approx(9.0, abs=1e-3)),
        (pytest.approx(9.0, abs=1e-3), pytest.approx(15.0, abs=1e-3)),
    ]
    section, bars = draw.busiest_bars(take)
    assert section.name == "Chorus"
    assert [bar.end - bar.start for bar in bars] == [3.0] * 4


def test_the_envelope_is_the_sound_s(draw: ModuleType, tmp_path: Path) -> None:
    sound = np.zeros((draw.COLUMNS * 10, 2), np.float32)
    sound[: draw.COLUMNS * 5, 1] = 0.5
    sound[5, 0] = -0.8
    soundfile.write(tmp_path / "a.wav", sound, 8000, subtype="FLOAT")
    peaks, rms = draw.wav2envelope(tmp_path / "a.wav")
    assert peaks[0] == pytest.approx(0.8)
    assert set(peaks[1 : draw.COLUMNS // 2].tolist()) == {0.5}
    assert rms[1] == pytest.approx(0.5 / np.sqrt(2))
    assert not peaks[draw.COLUMNS // 2 :].any()


@pytest.mark.parametrize(
    ("symbols", "line"),
    [
        (["Am", "Am", "F", "C", "C", "Am", "F", "C"], "Am  F  C"),
        (["Am", "F", "Am", "G"], "Am  F  Am  G"),
        (["C", "C", "C"], "C"),
        ([], ""),
    ],
)
def test_a_round_of_chords_is_named_once(draw: ModuleType, symbols: list[str], line: str) -> None:
    assert draw.chord_line(symbols) == line


def test_words_are_cut_to_the_room(draw: ModuleType) -> None:
    assert draw.fit("Verse 1", 500, 13) == "Verse 1"
    assert draw.fit("Pre-chorus two", 100, 13) == "Pre-chorus"
    assert draw.fit("Verse", 5, 13) == ""


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    folder = make_take(tmp_path)
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(folder), str(tmp_path / "x.png")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
