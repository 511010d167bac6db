"""Edits, tails, voices, cancelling and what a renderer is told: painted stems beyond the plain take."""

from __future__ import annotations

import threading
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile

from engine.rendering import Audio, Stretch
from engine.report import JobCancelled
from tests.engine.conform.doubles import DoubleRenderer, filtered, noise
from tests.engine.conform.painting_rig import Listener, Painting, hashes, render, stem

BAR3 = round(4.8 * 48000)
BAR4 = BAR3 + 2 * 48000
"""First samples of bars 3 and 4 of the four (100 bpm for two bars, then 120)."""


def sound(folder: Path, name: str) -> np.ndarray:
    return soundfile.read(folder / f"{name}.wav", dtype="float32")[0]


def repainted(stretch: Stretch) -> Audio:
    """A whole window of the filtered guide, and something else outside the holes, which must not get through."""
    audio = filtered(stretch)
    outside = np.ones(audio.shape[1], bool)
    for start, end in stretch.holes:
        outside[round(start * stretch.guide.rate) : round(end * stretch.guide.rate)] = False
    return np.where(outside, audio * np.float32(0.9), audio).astype(np.float32) if stretch.holes else audio


@pytest.mark.parametrize("answer", [repainted, noise], ids=["repainted", "refused"])
def test_an_edit_by_bars_repaints_them_and_leaves_all_else_bit_identical(
    pipeline: Painting, tmp_path: Path, answer: object
) -> None:
    out = tmp_path / "out"
    before, manifest, _ = render(pipeline, out, filtered)
    scope = {"take": f"{manifest.job}/take-1", "stems": ["bass"], "start": 8.0, "end": 12.0}
    double = DoubleRenderer("double", answer)  # type: ignore[arg-type]
    after, edited, _ = render(pipeline, out, {"double": double}, scope=scope, seed=9)
    assert {n: h for n, h in hashes(after).items() if n in ("drums.wav", "keys.wav")} == {
        n: h for n, h in hashes(before).items() if n in ("drums.wav", "keys.wav")
    }
    old, new = sound(before, "bass"), sound(after, "bass")
    assert np.array_equal(old[:BAR3], new[:BAR3])
    assert np.array_equal(old[BAR4:], new[BAR4:])
    assert np.abs(old[BAR3:BAR4] - new[BAR3:BAR4]).max() > 0.005
    (stretch,) = double.asked[0]
    (hole,) = stretch.holes
    assert hole[1] - hole[0] == pytest.approx(2.0, abs=1e-4)
    assert stretch.earlier is not None
    files = stem(edited, "bass")
    assert files.painted is not None
    assert files.painted.tasks == ("repaint",)
    assert files.painted.used == (answer is repainted)
    assert (files.renderer == "double") == (answer is repainted)


