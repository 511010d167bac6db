"""A reference's groove on its whole way: into the engine with a request, into the score, told in the manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bridge.client import Client
from bridge.messages import Done, Render, decode_shape
from engine.score import Feel
from tests.e2e.songs import eight_bars
from tests.engine.listen.played_songs import RATE, play, steady
from tests.engine.listen.sounds import noise

pytestmark = pytest.mark.usefixtures("engine")
STEMS = [{"role": "drums"}, {"role": "bass"}]


def rendered(out: Path, *references: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(manifest, score) of the eight bars by the sampler."""
    request = eight_bars(out, stems=STEMS, renderer="guide", style="lo-fi")
    request["arrangement"]["references"] = list(references)
    message = decode_shape(json.dumps(request))
    assert isinstance(message, Render)
    with Client.connect(start=False) as client:
        *_, done = client.request(message)
    assert isinstance(done, Done), done
    take = Path(done.manifests[0])
    return json.loads(take.read_text()), json.loads((take.parent / "score.json").read_text())


def offsets(score: dict[str, Any], name: str) -> dict[tuple[float, int], float]:
    """(beat, pitch) -> offset in ms of a part's notes."""
    part = next(p for p in score["parts"] if p["name"] == name)
    return {(n["start"], n["pitch"]): n["offset_ms"] for n in part["notes"]}


def test_the_groove_of_a_reference_comes_through(tmp_path: Path) -> None:
    """A band that swings by itself is made to play even sixteenths, at the request's own tempo and key."""
    even, hiss = tmp_path / "even.wav", tmp_path / "hiss.wav"
    song = play(steady(112.0, 10), feel=Feel(loose_ms=3.0), tonic=4, mode="major")
    soundfile.write(even, song.audio.T, RATE)
    soundfile.write(hiss, noise(5.0, rate=RATE), RATE)
    own, own_score = rendered(tmp_path / "own")
    taught, score = rendered(tmp_path / "taught", {"audio": str(even)}, {"audio": str(hiss), "weight": 0.5})
    assert taught["key"] == own["key"]
    assert taught["clock_sha256"] == own["clock_sha256"]
    assert score["chords"] == own_score["chords"]
    assert any("even.wav the band takes even time" in text for text in taught["remarks"])
    assert any("hiss.wav was not taken over" in text for text in taught["warnings"])
    swung, straight = offsets(own_score, "drums"), offsets(score, "drums")
    assert set(swung) == set(straight)
    off_beats = [at for at in swung if at[0] % 0.5 == 0.25]
    assert len(off_beats) >= 4
    assert np.mean([swung[at] - straight[at] for at in off_beats]) > 15
    for stem in taught["stems"]:
        assert stem["checks"]["onset_ms_median"] <= 2.0
