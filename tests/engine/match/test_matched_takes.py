"""Takes in the sound of a reference, through the pipeline: what they say, how their stems add up, and edits of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import scipy.signal
import soundfile

from bridge.arrangement import Arrangement, KeyAt, Reference, Section
from bridge.errors import RequestError
from bridge.handover.manifest import Manifest, read_manifest
from bridge.messages import Done, PieceReady, Render, Scope, StemReady, StemWanted
from engine.casting import Cast
from engine.models import catalogue, stem_rows
from engine.pipeline import Pipeline
from engine.rendering import Clip
from engine.report import Tick
from engine.score import Part
from engine.stems import StemMaker
from tests.engine.match.sounds import RATE, beats, steady

BARS, BEAT = 6, 0.5
STEMS = (StemWanted("drums"), StemWanted("bass"), StemWanted("keys", instrument="harpsichord"))


class Listener:
    """A `Reporter` that keeps the stems' names in order."""

    def __init__(self) -> None:
        self.stems: list[str] = []

    def progress(self, stage: str, fraction: float, note: str = "") -> None:
        """Nobody looks."""

    def stem(self, event: StemReady) -> None:
        self.stems.append(event.stem)

    def piece(self, event: PieceReady) -> None:
        raise AssertionError("the band streams no pieces")


