"""The real DAW: Ardour under Xvfb runs our scripts, stems land on its tracks, and its exported mix proves where."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.messages import StemReady, decode_event
from tests.daw.mix import Placed, check_mix
from tests.daw.rig import Ardour, Home, ardour, missing, wait_until
from tests.daw.strict_engine import StrictEngine
from tests.daw.user import (
    ACTIONS,
    CANCEL,
    CHORDS,
    GENERATE,
    HOOKS,
    MOVE_RANGES,
    RANGES,
    RATE,
    TICKS,
    as_the_user,
    bend_tempo,
    borders,
    click,
    make_session,
    read_mix,
    save_up_to,
    status,
    survey,
    write_chords,
)

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())} (see .ci/apt-packages.txt)"),
    pytest.mark.timeout(1800),
]


@dataclass
class Played:
    """What one run left behind. `before` and `after` are surveys; `mix` is the export [samples, 2]."""

    session: Path
    before: dict[str, Any]
    after: dict[str, Any]
    borders: dict[str, tuple[int, int]]
    borders_after: dict[str, tuple[int, int]]
    stems: list[StemReady]
    status: dict[str, Any]
    mix: NDArray[np.float64]


def collect(daw: Ardour, session: Path, box: Path) -> tuple[list[StemReady], dict[str, Any]]:
    """The job's stem events, read while they lie in the mailbox, and the status at its end or first error."""
    found: dict[str, StemReady] = {}

    def started() -> bool:
        now = status(session)
        return now.get("state") == "waiting" or now.get("kind") == "error"

    def ended() -> Any:
        daw.check()
        now = status(session)
        for path in box.glob(f"jobs/{now['job']}/stem-*.json" if now["job"] else "none"):
            with contextlib.suppress(FileNotFoundError):
                event = decode_event(path.read_bytes())
                assert isinstance(event, StemReady)
                found[path.name] = event
        return now["state"] == "idle" or now["kind"] == "error"

    wait_until("the start of the job", started)
    try:
        wait_until("the end of the job", ended)
    except TimeoutError:
        raise AssertionError(f"the band did not end: {status(session)}") from None
    return [found[name] for name in sorted(found)], status(session)


def play(home: Home, box: Path) -> Played:
    """The user's whole way: session, chord idea, key, "Generate band", stems on tracks, save, export."""
    session = make_session(home)
    write_chords(home.root / "chords.mid")
    with ardour(home, session / "song.ardour") as daw:
        as_the_user(daw, home.root / "chords.mid")
        before, ranges = survey(daw), borders(daw)
        daw.run(GENERATE)
        stems, end = collect(daw, session, box)
        assert end["kind"] == "done", end["text"]
        after, ranges_after = survey(daw), borders(daw)
        last = max(stem.start_sample + stem.samples for stem in stems)
        save_up_to(daw, last)
    mix = read_mix(home, session, last)
    return Played(session, before, after, ranges, ranges_after, stems, end, mix)


def smf_notes(path: Path) -> list[tuple[int, int, int]]:
    """(tick at 1920 a quarter, pitch, velocity) of a file's notes, sorted."""
    song = mido.MidiFile(path)
    found = []
    for track in song.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity:
                found.append((round(tick * TICKS / song.ticks_per_beat), message.note, message.velocity))
    return sorted(found)


def region_notes(region: dict[str, Any]) -> list[tuple[int, int, int]]:
    """The same of a surveyed region."""
    found = []
    for at, _, pitch, velocity in region["notes"]:
        beats, ticks = at.split(":")
        found.append((int(beats) * TICKS + int(ticks), pitch, velocity))
    return sorted(found)


