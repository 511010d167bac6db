"""Match reference: the notes of a take in the sound of a clip that is selected in Live."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.daw.live.desk import NoiseEngine
from tests.daw.live.fake_live import FakeLive, Host
from tests.daw.live.test_live_scenarios import FRESH, MATCH, STEMS, clips, done, has_lanes, press, refused


@pytest.mark.parametrize(("warped", "looped"), [(False, False), (True, False), (True, True)])
def test_match_the_selected_clip(
    warped: bool, looped: bool, opened: tuple[FakeLive, Host], noise: NoiseEngine, project: Path
) -> None:
    live, host = opened
    refused(host, MATCH, "Select the audio clip")
    soundfile.write(project / "reference.wav", np.zeros((80_000, 2)), 8000)
    live.auto_warp = warped
    clip = live.user_track("Ref", "audio").create_audio_clip(str(project / "reference.wav"), 40.0)
    assert clip is not None
    clip.begin, clip.low, clip.high = (0.0, clip.high * 0.2, clip.high * 0.7)
    clip.values["looping"] = looped
    if not looped:
        clip.begin, clip.low = clip.low, 0.0
    live.view.values["detail_clip"] = clip
    live.auto_warp = True
    press(host, MATCH)
    (reference,) = noise.requests[0].arrangement.references
    assert reference.audio == str(project / "reference.wav")
    assert reference.from_second == pytest.approx(2.0)
    assert reference.seconds == pytest.approx(5.0)
    assert not clip.dead
    assert clip.warped == warped


def test_match_keeps_the_notes_of_the_take(generated: tuple[FakeLive, Host], noise: NoiseEngine, project: Path) -> None:
    live, host = generated
    soundfile.write(project / "reference.wav", np.zeros((80_000, 2)), 8000)
    clip = live.user_track("Ref", "audio").create_audio_clip(str(project / "reference.wav"), 40.0)
    before = len(live.undo)
    live.view.values["detail_clip"] = clip
    press(host, MATCH, 2)
    first, asked = noise.requests
    assert asked.scope is not None
    assert (asked.scope.take, asked.scope.stems, asked.scope.notes) == (f"{first.job}/take-1", (), "keep")
    assert (asked.seed, asked.arrangement.sections) == (first.seed, first.arrangement.sections)
    assert [reference.audio for reference in asked.arrangement.references] == [str(project / "reference.wav")]
    assert len(live.undo) == before + 1
    if has_lanes(live):
        assert live.names == ["1-MIDI", "Rhodes", *FRESH, "Ref"]
        assert all(len(live.named(stem).lanes) == 1 for stem in STEMS)
    else:
        assert live.names == ["1-MIDI", "Rhodes", *FRESH, "Ref", *(f"{name} 2" for name in FRESH)]
        assert all(clip.values["muted"] for stem in STEMS for clip in clips(live, stem))
    assert "the notes stay" in "".join(host.logged)


def test_match_takes_the_stems_and_sections_that_are_named(
    generated: tuple[FakeLive, Host], noise: NoiseEngine, project: Path
) -> None:
    live, host = generated
    soundfile.write(project / "reference.wav", np.zeros((80_000, 2)), 8000)
    clip = live.user_track("Ref", "audio").create_audio_clip(str(project / "reference.wav"), 40.0)
    assert clip is not None
    live.view.values["detail_clip"] = clip
    for _ in range(5):
        host.tick()
    live.user_names_clip(clip, "/match piano chorus")
    host.run_until(done(host, 2))
    scope = noise.requests[-1].scope
    assert scope is not None
    assert (scope.stems, scope.sections, scope.notes) == (("keys",), ("Chorus",), "keep")
