"""What references say to the band: what is taken over, what is not and told, and how the band is then heard to play."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from bridge.arrangement import Arrangement, Reference, Section
from bridge.errors import RequestError
from bridge.messages import Render
from engine.listen.style import Style, sound2style
from engine.references import Lessons, reference2style, references2lessons, style2lessons
from engine.score import Feel, GrooveTemplate
from tests.engine.listen.played_songs import RATE, play, steady
from tests.engine.listen.sounds import noise


class Kept:
    """A store in memory that counts what is put."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def put(self, key: str, *chunks: bytes | memoryview) -> None:
        self.values[key] = b"".join(chunks)


@pytest.fixture(scope="module")
def swung() -> Style:
    song = play(steady(92.0, 10), pattern="sixteenths", feel=Feel(swing=0.62, swing_unit=16, loose_ms=3.0))
    return sound2style(song.audio.T, RATE)


@pytest.fixture(scope="module")
def swung_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    song = play(steady(92.0, 10), pattern="sixteenths", feel=Feel(swing=0.62, swing_unit=16, loose_ms=3.0))
    path = tmp_path_factory.mktemp("reference") / "swung.wav"
    soundfile.write(path, song.audio.T, RATE)
    return path


def request(*references: Reference, bpm: float = 100.0) -> Render:
    sections = (Section("A", "verse", 0.0, 32.0),)
    return Render(
        "r", Arrangement(48000, ((0.0, 0.0), (32.0, 32 * 60 / bpm)), sections=sections, references=references)
    )


def taught(style: Style, reference: Reference, bpm: float) -> tuple[GrooveTemplate, Lessons]:
    """The one template that a style teaches, and all that is told."""
    lessons = style2lessons(style, reference, bpm)
    assert len(lessons.templates) == 1
    return lessons.templates[0], lessons


def test_a_clear_groove_is_taken_over_and_told(swung: Style) -> None:
    template, told = taught(swung, Reference("/x/clip.wav", weight=0.7), 100.0)
    assert template.weight == 0.7
    assert (template.swing, template.swing_unit) == (swung.swing.ratio, 16)
    assert [b.band for b in template.bands] == ["low", "mid", "high"]
    assert (len(told.remarks), told.warnings) == (1, ())
    assert "clip.wav" in told.remarks[0]
    assert "tempo and key stay yours" in told.remarks[0]


def test_more_weight_than_one_is_one(swung: Style) -> None:
    template, _ = taught(swung, Reference("/x/clip.wav", weight=4.0, stems=("bass",)), 100.0)
    assert (template.weight, template.stems) == (1.0, ("bass",))


def test_what_was_not_heard_clearly_is_not_taken_over_and_told(swung: Style) -> None:
    reference = Reference("/x/clip.wav")
    unsure = replace(swung, swing=replace(swung.swing, confidence=0.1))
    template, told = taught(unsure, reference, 100.0)
    assert template.swing is None
    assert template.bands
    assert "swing of clip.wav was not taken over" in told.warnings[0]
    loose = replace(swung, groove=replace(swung.groove, confidence=0.1))
    template, told = taught(loose, reference, 100.0)
    assert template.bands == ()
    assert "Accents and timing of clip.wav were not taken over" in told.warnings[0]
    nothing = style2lessons(sound2style(noise(8.0, rate=RATE)[:, None], RATE), reference, 100.0)
    assert (nothing.templates, nothing.remarks, len(nothing.warnings)) == ((), (), 1)
    assert "The groove of clip.wav was not taken over" in nothing.warnings[0]


def test_a_clip_counted_at_half_or_twice_the_tempo(swung: Style) -> None:
    """Sixteenths swung at 92 bpm are eighths at 184; at 46 bpm they would be 32nds, which no feel swings."""
    reference = Reference("/x/clip.wav")
    own, _ = taught(swung, reference, 92.0)
    twice, _ = taught(swung, reference, 180.0)
    half, told = taught(swung, reference, 46.0)
    assert (own.swing_unit, twice.swing_unit, half.swing) == (16, 8, None)
    assert "swing of clip.wav was not taken over" in told.warnings[0]
    low, low_twice, low_half = (t.bands[0].strength for t in (own, twice, half))
    assert low_twice[::2] == tuple((low[k] + low[k + 8]) / 2 for k in range(8))
    assert set(low_twice[1::2]) == {0.0}
    assert low_half[:8] == low_half[8:] == low[::2]