def check_played(played: Played) -> None:
    """All that must hold however the stems were made."""
    names = [stem.stem for stem in played.stems]
    assert played.status["stems"] == len(names)
    assert len(names) == len(set(names)) >= 1
    parts = {f"{stem.stem} MIDI": stem for stem in played.stems if smf_notes(Path(stem.midi))}
    assert set(played.after) - set(played.before) == {*names, *parts}
    for name, track in played.before.items():
        assert played.after[name] == track, "the user's own track was touched"
    assert played.borders == played.borders_after
    first, last = played.borders["Intro"][0], played.borders["Chorus"][1]
    for stem in played.stems:
        (audio,) = played.after[stem.stem]["regions"]
        assert (audio["sample"], audio["samples"]) == (stem.start_sample, stem.samples) == (first, last - first)
        assert audio["fades"] is False
        assert audio["channels"] == stem.channels
        source = audio["source"]
        assert played.after[stem.stem]["comment"] == f"stembridge {stem.job} take-1 audio #{source} {stem.stem}"
    for name, stem in parts.items():
        (midi,) = played.after[name]["regions"]
        assert (midi["tick"], midi["start"]) == (round(stem.start_beat * TICKS), 0)
        assert region_notes(midi) == smf_notes(Path(stem.midi))
        assert played.after[name]["comment"] == f"stembridge {stem.job} take-1 midi #{midi['source']} {stem.stem}"
    check_mix(played.mix, [Placed.read(stem.wav, stem.start_sample) for stem in played.stems])


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Played, StrictEngine]]:
    root = tmp_path_factory.mktemp("strict")
    home = Home(root, {"STEMBRIDGE_DATA": str(root / "sb")})
    home.prepare(ACTIONS, HOOKS)
    with StrictEngine(root / "sb", (root,)) as engine:
        yield play(home, engine.box), engine


def test_stems_of_a_strict_engine_land_on_the_sample(strict: tuple[Played, StrictEngine]) -> None:
    played, _ = strict
    check_played(played)


def test_the_request_is_what_the_session_says(strict: tuple[Played, StrictEngine]) -> None:
    played, engine = strict
    assert not engine.problems
    assert not engine.refused
    (request,) = engine.requests
    arrangement = request.arrangement
    assert arrangement.sample_rate == RATE
    assert [(s.name, s.label) for s in arrangement.sections] == [
        ("Intro", "intro"),
        ("Verse", "verse"),
        ("Chorus", "chorus"),
    ]
    clock = arrangement.timeline()
    for section, (name, start, end) in zip(arrangement.sections, RANGES, strict=True):
        assert (section.start, section.end) == (start, end)
        assert (clock.beat2sample(start, RATE), clock.beat2sample(end, RATE)) == played.borders[name]
    assert [(k.beat, k.tonic, k.mode) for k in arrangement.keys] == [(0.0, "A", "minor")]
    assert [(m.beat, m.beats, m.unit) for m in arrangement.metres] == [(0.0, 4, 4)]
    assert clock.bpm_at(0) == pytest.approx(97, abs=1e-3)
    assert clock.bpm_at(20) == pytest.approx(133, abs=1e-3)
    (track,) = arrangement.tracks
    assert (track.name, track.start, track.use) == ("Rhodes idea", 20.0, "follow")
    wanted = sorted((4 * bar * TICKS, pitch, 90) for bar, chord in enumerate(CHORDS) for pitch in chord)
    assert smf_notes(Path(str(track.midi))) == wanted


