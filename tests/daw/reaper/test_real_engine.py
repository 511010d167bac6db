"""REAPER's script against the real engine process: real renders, on the sample, by the engine's own manifest."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mido import MidiFile

from bridge.handover.manifest import read_manifest
from bridge.messages import Checks, Render, StemReady
from bridge.timeline import Clock
from bridge.validate import check_request
from tests.daw.reaper.studio import Studio, check_landed

RATE = 44_100
BARS = [[0, 120, 4, 4], [4, 120, 0, 0, True], [8, 96, 4, 4]]
"""Two bars at 120, a ramp down to 96, then steady: the regions cover the first eight bars or so."""
SECTIONS = [("Verse: laid back", 0.5, 8.0), ("Chorus", 8.0, 18.0)]


def landed(studio: Studio, job: str) -> list[StemReady]:
    """What the engine's manifest of a job's take says was made, checked against the project."""
    home = studio.song / "stembridge" / job / "take-1"
    manifest = read_manifest(home / "manifest.json")
    return [
        StemReady(
            job=job,
            take=1,
            stem=stem.name,
            role=stem.role,
            wav=str(home / stem.wav),
            midi=str(home / stem.midi),
            start_sample=stem.start_sample,
            start_beat=manifest.start_beat,
            samples=stem.samples,
            channels=stem.channels,
            sample_rate=manifest.sample_rate,
            checks=Checks(),
        )
        for stem in manifest.stems
    ]


def asked(studio: Studio) -> list[Render]:
    """The requests that the script has kept, oldest first, each valid for the engine."""
    paths = sorted((studio.song / "stembridge" / "asked").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    found = []
    for path in paths:
        request = check_request(path.read_bytes(), (studio.song,))
        assert isinstance(request, Render)
        found.append(request)
    return found


def midi_notes(stem: StemReady) -> list[str]:
    """The notes of a stem's MIDI file."""
    return [str(m) for track in MidiFile(stem.midi, charset="utf-8").tracks for m in track if m.type.startswith("note")]


def sample(second: float) -> int:
    return int(np.floor(second * RATE + 0.5))


