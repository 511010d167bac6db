"""Takes of a song whose sound is known: what lands is on the clock, exactly as long as wanted, and said to be so."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile

from bridge.arrangement import Arrangement, KeyAt, Section
from bridge.handover.manifest import Manifest, read_manifest
from bridge.messages import ModelRow, PieceReady, Render, StemReady, StemWanted
from engine.listen.beats import sound2beats
from engine.report import JobCancelled
from engine.song.hear import stem2mono
from engine.song.takes import SongTakes
from tests.engine.rig import wait_for
from tests.engine.song.songs import Plan, Song, make_song
from tests.engine.song.test_choice import checkpoint
from tests.engine.song.test_making import Played

RATE = 44_100
CLOCK = ((0.0, 0.5), (16.0, 8.5), (24.0, 12.1), (32.0, 16.1))
"""Beat 0 lies half a second into the project; then 120, 133 and 120 bpm."""


@dataclass
class Heard:
    """A reporter that keeps what it is told; pieces are looked at while they are there."""

    stems: list[StemReady] = field(default_factory=list)
    pieces: list[tuple[PieceReady, int]] = field(default_factory=list)
    stop_at: str = ""

    def progress(self, stage: str, fraction: float, note: str = "") -> None:
        assert 0.0 <= fraction <= 1.0
        if stage == self.stop_at:
            raise JobCancelled

    def stem(self, event: StemReady) -> None:
        self.stems.append(event)

    def piece(self, event: PieceReady) -> None:
        self.pieces.append((event, soundfile.info(event.wav).frames))


class Singer(Played):
    """The machine with the names that a manifest tells."""

    def __init__(self, song: Song, folder: Path) -> None:
        super().__init__(song)
        self.checkpoint = checkpoint(folder)
        self.name, self.weights, self.licence = "songgeneration-tiny", "tiny sha256:00", "research"


@pytest.fixture(scope="module")
def song() -> Song:
    return make_song(
        (Plan(2, False, 0.1), Plan(4, True, 0.5), Plan(2, False, 0.8)), lambda x: 121 * (1 + 0.02 * np.sin(6 * x))
    )


def asked(song: Song, folder: Path, report: Heard, **changes: Any) -> SongTakes:
    sections = (
        Section("Intro", "intro", 0.0, 8.0),
        Section("Verse", "verse", 8.0, 24.0, lyrics="la la"),
        Section("Outro", "outro", 24.0, 32.0),
    )
    arrangement = Arrangement(RATE, CLOCK, sections=sections, keys=(KeyAt(0.0, "A", "minor"),))
    stems = (StemWanted("vocals"), StemWanted("accompaniment", "band"))
    request = Render("job", arrangement, stems=stems, renderer="songgeneration-tiny", **changes)
    row = ModelRow("songgeneration-tiny", "renderer", True, "research", path=str(folder))
    machine = cast(Any, Singer(song, folder / "model"))
    machine.before_last = lambda: wait_for(lambda: report.pieces)
    return SongTakes(request, row, machine, cast(Any, None), threading.Lock())


def render(song: Song, folder: Path, **changes: Any) -> tuple[Path, Manifest, Heard]:
    report = Heard()
    done = asked(song, folder, report, **changes).render(folder / "job", report, 1)
    take = Path(done.manifests[0]).parent
    return take, read_manifest(take), report


def test_the_stems_lie_on_a_clock_that_changes_tempo_and_the_manifest_tells_the_residual(
    song: Song, tmp_path: Path
) -> None:
    take, manifest, report = render(song, tmp_path)
    start, samples = round(0.5 * RATE), round(15.6 * RATE)
    assert (manifest.start_sample, manifest.samples) == (start, samples)
    assert (manifest.key.tonic, manifest.key.mode, manifest.key.given) == ("A", "minor", True)
    audio = {}
    for stem in manifest.stems:
        assert stem.painted is not None
        assert stem.painted.before_ms is not None
        assert stem.painted.after_ms is not None
        assert stem.painted.before_ms[0] > 40
        assert stem.painted.after_ms[0] <= 10
        assert (stem.checks.onset_ms_median, stem.checks.onset_ms_p99) == stem.painted.after_ms
        audio[stem.name] = soundfile.read(take / stem.wav, dtype="float32")[0].T
        assert audio[stem.name].shape == (2, samples)
    assert len(report.stems) == 2
    mono = stem2mono(audio["vocals"] + audio["band"], RATE)
    beats = np.array(sound2beats(mono, bpm=(110, 145)).seconds)
    clock = [0.5 * k for k in range(17)] + [8.0 + 0.45 * k for k in range(1, 9)] + [11.6 + 0.5 * k for k in range(1, 9)]
    away = np.abs(beats[:, None] - np.array(clock)[None, :]).min(axis=1)
    assert np.median(away) <= 0.010
    assert len(beats) >= 30
    rest = round(0.1 * RATE)
    assert np.abs(audio["vocals"][:, : round(3.9 * RATE)]).max() < 0.01 < np.abs(audio["vocals"]).max()
    assert np.abs(audio["vocals"][:, round(11.6 * RATE) + rest :]).max() < 0.01


def test_pieces_lie_where_their_sections_do_and_are_gone_at_the_end(song: Song, tmp_path: Path) -> None:
    take, _, report = render(song, tmp_path)
    assert report.pieces
    event, frames = report.pieces[0]
    assert event.start_sample == round(0.5 * RATE)
    assert event.start_beat == pytest.approx(0.0, abs=1e-4)
    assert event.samples == frames
    assert event.sections[0] == "Intro"
    assert not Path(event.wav).exists()
    assert [path.name for path in take.parent.iterdir()] == ["take-1"]


def test_what_rings_on_goes_into_a_tail_of_its_own(song: Song, tmp_path: Path) -> None:
    ringing = song.stems["bgm"].copy()
    rest = ringing.shape[1] - round(song.beats[-2] * 48_000)
    ringing[:, -rest:] += (0.1 * np.sin(0.05 * np.arange(rest)) * np.linspace(1, 0, rest)).astype(np.float32)
    take, manifest, _ = render(Song({**song.stems, "bgm": ringing}, song.beats), tmp_path, tail="file")
    band = next(stem for stem in manifest.stems if stem.name == "band")
    assert band.samples == manifest.samples
    assert band.tail is not None
    assert band.tail.start_sample == manifest.start_sample + manifest.samples
    assert 0 < band.tail.samples <= 6 * RATE
    assert (take / band.tail.wav).is_file()


def test_several_takes_are_written_in_one_batch_and_land_each_with_its_seed(song: Song, tmp_path: Path) -> None:
    report = Heard()
    takes = asked(song, tmp_path, report, takes=2, seed=4)
    done = takes.render(tmp_path / "job", report, 1)
    manifests = [read_manifest(Path(path).parent) for path in done.manifests]
    assert [painted.seeds for manifest in manifests if (painted := manifest.stems[0].painted)] == [(4,), (5,)]
    assert all(manifest.seconds["write"] > 0 for manifest in manifests)
    said = cast(Any, takes.machine).said
    assert said[:2] == ["prepare", "2 written"]
    assert "written" not in said
    again = asked(song, tmp_path, report, takes=2, seed=4)
    assert again.render(tmp_path / "job", report, 1).manifests == done.manifests
    assert cast(Any, again.machine).said == []


def test_takes_that_are_written_together_can_be_stopped(song: Song, tmp_path: Path) -> None:
    report = Heard(stop_at="write")
    takes = asked(song, tmp_path, report, takes=2)
    with pytest.raises(JobCancelled):
        takes.render(tmp_path / "job", report, 1)
    assert "2 written" not in cast(Any, takes.machine).said
    assert not (tmp_path / "job").exists()
