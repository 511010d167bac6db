"""The whole road: a request goes to the real engine, and what lands on disk is measured by other libraries."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pretty_midi
import pytest
import rpp
import soundfile
from wavinfo import WavInfoReader

from bridge.client import Client
from bridge.handover.manifest import Manifest
from bridge.messages import Accepted, Done, Event, Failed, Progress, Render, StemReady, decode_shape
from tests.e2e.songs import chord_song, eight_bars

pytestmark = pytest.mark.usefixtures("engine")


def send(request: dict[str, Any]) -> list[Event]:
    """All events of one request."""
    message = decode_shape(json.dumps(request))
    assert isinstance(message, Render)
    with Client.connect(start=False) as client:
        return list(client.request(message))


def finished(events: list[Event]) -> Done:
    """The last event, which must be `Done`."""
    assert isinstance(events[-1], Done), events[-1]
    return events[-1]


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a take."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def take(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Event], Path]:
    """One rendered take of the eight bars."""
    del engine
    events = send(eight_bars(tmp_path_factory.mktemp("out")))
    return events, Path(finished(events).manifests[0]).parent


def test_the_events_tell_the_story_in_order(take: tuple[list[Event], Path]) -> None:
    events, folder = take
    assert isinstance(events[0], Accepted)
    fractions = [e.fraction for e in events if isinstance(e, Progress)]
    assert fractions == sorted(fractions)
    stems = [e for e in events if isinstance(e, StemReady)]
    assert [s.stem for s in stems]
    assert {s.stem for s in stems} == {"drums", "bass", "keys", "pad", "lead"}
    assert all(Path(s.wav).parent == folder for s in stems)


def test_every_stem_has_exactly_the_length_and_place_of_the_sections(take: tuple[list[Event], Path]) -> None:
    events, _ = take
    for stem in (e for e in events if isinstance(e, StemReady)):
        audio, rate = soundfile.read(stem.wav, always_2d=True)
        assert (audio.shape, rate, stem.start_sample) == ((844_800, 2), 48000, 0)
        info = WavInfoReader(stem.wav)
        assert info.bext.time_reference == 0
        assert [label.text for label in info.cues.labels] == ["Verse", "Chorus"]


def test_the_checks_hold_the_design_s_bounds(take: tuple[list[Event], Path]) -> None:
    events, _ = take
    stems = {e.stem: e.checks for e in events if isinstance(e, StemReady)}
    timed = {name for name, checks in stems.items() if checks.onset_ms_median is not None}
    assert {"drums", "keys", "lead"} <= timed, "only slow or tied notes have no onset that can be timed"
    for name, checks in stems.items():
        assert (checks.onset_ms_median or 0.0) <= 2.0, name
        assert (checks.onset_ms_p99 or 0.0) <= 10.0, name
        assert checks.in_key is None if name == "drums" else checks.in_key is not None and checks.in_key >= 0.98
        assert checks.true_peak_dbfs is not None
        assert checks.true_peak_dbfs < 0.0, name
        assert checks.repaired == ()


def test_the_stems_sum_to_the_mix(take: tuple[list[Event], Path]) -> None:
    events, folder = take
    total = sum(soundfile.read(e.wav, always_2d=True)[0] for e in events if isinstance(e, StemReady))
    mix = soundfile.read(folder / "mix.wav", always_2d=True)[0]
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    assert np.abs(mix).max() <= 1.0
    reduction = manifest.mix.limiter.max_reduction_db
    if reduction == 0.0:
        assert 20 * np.log10(np.abs(mix - total).max() + 1e-12) < -120
    else:
        quiet = np.abs(total).max(axis=1) < 0.05
        assert np.abs(mix - total).max() <= np.abs(total).max() * (1 - 10 ** (-abs(reduction) / 20)) + 1e-6
        assert quiet.any()


def test_the_midi_plays_back_where_the_clock_says(take: tuple[list[Event], Path]) -> None:
    events, folder = take
    score = json.loads((folder / "score.json").read_bytes())
    for stem in (e for e in events if isinstance(e, StemReady)):
        song = pretty_midi.PrettyMIDI(stem.midi)
        played = [n for instrument in song.instruments for n in instrument.notes]
        part = next(p for p in score["parts"] if p["name"] == stem.stem)
        assert abs(len(played) - len(part["notes"])) <= 0.02 * len(part["notes"])
        assert song.time_to_tick(9.6) == pytest.approx(16 * song.resolution, abs=1)
        assert max(n.end for n in played) <= 17.8


def test_the_reaper_project_places_every_item(take: tuple[list[Event], Path]) -> None:
    _, folder = take
    project = rpp.loads((folder / "session.rpp").read_text())
    items = project.findall(".//ITEM")
    assert len(items) >= 10
    for item in items:
        assert float(next(line for line in item if line[0] == "POSITION")[1]) == pytest.approx(0.0, abs=1e-9)


def test_the_manifest_comes_last_and_holds_true_hashes(take: tuple[list[Event], Path]) -> None:
    _, folder = take
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    for stem in manifest.stems:
        assert hashlib.sha256((folder / stem.wav).read_bytes()).hexdigest() == stem.sha256
    newest = max(folder.iterdir(), key=lambda p: p.stat().st_mtime_ns)
    assert newest.name == "manifest.json"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_music(
    take: tuple[list[Event], Path], tmp_path: Path
) -> None:
    _, folder = take
    again = Path(finished(send(eight_bars(tmp_path / "a"))).manifests[0]).parent
    other = Path(finished(send(eight_bars(tmp_path / "b", seed=4))).manifests[0]).parent
    wavs = [name for name in hashes(folder) if name.endswith(".wav") and name != "mix.wav"]
    # bext carries no date and the job's name is not in a stem, so whole files are compared.
    assert {n: hashes(folder)[n] for n in wavs} == {n: hashes(again)[n] for n in wavs}
    assert sum(hashes(folder)[n] != hashes(other)[n] for n in wavs) >= 3


def test_an_edit_leaves_all_else_bit_identical(tmp_path: Path) -> None:
    first = eight_bars(tmp_path)
    before = Path(finished(send(first)).manifests[0]).parent
    scope = {"take": f"{first['job']}/take-1", "sections": ["Chorus"], "stems": ["bass"]}
    edit = eight_bars(tmp_path, scope=scope, seed=99, job=f"{first['job']}-edit")
    after = Path(finished(send(edit)).manifests[0]).parent
    for name in ("drums", "keys", "pad", "lead"):
        assert hashes(before)[f"{name}.wav"] == hashes(after)[f"{name}.wav"]
        assert hashes(before)[f"{name}.mid"] == hashes(after)[f"{name}.mid"]
    old = soundfile.read(before / "bass.wav", dtype="float32")[0]
    new = soundfile.read(after / "bass.wav", dtype="float32")[0]
    turn = round(9.6 * 48000)
    assert old.shape == new.shape
    assert np.array_equal(old[:turn], new[:turn])
    assert np.abs(old[turn:] - new[turn:]).max() > 0.01


def test_an_edit_of_a_song_that_has_changed_since_is_refused(tmp_path: Path) -> None:
    first = eight_bars(tmp_path, stems=[{"role": "bass"}])
    finished(send(first))
    scope = {"take": f"{first['job']}/take-1", "stems": ["bass"]}
    shorter = eight_bars(tmp_path, stems=[{"role": "bass"}], scope=scope)
    shorter["arrangement"]["sections"].pop()
    faster = eight_bars(tmp_path, stems=[{"role": "bass"}], scope=scope)
    faster["arrangement"]["clock"][1][1] = 9.0
    for request, code in ((shorter, "scope.moved"), (faster, "scope.changed")):
        failed = send(request)[-1]
        assert isinstance(failed, Failed)
        assert (failed.refused, failed.code, failed.field) == (True, code, "scope.take")


def test_two_takes_differ_and_each_is_whole(tmp_path: Path) -> None:
    done = finished(send(eight_bars(tmp_path, takes=2, stems=[{"role": "bass"}, {"role": "keys"}])))
    folders = [Path(m).parent for m in done.manifests]
    assert [f.name for f in folders] == ["take-1", "take-2"]
    assert hashes(folders[0])["bass.wav"] != hashes(folders[1])["bass.wav"]


def test_a_midi_song_is_accompanied_in_its_key_and_tempo(tmp_path: Path) -> None:
    from bridge.commands.render import file2request

    request = file2request(chord_song(tmp_path / "song.mid"))
    with Client.connect(start=False) as client:
        events = list(client.request(request))
    folder = Path(finished(events).manifests[0]).parent
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    assert (manifest.key.tonic, manifest.key.mode) == ("D", "minor")
    assert [c.symbol for c in manifest.chords][:4] == ["Dm", "Bb", "C", "A"]
    assert manifest.samples == math.floor(32 * 0.666667 * 48000 + 0.5), "MIDI holds 90 bpm as 666667 microseconds"


@pytest.mark.parametrize("tail", ["cut", "file", "wrap"])
def test_what_rings_on_is_treated_as_asked(tail: str, tmp_path: Path) -> None:
    done = finished(send(eight_bars(tmp_path, tail=tail, stems=[{"role": "pad"}], bits=24)))
    folder = Path(done.manifests[0]).parent
    assert (folder / "pad tail.wav").exists() == (tail == "file")
    info = soundfile.info(folder / "pad.wav")
    assert (info.subtype, info.frames) == ("PCM_24", 844_800)


def test_a_machine_that_is_not_there_is_refused_with_the_reason(tmp_path: Path) -> None:
    events = send(eight_bars(tmp_path, renderer="ace-step"))
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert failed.refused
    assert failed.code == "renderer.unavailable"
    events = send(eight_bars(tmp_path, stems=[{"role": "vocals"}]))
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert (failed.refused, failed.field) == (True, "stems[0].role")
    assert not list(tmp_path.iterdir())