@pytest.mark.skipif(shutil.which("lua5.4") is None, reason="lua5.4 is not installed")
def test_eight_bars_of_the_real_band(engine: Path, tmp_path: Path) -> None:
    with Studio(tmp_path, "lua5.4", "7.72", data=engine / "data") as studio:
        studio.open("song", "p", {"stems": {"drums": True, "bass": True, "keys": True}, "seed": 5, "style": "soul"})
        studio.reaper.do("keep.p.state.sample_rate = rate user.tempo(keep.p, map, true)", rate=float(RATE), map=BARS)
        studio.regions(*SECTIONS)
        studio.reaper.do(
            "user.marker(keep.p, 'key=Am', 0.25) "
            "user.midi(user.track(keep.p, 'Chords'), 0, 8, {{0, 3840, 57, 90}, {0, 3840, 60, 90}, {0, 3840, 64, 90}})"
        )
        before = studio.own_part()
        studio.run("generate")
        studio.finish()
        assert "3 stems landed" in studio.said(), studio.said()
        (request,) = asked(studio)
        assert [(k.tonic, k.mode) for k in request.arrangement.keys] == [("A", "minor")]
        clock = Clock.from_pairs(list(request.arrangement.clock))
        assert clock.beat2sample(request.arrangement.sections[0].end, RATE) == sample(8.0)
        takes = studio.takes()
        stems = landed(studio, request.job)
        assert [stem.stem for stem in stems] == ["drums", "bass", "keys"]
        for stem in stems:
            audio = check_landed(takes, stem)
            assert (stem.start_sample, stem.samples) == (sample(0.5), sample(18.0) - sample(0.5))
            assert sample(audio.position) == sample(0.5)
            sound, rate = soundfile.read(stem.wav, dtype="float32")
            assert (len(sound), rate) == (stem.samples, RATE)
            assert np.abs(sound).max() > 0.01, f"{stem.stem} is silent"

        studio.reaper.do("user.select(user.find_track(keep.p, 'bass')) user.select_time(keep.p, 8, 13)")
        own = studio.own_part()
        studio.run("reroll")
        studio.finish()
        assert studio.own_part() == own
        again = asked(studio)[-1]
        assert again.scope is not None
        (new,) = [stem for stem in landed(studio, again.job) if stem.stem == "bass"]
        assert check_landed(studio.takes(), new).plays
        (old,) = [stem for stem in stems if stem.stem == "bass"]
        first, second = (soundfile.read(stem.wav, dtype="float32")[0] for stem in (old, new))
        edited = sample(8.0) - old.start_sample
        assert np.array_equal(first[: edited - RATE // 2], second[: edited - RATE // 2]), (
            "bars before the selection changed"
        )
        assert not np.array_equal(first, second), "nothing was re-rolled"
        assert not [take for take in studio.takes() if again.job in take.file and take.track != "bass"]
        assert studio.steps() == ["stembridge: Generate band", "stembridge: Re-roll selection"]
        studio.reaper.do("for _ = 1, 4 do user.undo(keep.p) end")
        assert studio.own_part() == before
        studio.check()


@pytest.mark.skipif(shutil.which("lua5.3") is None, reason="lua5.3 is not installed")
def test_the_other_verbs_by_the_real_band(engine: Path, tmp_path: Path) -> None:
    with Studio(tmp_path, "lua5.3", "6.19", data=engine / "data") as studio:
        studio.open("song", "p", {"stems": {"bass": True}, "seed": 5})
        studio.reaper.do("keep.p.state.sample_rate = rate user.tempo(keep.p, map, true)", rate=float(RATE), map=BARS)
        studio.regions(("Verse", 0, 8.0), ("Chorus", 8.0, 10.5))
        studio.reaper.do("user.select_time(keep.p, 0, 8)")
        studio.run("generate")
        studio.finish()
        clip = studio.song / "clip.wav"
        (first,) = landed(studio, asked(studio)[0].job)
        shutil.copy(first.wav, clip)
        studio.reaper.do("user.audio(user.track(keep.p, 'Clip'), clip, 0)", clip=clip)
        new = first
        for verb, stem in (
            ("next_take", "bass"),
            ("add_part", "guitar"),
            ("continue", "bass"),
            ("match_reference", "bass"),
        ):
            if verb == "add_part":
                studio.reaper.do("fake.answer('GetUserInputs', 'guitar')")
            if verb == "match_reference":
                studio.reaper.do("user.select(user.find_track(keep.p, 'Clip').items[1])")
            own, former = studio.own_part(), new
            studio.run(verb)
            studio.finish()
            (new,) = [one for one in landed(studio, asked(studio)[-1].job) if one.stem == stem]
            place = check_landed(studio.takes(), new)
            assert place.plays, verb
            assert studio.own_part() == own
            if verb == "continue":
                assert (new.start_sample, new.samples) == (sample(8.0), sample(10.5) - sample(8.0))
            if verb == "match_reference":
                assert midi_notes(new) == midi_notes(former), "another sound, the same notes"
                assert "not matched" not in studio.said()
        studio.check()


@pytest.mark.skipif(shutil.which("lua5.4") is None, reason="lua5.4 is not installed")
def test_a_project_that_is_saved_after_its_first_take(engine: Path, tmp_path: Path) -> None:
    with Studio(tmp_path, "lua5.4", "7.61", data=engine / "data") as studio:
        studio.reaper.do(
            "keep.p = user.open('') keep.p.state.ext.STEMBRIDGE = {SETTINGS = text}", text='{"stems": {"bass": true}}'
        )
        studio.reaper.do("user.region(keep.p, 'Verse', 0, 4) keep.p.state.sample_rate = 44100.0")
        studio.reaper.do("user.midi(user.track(keep.p, 'Rhodes'), 0, 4, {{0, 3840, 57, 90}, {0, 3840, 60, 90}})")
        studio.run("generate")
        studio.finish()
        assert "1 stem landed" in studio.said(), studio.said()
        (before,) = [take for take in studio.takes() if take.kind == "WAVE"]
        assert Path(before.file).is_relative_to(engine / "data")
        folder = tmp_path / "saved at last"
        folder.mkdir()
        studio.reaper.do("keep.p.file = file user.save(keep.p)", file=folder / "song.rpp")
        studio.reaper.do("user.select(user.find_track(keep.p, 'bass'))")
        studio.run("reroll")
        studio.finish()
        assert studio.said().count("1 stem landed") == 2, studio.said()
        takes = [take for take in studio.takes() if take.kind == "WAVE"]
        assert len(takes) == 2
        assert [take.plays for take in takes if take.file == before.file] == [False]
        studio.run("generate")
        studio.finish()
        new = [take.file for take in studio.takes() if take.kind == "WAVE"][-1]
        assert Path(new).is_relative_to(folder), "from now on in the project's folder"
        studio.check()
