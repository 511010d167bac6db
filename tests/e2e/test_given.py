"""What the user brings, through the real engine: an audio melody, a sound font, a disk that refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from bridge.handover.manifest import Manifest
from bridge.messages import Done, Failed
from engine.sampler.bank import SHIPPED
from tests.e2e.songs import eight_bars
from tests.e2e.test_render import finished, send

pytestmark = pytest.mark.usefixtures("engine")


def test_the_lead_leaves_room_for_a_sung_melody(tmp_path: Path) -> None:
    """Eight seconds of a voice-like tone over the verse: our lead rests there and plays in the chorus."""
    time = np.arange(8 * 48000) / 48000
    voice = 0.3 * np.sin(2 * np.pi * (220 * time + 3 * np.sin(2 * np.pi * 5 * time)))
    soundfile.write(tmp_path / "voice.wav", voice, 48000)
    request = eight_bars(tmp_path / "out", stems=[{"role": "drums"}, {"role": "lead"}])
    request["project"]["root"] = str(tmp_path)
    request["arrangement"]["tracks"] = [{"name": "Demo vocal", "role": "vocals", "audio": "voice.wav", "use": "follow"}]
    folder = Path(finished(send(request)).manifests[0]).parent
    score = json.loads((folder / "score.json").read_bytes())
    starts = [n["start"] for p in score["parts"] if p["name"] == "lead" for n in p["notes"]]
    # 8 s at 100 bpm are 13.3 beats.
    assert not [beat for beat in starts if beat < 13.0]
    assert [beat for beat in starts if beat >= 16.0]


def test_a_sound_font_of_the_user_plays_the_melodic_stems(tmp_path: Path) -> None:
    mine = shutil.copy(SHIPPED, tmp_path / "mine.sf3")
    stems = [{"role": "drums"}, {"role": "keys", "instrument": "grand piano"}]
    request = eight_bars(tmp_path / "out", stems=stems, soundfont=str(mine))
    folder = Path(finished(send(request)).manifests[0]).parent
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    licences = {stem.name: stem.licence for stem in manifest.stems}
    assert licences["keys"] == "the user's own"
    assert "CC0" in licences["drums"]


@pytest.mark.parametrize("content", [b"", b"RIFF\0\0\0\0sfbk", b"\0" * 5000])
def test_a_damaged_sound_font_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    bad = tmp_path / "bad.sf2"
    bad.write_bytes(content)
    failed = send(eight_bars(tmp_path / "out", soundfont=str(bad)))[-1]
    assert isinstance(failed, Failed)
    assert failed.refused
    assert "bad.sf2" in failed.message
    assert not list((tmp_path / "out").rglob("*.wav"))


def test_a_job_that_failed_does_not_disturb_the_next(tmp_path: Path) -> None:
    """The take's folder cannot be made: a clear error; the same engine then renders elsewhere."""
    (tmp_path / "blocked").write_text("a file, not a folder")
    failed = send(eight_bars(tmp_path / "blocked" / "deep", stems=[{"role": "bass"}]))[-1]
    assert isinstance(failed, Failed)
    assert failed.code.startswith("disk.")
    assert "blocked" in f"{failed.field} {failed.message}"
    assert isinstance(send(eight_bars(tmp_path / "out", stems=[{"role": "bass"}]))[-1], Done)