def test_a_clip_is_heard_once(swung_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    reference = Reference(str(swung_file), 1.0, 12.0)
    first = reference2style(reference, kept)
    assert len(kept.values) == 1
    monkeypatch.setattr("engine.references.file2style", lambda *_: pytest.fail("it was heard again"))
    assert reference2style(reference, kept) == first
    assert first.seconds == 12.0


def test_named_stems_come_before_the_band_and_heavy_before_light(swung_file: Path, tmp_path: Path) -> None:
    quiet = tmp_path / "noise.wav"
    soundfile.write(quiet, noise(5.0, rate=RATE), RATE)
    references = (
        Reference(str(swung_file), weight=0.4),
        Reference(str(swung_file), weight=0.9),
        Reference(str(quiet)),
        Reference(str(swung_file), weight=0.2, stems=("bass",)),
    )
    lessons = references2lessons(request(*references), Kept())
    assert [t.weight for t in lessons.templates] == [0.2, 0.9, 0.4]
    assert len(lessons.warnings) == 1
    assert "noise.wav was not taken over" in lessons.warnings[0]
    assert len(lessons.remarks) == 2
    assert references2lessons(request(), Kept()) == Lessons()


def test_a_clip_that_cannot_be_heard_is_one_clear_error(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"not audio")
    with pytest.raises(RequestError, match="cannot be read"):
        references2lessons(request(Reference(str(bad))), Kept())


@pytest.mark.parametrize(("weight", "expected"), [(0.0, 0.5), (0.5, 0.56), (1.0, 0.62)])
def test_the_band_is_heard_to_swing_as_the_reference_does(swung: Style, weight: float, expected: float) -> None:
    """Heard, taken over, performed, played by the sampler, and heard again: at another tempo, in another key."""
    template, _ = taught(swung, Reference("/x/clip.wav", weight=max(weight, 1e-6)), 108.0)
    feel = Feel(loose_ms=3.0, templates=(replace(template, weight=weight),))
    song = play(steady(108.0, 10), pattern="sixteenths", feel=feel, tonic=2, mode="major")
    heard = sound2style(song.audio.T, RATE)
    assert heard.swing.ratio == pytest.approx(expected, abs=0.015)
    assert heard.beats.bpm == pytest.approx(108.0, rel=0.002)
    assert (heard.key.tonic, heard.key.mode) == ("D", "major")


def test_the_band_is_heard_to_accent_as_the_reference_does() -> None:
    """A reference with strong off-beats in the hats; the band's hats accent the beats by themselves."""
    strength = tuple(1.0 if k % 4 == 2 else 0.4 for k in range(16))
    reference = sound2style(play(steady(100.0, 10), pattern="sixteenths").audio.T, RATE)
    bands = tuple(replace(b, strength=strength, timing=(0.0,) * 16) for b in reference.groove.bands)
    accented = replace(reference, groove=replace(reference.groove, bands=bands, confidence=0.9))
    template, _ = taught(accented, Reference("/x/clip.wav"), 100.0)

    def off_beats(feel: Feel) -> float:
        song = play(steady(100.0, 10), pattern="sixteenths", feel=feel, roles=("drums",))
        high = sound2style(song.audio.T, RATE).groove.bands[2].strength
        return float(np.mean(high[2::4]) / np.mean(high[0::4]))

    assert off_beats(Feel(loose_ms=3.0, templates=(replace(template, swing=None),))) > 1.2 * off_beats(
        Feel(loose_ms=3.0)
    )


def test_a_feel_with_templates_is_kept_as_json(swung: Style) -> None:
    template, _ = taught(swung, Reference("/x/clip.wav"), 100.0)
    feel = Feel(templates=(template,))
    assert msgspec.json.decode(msgspec.json.encode(feel), type=Feel) == feel
