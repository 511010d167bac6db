"""The real DAW while things end: the engine in the middle of a job, and Ardour itself."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bridge.handover.manifest import read_manifest
from tests.daw.mix import Placed, check_mix
from tests.daw.rig import Home, ardour, missing, wait_until
from tests.daw.strict_engine import StrictEngine
from tests.daw.test_ardour_verbs import beats2samples, landing, sources, the_band
from tests.daw.user import (
    ACTIONS,
    GENERATE,
    HOOKS,
    REROLL,
    as_the_user,
    borders,
    make_session,
    read_mix,
    save_up_to,
    select_bars,
    select_track,
    status,
    survey,
    write_chords,
)
from tests.engine.held import HeldEngine, held_engine

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())} (see .ci/apt-packages.txt)"),
    pytest.mark.timeout(1800),
]


FOLDERS = ("STEMBRIDGE_DATA", "STEMBRIDGE_RUNTIME")
REROLLED = (12, 16)
"""Beats: one bar in the middle of the intro, which ends with the first tempo."""


@dataclass(frozen=True)
class Ready:
    """A stem of a finished take: its file, first sample and length."""

    take: str
    stem: str
    wav: str
    at: int
    samples: int


def prepare(root: Path, folders: dict[str, str]) -> tuple[Home, Path]:
    home = Home(root, folders)
    home.prepare(ACTIONS, HOOKS)
    write_chords(root / "chords.mid")
    return home, make_session(home)


def wait_for_stems(session: Path, count: int) -> None:
    wait_until(f"{count} stems", lambda: status(session).get("stems", 0) >= count)


def wait_for_end(session: Path) -> dict[str, Any]:
    wait_until("the end of the job", lambda: status(session).get("state") == "idle")
    return status(session)


def check_each_stem_once(tracks: dict[str, Any], ready: Iterable[Ready]) -> list[Placed]:
    """Every stem of the band is on one track, in one region, under its finished take's name. Returns the sounds."""
    wanted = {(stem.take, stem.stem): stem for stem in ready}
    found, heard = [], set()
    for name, track in the_band(tracks).items():
        (region,) = track["regions"]
        assert len(track["comment"].splitlines()) == 1
        job, take, title = landing(track, region["source"])
        assert name in (title, f"{title} MIDI"), "a number in the name would be a second track"
        stem = wanted[f"{job}/{take}", title]
        if "channels" in region:
            heard.add((stem.take, stem.stem))
            assert (region["sample"], region["samples"]) == (stem.at, stem.samples)
            found.append(Placed.read(stem.wav, stem.at))
    assert heard == set(wanted)
    return found


def test_a_killed_engine_is_asked_again_and_ardour_may_be_closed_meanwhile(tmp_path: Path) -> None:
    home, session = prepare(tmp_path, {"STEMBRIDGE_DATA": str(tmp_path / "sb")})
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(StrictEngine(tmp_path / "sb", (tmp_path,), hold=True))
        with ardour(home, session / "song.ardour") as daw:
            as_the_user(daw, tmp_path / "chords.mid")
            daw.run(GENERATE)
            wait_for_stems(session, 1)
            first.kill()
            wait_until("the news", lambda: any("stopped answering" in text for text in daw.shown))
            assert status(session)["state"] == "waiting"
            # This one has another token, knows nothing of the job, and finds the number of its take used up.
            second = StrictEngine(tmp_path / "sb", (tmp_path,), token="another", pid=2, hold=True, takes=first.takes)
            stack.enter_context(second)
            wait_until("the request", lambda: second.requests)
            assert second.requests == first.requests, "the same job, to the last bit"
            wait_until("its first stem", lambda: "take-2" in survey(daw)["drums"]["comment"])
            daw.run('Session:save_state("")')
        with ardour(home, session / "song.ardour") as daw:
            assert "drums" in survey(daw)
            second.hold = False
            assert wait_for_end(session)["kind"] == "done", status(session)["text"]
            ((name, taken),) = second.takes.items()
            ready = [Ready(name, s.stem, s.wav, s.start_sample, s.samples) for s in taken.stems.values()]
            assert len(check_each_stem_once(survey(daw), ready)) == 5
            daw.run(REROLL)
            wait_until("the request", lambda: len(second.requests) == 2)
            assert wait_for_end(session)["kind"] == "done", status(session)["text"]
            tracks = the_band(survey(daw))
            assert not daw.shown
    scope = second.requests[1].scope
    assert scope is not None
    assert scope.take == f"{first.requests[0].job}/take-2", "what is known of the take is right"
    assert not first.problems + second.problems
    assert not first.refused + second.refused
    assert all(len(sources(track)) == 1 for track in tracks.values())