def test_actions_answer_and_a_ramp_is_read_as_ardour_plays_it(tmp_path: Path) -> None:
    home = Home(tmp_path, {"STEMBRIDGE_DATA": str(tmp_path / "sb")})
    home.prepare(ACTIONS, HOOKS)
    session = make_session(
        home,
        tempi=((0, 100.0), (16, 100.01), (32, 160.0)),
        ranges=(("Intro", 0, 16), ("Verse", 16, 32), ("Refrain", 32, 41)),
        metres="32:3/4",
    )
    bend_tempo(session / "song.ardour", 16, 32, (100.0, 160.0))
    write_chords(tmp_path / "chords.mid")
    with ardour(home, session / "song.ardour") as daw:
        daw.run(MOVE_RANGES)
        as_the_user(daw, tmp_path / "chords.mid")
        assert "engine is not running" in click(daw, "generate")
        assert "Nothing is running" in click(daw, "cancel")
        with StrictEngine(tmp_path / "sb", (tmp_path,), hold=True) as engine:
            daw.run(GENERATE)
            wait_until("the first stem", lambda: status(session).get("stems") == 1)
            assert "still playing" in click(daw, "generate")
            assert "1 stem landed" in click(daw, "progress")
            daw.run(CANCEL)
            wait_until("the end", lambda: status(session).get("state") == "idle")
            assert status(session)["text"] == "Cancelled.\nWhat had landed before stays: 1 stem."
            assert set(survey(daw)) == {"Rhodes idea", "drums", "drums MIDI"}

            engine.hold = False
            settings = {"style": "neo-soul", "seed": 7, "stems": {"drums": True, "lead": True}}
            (session / "stembridge" / "settings.json").write_text(json.dumps(settings))
            daw.run(GENERATE)
            wait_until("the start", lambda: status(session).get("state") == "waiting")
            wait_until("the end", lambda: status(session).get("state") == "idle")
            assert status(session)["kind"] == "done"
            tracks = survey(daw)
            new = {"drums 2", "drums MIDI 2", "lead", "lead MIDI"}
            assert set(tracks) == {"Rhodes idea", "drums", "drums MIDI", *new}

            one_by_one = "local map, out = Temporal.TempoMap.read(), {} for i = 0, 164 do "
            ticks = "out[#out + 1] = map:sample_at(Temporal.timepos_t.from_ticks(i * 480)) end "
            samples = [int(n) for n in daw.run(one_by_one + ticks + "return table.concat(out, ' ')").split()]

            daw.run(
                "local ranges = {} for place in Session:locations():list():iter() do "
                "if place:is_range_marker() or place:is_mark() then ranges[#ranges + 1] = place end end "
                "for _, place in ipairs(ranges) do Session:locations():remove(place) end"
            )
            assert "Nothing is marked" in click(daw, "generate")
    assert not engine.problems
    assert not engine.refused
    request = engine.requests[1]
    assert (request.style, request.seed, [s.role for s in request.stems]) == ("neo-soul", 7, ["drums", "lead"])
    assert request.project.daw == "ardour7"
    assert [track.name for track in request.arrangement.tracks] == ["Rhodes idea"], "our own tracks are no context"
    assert [s.label for s in request.arrangement.sections] == ["intro", "verse", "chorus"]
    assert [(m.beat, m.beats, m.unit) for m in request.arrangement.metres] == [(0.0, 4, 4), (32.0, 3, 4)]
    beats = [beat for beat, _ in request.arrangement.clock]
    assert beats == [0.0, *(16 + i / 4 for i in range(65)), 41.0]
    clock = request.arrangement.timeline()
    assert all(abs(clock.beat2sample(i / 4, RATE) - sample) <= 1 for i, sample in enumerate(samples))
    assert clock.beat2sample(request.arrangement.start, RATE) == 12345
    ramp = range(16 * 4, 32 * 4 + 1)
    assert all(clock.beat2sample(i / 4, RATE) == samples[i] for i in ramp)


@pytest.fixture(scope="module")
def real(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    folders = {"STEMBRIDGE_DATA": str(engine / "data"), "STEMBRIDGE_RUNTIME": str(engine / "runtime")}
    home = Home(tmp_path_factory.mktemp("real"), folders)
    home.prepare(ACTIONS, HOOKS)
    return play(home, engine / "data" / "mailbox")


def test_the_band_of_the_real_engine_lands_on_the_sample(real: Played) -> None:
    assert [stem.stem for stem in real.stems] == ["drums", "bass", "keys", "pad", "lead"]
    check_played(real)


def test_the_take_lies_in_the_session_folder_and_knows_the_key(real: Played) -> None:
    (path,) = (real.session / "stembridge").glob("*/take-1/manifest.json")
    manifest = json.loads(path.read_bytes())
    assert manifest["job"] == real.stems[0].job
    assert (manifest["key"]["tonic"], manifest["key"]["mode"], manifest["key"]["given"]) == ("A", "minor", True)
    assert manifest["start_sample"] == real.borders["Intro"][0]
    given = [c for c in manifest["chords"] if 20 <= c["beat"] < 36]
    assert [c["symbol"].rstrip("7") for c in given if c["beat"] % 4 == 0] == ["Am", "F", "C", "G"]