class Studio:
    """The pipeline, two clips and a silent one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pipeline = Pipeline()
        self.clips = {
            "bright": beats(6.0, tilt_db=2.0, decay=0.05) + steady(6.0, wide=0.9) * 0.3,
            "dark": beats(6.0, tilt_db=-4.0, decay=0.6) + steady(6.0, wide=0.05) * 0.5,
            "silent": np.zeros((2, 3 * RATE), np.float32),
        }
        for name, clip in self.clips.items():
            soundfile.write(folder / f"{name}.wav", clip.T, RATE, subtype="FLOAT")

    def request(self, job: str, *references: Reference, **changes: Any) -> Render:
        end = 4.0 * BARS
        sections = (Section("Verse", "verse", 0.0, end / 2), Section("Chorus", "chorus", end / 2, end))
        arrangement = Arrangement(
            RATE, ((0.0, 0.0), (end, end * BEAT)), keys=(KeyAt(0.0, "D", "minor"),), sections=sections,
            references=references,
        )  # fmt: skip
        return Render(job, arrangement, **{"stems": STEMS, "seed": 5, "style": "pop", **changes})

    def reference(self, name: str, *stems: str) -> Reference:
        return Reference(str(self.folder / f"{name}.wav"), stems=stems)

    def take(self, request: Render) -> tuple[Path, Manifest, Done]:
        done = self.pipeline.render(request, self.folder / request.job, Listener())
        folder = Path(done.manifests[0]).parent
        return folder, read_manifest(folder), done


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("studio"))


@pytest.fixture(scope="module")
def first(studio: Studio) -> tuple[Path, Manifest, Done]:
    return studio.take(studio.request("first", studio.reference("bright")))


def heard(folder: Path, name: str) -> np.ndarray:
    return soundfile.read(folder / f"{name}.wav", dtype="float32")[0].T


def hashes(manifest: Manifest) -> dict[str, tuple[str, str]]:
    return {stem.name: (stem.sha256, stem.midi_sha256) for stem in manifest.stems}


def test_auto_matches_what_has_a_reference(first: tuple[Path, Manifest, Done]) -> None:
    folder, manifest, done = first
    assert manifest.renderer.name == "match"
    assert {stem.name: stem.renderer for stem in manifest.stems} == dict.fromkeys(("drums", "bass", "keys"), "match")
    assert not any("not matched" in text for text in done.warnings)
    assert manifest.style is not None
    (row,) = manifest.style["matched"]
    assert row["reference"] == "bright.wav"
    assert row["stems"] == {stem.name: stem.instrument for stem in manifest.stems}
    assert row["stems"]["keys"] == "harpsichord"
    assert row["distance_after"] <= row["distance_before"]
    for key in ("spectrum_db", "levels_db", "width_db", "loudness_lu"):
        assert row["after"][key] < row["before"][key]
    assert json.loads((folder / manifest.files["match"]).read_bytes())["groups"]


def test_stems_add_up_to_the_matched_mix_and_pass_their_checks(first: tuple[Path, Manifest, Done]) -> None:
    folder, manifest, _ = first
    total = np.sum([heard(folder, stem.name).astype(np.float64) for stem in manifest.stems], axis=0)
    assert 20 * np.log10(np.abs(total - heard(folder, "mix")).max()) < -100
    assert manifest.mix is not None
    assert manifest.mix.limiter is not None
    assert manifest.mix.limiter.max_reduction_db == 0.0
    assert manifest.mix.true_peak_dbfs is not None
    assert manifest.mix.true_peak_dbfs <= -1.0
    for stem in manifest.stems:
        assert stem.checks.onset_ms_median is None or stem.checks.onset_ms_median <= 2.0
        assert not stem.checks.repaired


def test_the_same_again_is_the_same_to_the_bit(studio: Studio, first: tuple[Path, Manifest, Done]) -> None:
    _, again, _ = studio.take(studio.request("again", studio.reference("bright")))
    assert hashes(again) == hashes(first[1])


def test_a_section_rerolled_leaves_all_else_and_sounds_as_before(
    studio: Studio, first: tuple[Path, Manifest, Done]
) -> None:
    folder, manifest, _ = first
    scope = Scope("first/take-1", ("Chorus",), ("bass",))
    new, edited, _ = studio.take(studio.request("chorus", studio.reference("bright"), scope=scope, seed=9))
    before, after = hashes(manifest), hashes(edited)
    assert {name for name in before if before[name] != after[name]} == {"bass"}
    old, fresh = heard(folder, "bass"), heard(new, "bass")
    half = old.shape[1] // 2
    assert np.array_equal(old[:, : half - 1], fresh[:, : half - 1])
    assert np.abs(old[:, half:] - fresh[:, half:]).max() > 0.01
    assert edited.style is not None
    assert edited.style["matched"][0]["stems"] == manifest.style["matched"][0]["stems"]  # type: ignore[index]


def test_the_same_notes_without_a_reference_go_on_in_the_matched_sound(
    studio: Studio, first: tuple[Path, Manifest, Done]
) -> None:
    scope = Scope("first/take-1", (), ("keys",), notes="keep")
    folder, edited, _ = studio.take(studio.request("kept", scope=scope))
    assert edited.stems[2].renderer == "match"
    difference = heard(first[0], "keys") - heard(folder, "keys")
    assert 20 * np.log10(np.abs(difference).max() + 1e-12) < -90


def test_another_reference_for_one_stem_changes_that_stem_alone(
    studio: Studio, first: tuple[Path, Manifest, Done]
) -> None:
    scope = Scope("first/take-1", (), ("bass",), notes="keep")
    request = studio.request("darker", studio.reference("dark", "bass"), scope=scope)
    _, edited, _ = studio.take(request)
    before, after = hashes(first[1]), hashes(edited)
    assert {name for name in before if before[name][0] != after[name][0]} == {"bass"}
    assert before["bass"][1] == after["bass"][1]
    assert edited.style is not None
    assert {tuple(row["stems"]): row["reference"] for row in edited.style["matched"]} == {
        ("bass",): "dark.wav", ("drums", "keys"): "bright.wav",
    }  # fmt: skip
    louder = edited.stems[1].checks.lufs, first[1].stems[1].checks.lufs
    assert louder[0] is not None
    assert louder[1] is not None
    assert abs(louder[0] - louder[1]) < 1.0


def test_match_reference_sounds_all_stems_anew(studio: Studio, first: tuple[Path, Manifest, Done]) -> None:
    scope = Scope("first/take-1", notes="keep")
    _, edited, _ = studio.take(studio.request("all", studio.reference("dark"), scope=scope))
    before, after = hashes(first[1]), hashes(edited)
    assert all(before[name][0] != after[name][0] and before[name][1] == after[name][1] for name in before)
    assert edited.style is not None
    assert [row["reference"] for row in edited.style["matched"]] == ["dark.wav"]


def test_a_silent_reference_is_told_and_the_guide_plays(studio: Studio) -> None:
    _, manifest, done = studio.take(studio.request("mute", studio.reference("silent", "bass"), stems=STEMS[:2]))
    assert [stem.renderer for stem in manifest.stems] == ["guide", "guide"]
    assert any("silent.wav is silent or too short" in text for text in done.warnings)
    assert manifest.style is None


def test_the_guide_stands_in_where_a_matched_stem_fails_its_check(studio: Studio) -> None:
    """Under a reference of nothing but a deep rumble no hit of the drums would be left to hear."""
    noise = np.random.default_rng(0).standard_normal((2, 6 * RATE))
    rumble = scipy.signal.sosfilt(scipy.signal.butter(8, 60.0, fs=RATE, output="sos"), noise)
    soundfile.write(studio.folder / "rumble.wav", (0.8 * rumble).T.astype(np.float32), RATE, subtype="FLOAT")
    folder, manifest, done = studio.take(studio.request("rumble", studio.reference("rumble"), stems=STEMS[:2]))
    drums, bass = manifest.stems
    assert (drums.renderer, bass.renderer) == ("guide", "match")
    (why,) = drums.checks.repaired
    assert why.startswith("the sampler's guide stands in for the match: only")
    assert drums.checks.onset_ms_median is not None
    assert not bass.checks.repaired
    assert any(why in text for text in done.warnings)
    assert manifest.style is not None
    assert manifest.style["matched"][0]["repaired"] == ["drums"]  # type: ignore[index]
    assert np.abs(heard(folder, "drums")).max() > 0.01


def test_a_repaired_take_is_matched_as_if_its_player_had_been_chosen(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The curves fit who plays in the end: a bass that nobody hears is chosen, the usual one takes its place."""

    def choose(softer_db: float) -> Callable[..., Cast]:
        def choose(stems: StemMaker, parts: Sequence[Part], clip: Clip, tick: Tick) -> Cast:
            usual = {part.name: stems.instrument(part) for part in parts}
            bass = usual["bass"]
            return Cast({**usual, "bass": replace(bass, gain_db=bass.gain_db - softer_db)}, 1.0, 1.0, 0.0)

        return choose

    reference = studio.reference("bright")
    monkeypatch.setattr("engine.matching.cast", choose(0.0))
    _, usual, _ = studio.take(studio.request("usual", reference, stems=STEMS[:2]))
    monkeypatch.setattr("engine.matching.cast", choose(150.0))
    _, unheard, _ = studio.take(studio.request("unheard", reference, stems=STEMS[:2]))
    assert not any(stem.checks.repaired for stem in usual.stems)
    (why,) = unheard.stems[1].checks.repaired
    assert why.startswith("played by")
    assert hashes(unheard) == hashes(usual)


