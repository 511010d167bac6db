"""Kits cut from a reference of drums alone: what is cut, when it plays, and edits of a take that it plays in."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.arrangement import Arrangement, KeyAt, Section
from bridge.handover.manifest import Manifest, read_manifest
from bridge.messages import Render, Scope, StemWanted
from bridge.timeline import Clock
from engine.cutkit import LICENCE, clip2kit
from engine.match import audio2hits
from engine.matched import read_groups
from engine.previous import open_take
from engine.rendering import Clip
from engine.report import Stopwatch
from engine.sampler import Bank, Instrument, render_part
from engine.sampler.described import shipped
from engine.score import Key, Note, Part, Score
from engine.stems import StemMaker, request2frame
from tests.engine.match.sounds import RATE, Audio, steady
from tests.engine.match.test_matched_takes import Listener, Studio, heard

KICK, SNARE, HAT = 36, 38, 42
CLOCK = Clock.steady(110.0, 16.0)
SECONDS = 16 * 60 / 110


def beat() -> Part:
    """Four bars of drums."""
    notes = [Note(bar + at, 0.25, pitch, 105) for bar in (0.0, 4.0, 8.0, 12.0) for at, pitch in
             ((0.0, KICK), (2.5, KICK), (1.0, SNARE), (3.0, SNARE))]  # fmt: skip
    notes += [Note(k / 2, 0.25, HAT, 90) for k in range(1, 32, 2)]
    return Part("drums", "drums", tuple(sorted(notes, key=lambda n: n.start)))


@pytest.fixture(scope="module")
def clip() -> Audio:
    """The beat by a kit of a General MIDI bank that is not in the catalogue."""
    package = pytest.importorskip("pretty_midi")
    font = Path(package.__file__).parent / "TimGM6mb.sf2"
    kit = Instrument("held out", "fontkit", 128, 40, "", 0.0, 0.0, None, 0.0)
    sound = render_part(Bank.open(font), beat(), kit, CLOCK, RATE, 0, round(SECONDS * RATE), 0, lambda _: None)
    return np.asarray(0.5 * sound / np.abs(sound).max(), np.float32)


def test_every_kind_is_cut_where_it_was_struck(clip: Audio) -> None:
    hits = audio2hits(clip, RATE)
    assert set(hits) >= {"kick", "snare", "hat"}
    for kind, pitch in (("kick", KICK), ("snare", SNARE), ("hat", HAT)):
        struck = [CLOCK.beat2second(n.start) for n in beat().notes if n.pitch == pitch]
        assert min(abs(second - hits[kind].second) for second in struck) < 0.003
        assert np.abs(hits[kind].audio[:, : RATE // 50]).max() > 0.5 * np.abs(hits[kind].audio).max()


@pytest.mark.parametrize("rest", ["pad", "silence", "one hit"])
def test_what_is_not_drums_alone_gives_nothing(clip: Audio, rest: str) -> None:
    sounds = {
        "pad": clip + steady(SECONDS + 1, level=0.2)[:, : clip.shape[1]],
        "silence": np.zeros_like(clip),
        "one hit": clip[:, : RATE // 2],
    }
    assert audio2hits(sounds[rest], RATE) == {}


class Drummer(Studio):
    """A studio whose reference is the drum clip, for the drums alone."""

    def __init__(self, folder: Path, clip: Audio) -> None:
        super().__init__(folder)
        soundfile.write(folder / "beat.wav", clip.T, RATE, subtype="FLOAT")

    def played(self, job: str, *, scope: Scope | None = None) -> tuple[Path, Manifest]:
        sections = (Section("Verse", "verse", 0.0, 16.0), Section("Chorus", "chorus", 16.0, 32.0))
        arrangement = Arrangement(
            RATE, ((0.0, 0.0), (32.0, 16.0)), keys=(KeyAt(0.0, "D", "minor"),), sections=sections,
            references=(self.reference("beat", "drums"),),
        )  # fmt: skip
        request = Render(job, arrangement, stems=(StemWanted("drums"), StemWanted("bass")), seed=5, style="pop")
        if scope is not None:
            request = Render(job, arrangement, stems=request.stems, seed=9, style="pop", scope=scope)
        done = self.pipeline.render(request, self.folder / job, Listener())
        folder = Path(done.manifests[0]).parent
        return folder, read_manifest(folder)


@pytest.fixture(scope="module")
def drummer(tmp_path_factory: pytest.TempPathFactory, clip: Audio) -> tuple[Drummer, Path, Manifest]:
    studio = Drummer(tmp_path_factory.mktemp("drummer"), clip)
    return studio, *studio.played("first")


def test_the_cut_kit_plays_and_says_so(drummer: tuple[Drummer, Path, Manifest]) -> None:
    _, _, manifest = drummer
    drums, bass = manifest.stems
    assert drums.instrument == "kit cut from beat.wav"
    (rest,) = (text.partition("; the rest is played by ")[2] for text in drums.warnings if "are cut from beat" in text)
    assert drums.licence == f"{LICENCE}, the rest {shipped()[rest.rstrip('.')].licence}"
    assert drums.licence in manifest.licences
    assert drums.checks.onset_ms_median is not None
    assert drums.checks.onset_ms_median <= 1.0
    assert not drums.checks.repaired
    assert bass.renderer == "guide"
    assert manifest.style is not None
    (row,) = manifest.style["matched"]
    assert row["cut_from_reference"] == ["drums"]


def test_an_edit_goes_on_with_the_same_kit(drummer: tuple[Drummer, Path, Manifest]) -> None:
    studio, folder, manifest = drummer
    edited, fresh = studio.played("again", scope=Scope("first/take-1", ("Chorus",), ("drums",)))
    assert fresh.stems[0].instrument == manifest.stems[0].instrument
    old, new = heard(folder, "drums"), heard(edited, "drums")
    half = old.shape[1] // 2
    assert np.array_equal(old[:, : half - 1], new[:, : half - 1])
    groups = [read_groups(open_take(f"{name}/take-1", studio.folder, "scope")) for name in ("first", "again")]
    assert groups[0][0].kit == groups[1][0].kit is not None


def test_a_kit_is_not_replaced_by_cuts_from_its_own_sound(clip: Audio, tmp_path: Path) -> None:
    """Nothing comes nearer to a kit than itself; another gives way."""
    score = Score(Key(0, "major", given=True), (), (beat(),), ())
    whole = (Section("Verse", "verse", 0.0, 16.0),)
    request = Render("unit", Arrangement(RATE, ((0.0, 0.0), (16.0, SECONDS)), sections=whole))
    frame = request2frame(request, CLOCK, score)
    bank = Bank.open(Path(pytest.importorskip("pretty_midi").__file__).parent / "TimGM6mb.sf2")
    stems = StemMaker(request, CLOCK, frame, score, None, bank, Stopwatch(), threading.Lock())
    own, other = (Instrument("kit", "fontkit", 128, preset, "", 0.0, 0.0, None, 0.0) for preset in (40, 25))
    heard = Clip(clip, RATE)
    assert clip2kit(stems, beat(), heard, "beat.wav", own, tmp_path) is None
    found = clip2kit(stems, beat(), heard, "beat.wav", other, tmp_path)
    assert found is not None
    assert {KICK, SNARE} <= set(found.kit.pitches)
    # Asked for by name, an instrument stays.
    assert clip2kit(stems, replace(beat(), instrument="brush kit"), heard, "beat.wav", other, tmp_path) is None