def test_a_painted_take_is_edited_by_the_sampler_and_the_other_way_round(pipeline: Painting, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before, manifest, _ = render(pipeline, out, filtered, stems="bass", renderer="guide")
    scope = {"take": f"{manifest.job}/take-1", "sections": ["Chorus"], "stems": ["bass"]}
    after, edited, _ = render(pipeline, out, repainted, stems="bass", scope=scope, seed=9)
    old, new = sound(before, "bass"), sound(after, "bass")
    assert np.array_equal(old[:BAR3], new[:BAR3])
    assert np.abs(old[BAR3:] - new[BAR3:]).max() > 0.005
    assert stem(edited, "bass").renderer == "double"


@pytest.mark.parametrize("answer", [repainted, noise], ids=["repainted", "refused"])
def test_kept_notes_are_painted_in_another_sound_and_all_else_stays(
    pipeline: Painting, tmp_path: Path, answer: object
) -> None:
    """The chorus of the bass by the renderer, over a take by the sampler, note for note."""
    out = tmp_path / "out"
    before, manifest, _ = render(pipeline, out, filtered, stems="drums bass", renderer="guide")
    scope = {"take": f"{manifest.job}/take-1", "sections": ["Chorus"], "stems": ["bass"], "notes": "keep"}
    double = DoubleRenderer("double", answer)  # type: ignore[arg-type]
    after, edited, _ = render(pipeline, out, {"double": double}, stems="drums bass", scope=scope, seed=9)
    assert hashes(before)["drums.wav"] == hashes(after)["drums.wav"]
    assert notes_of(before / "bass.mid") == notes_of(after / "bass.mid")
    old, new = sound(before, "bass"), sound(after, "bass")
    assert np.array_equal(old[:BAR3], new[:BAR3])
    files = stem(edited, "bass")
    assert files.painted is not None
    assert (files.painted.tasks, files.painted.used) == (("repaint",), answer is repainted)
    if answer is repainted:
        assert np.abs(old[BAR3:] - new[BAR3:]).max() > 0.005
        assert (files.checks.onset_ms_p99 or 0.0) <= 10.0
    else:
        inner = slice(BAR3 + 480, -480)
        assert np.abs(old[inner] - new[inner]).max() < 1e-4, "the guide of the same notes is what stood there"


def notes_of(path: Path) -> list[tuple[int, int, int, int]]:
    """(track, ticks, pitch, velocity) of the notes that begin."""
    rows = []
    for number, track in enumerate(mido.MidiFile(path).tracks):
        at = 0
        for message in track:
            at += message.time
            if message.type == "note_on" and message.velocity:
                rows.append((number, at, message.note, message.velocity))
    return rows


@pytest.mark.parametrize("tail", ["cut", "file", "wrap"])
def test_what_rings_on_is_treated_as_asked(pipeline: Painting, tmp_path: Path, tail: str) -> None:
    double = DoubleRenderer("double", filtered)
    folder, manifest, _ = render(pipeline, tmp_path / "out", {"double": double}, stems="keys", tail=tail)
    files = stem(manifest, "keys")
    assert files.painted is not None
    assert files.painted.used
    assert (files.tail is not None) == (tail == "file")
    assert soundfile.info(folder / "keys.wav").frames == 422_400
    (stretch,) = double.asked[0]
    assert (stretch.guide.audio.shape[1] > 422_400 + 4_800) == (tail != "cut")
    if tail == "cut":
        assert np.abs(sound(folder, "keys")[-1]).max() < 1e-4


def sung(**changes: object) -> dict[str, object]:
    """A wish for drums and a voice; the chorus has lyrics."""
    return {"stems": [{"role": "drums"}, {"role": "vocals"}], **changes}


def test_a_voice_lands_with_an_empty_part_and_says_that_it_was_not_measured(pipeline: Painting, tmp_path: Path) -> None:
    double = DoubleRenderer("double", filtered)
    folder, manifest, _ = render(pipeline, tmp_path / "out", {"double": double}, **sung())
    files = stem(manifest, "vocals")
    assert [s.name for s in manifest.stems] == ["drums", "vocals"]
    assert (files.renderer, files.checks.onset_ms_median, files.checks.in_key) == ("double", None, None)
    assert files.checks.lufs == pytest.approx(-23.5, abs=0.5)
    assert any("not measured" in text for text in files.warnings)
    notes = [m for track in mido.MidiFile(folder / files.midi).tracks for m in track if m.type == "note_on"]
    assert notes == []
    (asked,) = [s for batch in double.asked for s in batch if s.role == "vocals"]
    assert asked.others is not None
    assert asked.others.audio.any()


def test_a_voice_that_cannot_be_used_is_left_out_and_the_take_says_so(pipeline: Painting, tmp_path: Path) -> None:
    class Mute(DoubleRenderer):
        def _paint(self, stretch: Stretch) -> Audio:
            return np.zeros_like(stretch.guide.audio) if stretch.role == "vocals" else filtered(stretch)

    _, manifest, listener = render(pipeline, tmp_path / "out", {"double": Mute("double", filtered)}, **sung())
    assert [s.name for s in manifest.stems] == ["drums"]
    assert [s.stem for s in listener.stems] == ["drums"]
    assert any("vocals: left out" in text and "it is silent" in text for text in manifest.warnings)


def test_a_cancel_is_seen_at_a_diffusion_step_and_leaves_no_file(pipeline: Painting, tmp_path: Path) -> None:
    entered = threading.Event()

    def slow(stretch: Stretch) -> Audio:
        entered.set()
        return filtered(stretch)

    listener = Listener(stop=lambda stage: stage.startswith("render: "))
    with pytest.raises(JobCancelled):
        render(pipeline, tmp_path / "out", slow, listener)
    assert not entered.is_set(), "the first step was the last"
    assert not list(tmp_path.rglob("*.wav"))
    _, manifest, _ = render(pipeline, tmp_path / "again", slow, stems="bass")
    assert len(manifest.stems) == 1


def test_a_renderer_hears_the_reference_and_says_what_it_cannot_do(pipeline: Painting, tmp_path: Path) -> None:
    clip = tmp_path / "reference.wav"
    soundfile.write(clip, np.random.default_rng(1).normal(0, 0.1, (3 * 44100, 2)), 44100)
    arrangement_reference = {"audio": str(clip), "from_second": 1.0, "seconds": 1.5, "stems": ["bass"]}
    double = DoubleRenderer("double", filtered)
    _, manifest, _ = render(
        pipeline,
        tmp_path / "out",
        {"double": double},
        stems="bass keys",
        avoid="distortion",
        references=[arrangement_reference],
    )
    by_stem = {s.stem: s for batch in double.asked for s in batch}
    heard = by_stem["bass"].reference
    assert heard is not None
    assert (heard.rate, heard.audio.shape) == (44100, (2, round(1.5 * 44100)))
    assert by_stem["keys"].reference is None
    assert all(s.avoid == "distortion" for s in by_stem.values())
    assert "double cannot avoid distortion" in stem(manifest, "bass").warnings
    assert not any("was not matched" in text for text in manifest.warnings)