def test_the_guide_stands_in_where_the_mix_comes_no_nearer(studio: Studio) -> None:
    """Nothing can be nearer to the guide's own sound than the guide."""
    bass = (StemWanted("bass", instrument="finger bass"),)
    plain, guide, _ = studio.take(studio.request("plain", stems=bass))
    soundfile.write(studio.folder / "own.wav", heard(plain, "mix").T, RATE, subtype="FLOAT")
    own = msgspec.structs.replace(studio.reference("own"), weight=0.0)
    _, manifest, done = studio.take(studio.request("own", own, stems=bass))
    assert manifest.stems[0].renderer == "guide"
    assert hashes(manifest) == hashes(guide)
    (why,) = manifest.stems[0].checks.repaired
    assert why.startswith("the sampler's guide stands in for the match: the mix was as near to own.wav")
    assert any(why in text for text in done.warnings)
    assert manifest.style is None


def test_match_without_a_reference_is_refused(studio: Studio) -> None:
    request = studio.request("none", renderer="match")
    with pytest.raises(RequestError, match="nothing to bring 'drums' to"):
        stem_rows(request)
    only = msgspec.structs.replace(studio.request("some", studio.reference("dark", "bass")), renderer="auto")
    assert {name: row.name for name, row in stem_rows(only).items()} == {
        "drums": "guide", "bass": "match", "keys": "guide",
    }  # fmt: skip
    row = next(row for row in catalogue() if row.name == "match")
    assert row.available
    assert "for stems that have a reference" in row.note
