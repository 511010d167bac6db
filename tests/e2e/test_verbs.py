"""What a musician does with a take: re-roll some bars, add a part, go on after it. Through the real engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
import soundfile

from bridge.messages import Failed
from tests.e2e.songs import eight_bars
from tests.e2e.test_render import finished, hashes, send

pytestmark = pytest.mark.usefixtures("engine")
RATE = 48000


def test_bars_are_rerolled_and_all_else_is_bit_identical(tmp_path: Path) -> None:
    first = eight_bars(tmp_path)
    before = Path(finished(send(first)).manifests[0]).parent
    scope = {"take": f"{first['job']}/take-1", "stems": ["bass"], "start": 4.5, "end": 8.0}
    done = finished(send(eight_bars(tmp_path, scope=scope, seed=99, job=f"{first['job']}-bars")))
    after = Path(done.manifests[0]).parent
    for name in ("drums", "keys", "pad", "lead"):
        assert hashes(before)[f"{name}.wav"] == hashes(after)[f"{name}.wav"]
        assert hashes(before)[f"{name}.mid"] == hashes(after)[f"{name}.mid"]
    old = soundfile.read(before / "bass.wav", dtype="float32")[0]
    new = soundfile.read(after / "bass.wav", dtype="float32")[0]
    manifest = json.loads((after / "manifest.json").read_bytes())
    assert manifest["scope_beats"] == [[4.0, 8.0]]
    pairs = first["arrangement"]["clock"]
    start, end = (round(np.interp(beat, *zip(*pairs, strict=True)) * RATE) for beat in (4.0, 8.0))
    assert np.array_equal(old[:start], new[:start])
    assert np.array_equal(old[end:], new[end:])
    assert np.abs(old[start:end] - new[start:end]).max() > 0.01


def test_a_part_is_added_to_a_take(tmp_path: Path) -> None:
    first = eight_bars(tmp_path, stems=[{"role": "drums"}, {"role": "bass"}])
    before = Path(finished(send(first)).manifests[0]).parent
    stems = [*first["stems"], {"role": "keys", "name": "organ", "instrument": "organ"}]
    scope = {"take": f"{first['job']}/take-1", "stems": ["organ"]}
    done = finished(send(eight_bars(tmp_path, stems=stems, scope=scope, job=f"{first['job']}-more")))
    after = Path(done.manifests[0]).parent
    for name in ("drums", "bass"):
        assert hashes(before)[f"{name}.wav"] == hashes(after)[f"{name}.wav"]
    organ, _ = soundfile.read(after / "organ.wav", dtype="float32")
    assert len(organ) == len(soundfile.read(after / "bass.wav")[0])
    assert np.abs(organ).max() > 0.01


def test_a_take_is_gone_on_with(tmp_path: Path) -> None:
    first = eight_bars(tmp_path)
    finished(send(first))
    pairs = first["arrangement"]["clock"]
    (b0, s0), (b1, s1) = pairs[-2:]
    more = (b1 + 16.0, s1 + 16.0 * (s1 - s0) / (b1 - b0))
    following = eight_bars(tmp_path, job=f"{first['job']}-on", **{"continues": f"{first['job']}/take-1"})
    following["arrangement"]["clock"] = [*pairs, list(more)]
    end = first["arrangement"]["sections"][-1]["end"]
    following["arrangement"]["sections"] = [{"name": "More", "label": "chorus", "start": end, "end": end + 16.0}]
    done = finished(send(following))
    manifest = json.loads(Path(done.manifests[0]).read_bytes())
    assert manifest["based_on"] == f"{first['job']}/take-1"
    assert manifest["start_beat"] == end
    assert manifest["start_sample"] == round(np.interp(end, *zip(*pairs, more, strict=True)) * RATE)
    for stem in manifest["stems"]:
        audio, _ = soundfile.read(Path(done.manifests[0]).parent / stem["wav"], dtype="float32")
        assert len(audio) == manifest["samples"]
        assert np.abs(audio).max() > 0.01, stem["name"]
    assert manifest["remarks"][0].startswith(f"goes on after {first['job']}/take-1")


def test_a_take_that_is_not_there_is_named(tmp_path: Path) -> None:
    failed = send(eight_bars(tmp_path, **{"continues": "nobody/take-1"}))[-1]
    assert isinstance(failed, Failed)
    assert (failed.refused, failed.code, failed.field) == (True, "scope.missing", "continues")


def test_the_same_notes_sound_in_another_instrument(tmp_path: Path) -> None:
    first = eight_bars(tmp_path)
    before = Path(finished(send(first)).manifests[0]).parent
    stems = [{"role": r} for r in ("drums", "bass", "pad", "lead")] + [{"role": "keys", "instrument": "church organ"}]
    scope = {"take": f"{first['job']}/take-1", "stems": ["keys"], "notes": "keep"}
    done = finished(send(eight_bars(tmp_path, stems=stems, scope=scope, seed=99, job=f"{first['job']}-organ")))
    after = Path(done.manifests[0]).parent
    for name in ("drums", "bass", "pad", "lead"):
        assert hashes(before)[f"{name}.wav"] == hashes(after)[f"{name}.wav"]
    assert notes_of(before / "keys.mid") == notes_of(after / "keys.mid")
    old, new = (soundfile.read(folder / "keys.wav", dtype="float32")[0] for folder in (before, after))
    assert np.abs(old - new).max() > 0.05
    manifest = json.loads((after / "manifest.json").read_bytes())
    assert "organ" in next(s["instrument"] for s in manifest["stems"] if s["name"] == "keys").lower()
    assert manifest["remarks"][-1] == "edit: the sound of keys made anew, notes kept"


def notes_of(path: Path) -> list[tuple[float, float, int, int]]:
    """Notes of a MIDI file: start and end in seconds, pitch, velocity."""
    song = pretty_midi.PrettyMIDI(str(path))
    return [(n.start, n.end, n.pitch, n.velocity) for i in song.instruments for n in i.notes]


def test_notes_that_are_not_there_cannot_be_kept(tmp_path: Path) -> None:
    first = eight_bars(tmp_path, stems=[{"role": "bass"}])
    finished(send(first))
    scope = {"take": f"{first['job']}/take-1", "notes": "keep"}
    failed = send(eight_bars(tmp_path, stems=[{"role": "bass"}, {"role": "keys"}], scope=scope, job="keep-none"))[-1]
    assert isinstance(failed, Failed)
    assert (failed.refused, failed.code, failed.field) == (True, "scope.stem", "stems[1]")