@pytest.fixture
def own_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldEngine]:
    """The real engine with folders of its own, which may be killed."""
    for name in FOLDERS:
        monkeypatch.setenv(name, str(tmp_path / name))
    with held_engine(tmp_path, tmp_path) as engine:
        yield engine


def read_takes(session: Path) -> dict[str, Path]:
    """Folders of the finished takes by the jobs' ids."""
    return {path.parent.parent.name: path.parent for path in (session / "stembridge").glob("*/take-*/manifest.json")}


def ready_stems(folder: Path) -> list[Ready]:
    manifest = read_manifest(folder)
    name = f"{manifest.job}/take-{manifest.take}"
    return [Ready(name, s.name, str(folder / s.wav), s.start_sample, s.samples) for s in manifest.stems]


def check_only_bars_of_the_bass_are_new(before: Path, after: Path, start: int, end: int) -> None:
    """`start`, `end`: samples from the stems' first. All other stems are the same files, to the bit."""
    for stem in read_manifest(before).stems:
        same = next(s for s in read_manifest(after).stems if s.name == stem.name)
        if stem.name != "bass":
            assert (same.sha256, same.midi_sha256) == (stem.sha256, stem.midi_sha256)
    old, new = (soundfile.read(folder / "bass.wav")[0] for folder in (before, after))
    assert np.array_equal(old[:start], new[:start])
    assert np.array_equal(old[end:], new[end:])
    assert np.abs(old[start:end] - new[start:end]).max() > 0.01


def test_the_real_engine_is_killed_in_the_middle_and_its_bass_is_rerolled(
    own_engine: HeldEngine, tmp_path: Path
) -> None:
    home, session = prepare(tmp_path, {name: os.environ[name] for name in FOLDERS})
    with ardour(home, session / "song.ardour") as daw:
        as_the_user(daw, tmp_path / "chords.mid")
        daw.run(GENERATE)
        wait_for_stems(session, 1)
        os.kill(own_engine.endpoint.pid, signal.SIGKILL)
        own_engine.revive()
        assert wait_for_end(session)["kind"] == "done", status(session)["text"]
        (before,) = read_takes(session).values()
        tracks = survey(daw)
        assert len(check_each_stem_once(tracks, ready_stems(before))) == 5

        select_track(daw, "bass")
        select_bars(daw, *REROLLED)
        daw.run(REROLL)
        wait_until("the new wish", lambda: status(session).get("state") != "idle")
        assert wait_for_end(session)["kind"] == "done", status(session)["text"]
        (after,) = (folder for folder in read_takes(session).values() if folder != before)
        rerolled = survey(daw)
        first = borders(daw)["Intro"][0]
        start, end = (sample - first for sample in beats2samples(daw, *REROLLED))
        last = max(region["sample"] + region["samples"] for region in rerolled["bass"]["regions"])
        save_up_to(daw, last)
    check_only_bars_of_the_bass_are_new(before, after, start, end)
    for name, track in tracks.items():
        if name not in ("bass", "bass MIDI"):
            assert rerolled[name] == track
    sounds = [Placed.read(stem.wav, stem.at) for stem in ready_stems(after)]
    check_mix(read_mix(home, session, last), sounds)
