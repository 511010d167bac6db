"""A musician's session in the real DAW: 44.1 kHz, a tempo ramp, a selection, and one wish after the other.

The engine is the strict one: it plays noise, and notes every request that does not fit the take that it is about.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from bridge.messages import Render
from tests.daw.mix import Placed, check_mix
from tests.daw.rig import Ardour, Home, ardour, missing, wait_until
from tests.daw.strict_engine import StrictEngine
from tests.daw.user import (
    ACTIONS,
    CANCEL,
    CONTINUE,
    GENERATE,
    HOOKS,
    MATCH,
    NEXT,
    REROLL,
    TICKS,
    as_the_user,
    bend_tempo,
    borders,
    click,
    import_audio,
    let_go,
    make_session,
    read_mix,
    save_up_to,
    select_bars,
    select_region,
    select_track,
    status,
    survey,
    write_chords,
)

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())} (see .ci/apt-packages.txt)"),
    pytest.mark.timeout(1800),
]

RATE = 44_100
RANGES = (("Intro", 0, 16), ("Verse", 16, 32), ("Refrain", 32, 41))
SELECTED = (8, 24)
"""Beats that the band plays first: half of the intro and the first half of the ramp."""
REROLLED = (12, 16)
GUITAR_AT, GUITAR_CUT = 100_000, 1_000
STEMS = ("drums", "bass", "pad")
Survey = dict[str, Any]

SAMPLES_AT = """
    local map, out = Temporal.TempoMap.read(), {}
    for _, beat in ipairs({ BEATS }) do
      out[#out + 1] = map:sample_at(Temporal.timepos_t.from_ticks(beat * 1920))
    end
    return table.concat(out, " ")
"""


def beats2samples(daw: Ardour, *beats: float) -> list[int]:
    """Where Ardour itself puts these beats."""
    return [int(n) for n in daw.run(SAMPLES_AT.replace("BEATS", ", ".join(map(str, beats)))).split()]


@dataclass
class Evening:
    """All that happened: requests by wish, surveys after each wish, the final mix and what it is made of."""

    engine: StrictEngine
    guitar: NDArray[np.float64]
    samples: dict[int, int]
    borders: tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]
    asked: dict[str, Render]
    seen: dict[str, Survey]
    said: dict[str, str]
    windows: list[str]
    mix: NDArray[np.float64]

    def sounds(self, survey_of: Survey) -> list[Placed]:
        """What lies on the audio tracks of a survey, out of the engine's own files and the user's."""
        found = []
        for track in survey_of.values():
            for region in track["regions"]:
                if "channels" not in region:
                    continue
                if not track["comment"]:
                    found.append(Placed(self.guitar[GUITAR_CUT:], region["sample"]))
                    continue
                job, take, stem = landing(track, region["source"])
                found.append(Placed.read(self.engine.takes[f"{job}/{take}"].stems[stem].wav, region["sample"]))
        return found


def landing(track: dict[str, Any], source: str) -> tuple[str, str, str]:
    """(job, take, stem) that a track's comment tells of a source."""
    for line in track["comment"].splitlines():
        _, job, take, _, known, stem = line.split(" ", 5)
        if known == f"#{source}":
            return job, take, stem
    raise AssertionError(f"source {source} is not in the comment {track['comment']!r}")


def sources(track: dict[str, Any]) -> list[str]:
    return [region["source"] for region in track["regions"]]


def the_band(tracks: Survey) -> Survey:
    return {name: track for name, track in tracks.items() if track["comment"]}


def the_users(tracks: Survey) -> Survey:
    return {name: track for name, track in tracks.items() if not track["comment"]}


def prepare(root: Path) -> tuple[Home, Path, NDArray[np.float64]]:
    """The session with its ramp on disk, and the user's guitar [samples, 2]."""
    home = Home(root, {"STEMBRIDGE_DATA": str(root / "sb")}, rate=RATE)
    home.prepare(ACTIONS, HOOKS)
    session = make_session(home, ((0, 100.0), (16, 100.01), (32, 160.0)), RANGES, metres="32:3/4")
    bend_tempo(session / "song.ardour", 16, 32, (100.0, 160.0))
    write_chords(root / "chords.mid")
    guitar = (np.random.default_rng(5).standard_normal((6 * RATE, 2)) * 0.05).astype(np.float32)
    soundfile.write(root / "guitar.wav", guitar, RATE, subtype="FLOAT")
    (session / "stembridge").mkdir()
    settings = {"seed": 40, "stems": dict.fromkeys(STEMS, True)}
    (session / "stembridge" / "settings.json").write_text(json.dumps(settings))
    return home, session, guitar.astype(np.float64)


# Ardour's ranges were made before the tempo was bent.
MOVE_RANGES = """
    local at = { Intro = { 0, 16 }, Verse = { 16, 32 }, Refrain = { 32, 41 } }
    for place in Session:locations():list():iter() do
      local span = at[place:name()]
      if span then
        place:set(Temporal.timepos_t.from_ticks(span[1] * 1920), Temporal.timepos_t.from_ticks(span[2] * 1920))
      end
    end
"""


def live(home: Home, session: Path, guitar: NDArray[np.float64], engine: StrictEngine) -> Evening:
    """One wish after the other, each waited for; a survey after each."""
    asked: dict[str, Render] = {}
    seen: dict[str, Survey] = {}
    said: dict[str, str] = {}

    def wish(name: str, do: Callable[[], object], landed: int | None = None) -> None:
        count = len(engine.requests)
        do()
        wait_until(f"the request of {name}", lambda: len(engine.requests) > count or daw.shown)
        assert not daw.shown
        asked[name] = engine.requests[-1]
        if landed is not None:
            wait_until("the first stem", lambda: status(session).get("stems") == landed)
            daw.run(CANCEL)
        wait_until(f"the end of {name}", lambda: status(session).get("state") == "idle")
        said[name] = status(session)["text"]
        seen[name] = survey(daw)

    with ardour(home, session / "song.ardour") as daw:
        daw.run(MOVE_RANGES)
        as_the_user(daw, home.root / "chords.mid")
        import_audio(daw, home.root / "guitar.wav", "Guitar", GUITAR_AT, GUITAR_CUT)
        let_go(daw)
        beats = (*SELECTED, *REROLLED, 32)
        samples = dict(zip(beats, beats2samples(daw, *beats), strict=True))
        ranges, seen["before"] = borders(daw), survey(daw)

        select_bars(daw, *SELECTED)
        wish("generate", lambda: daw.run(GENERATE))
        let_go(daw)
        wish("next", lambda: daw.run(NEXT))
        select_track(daw, "bass")
        select_bars(daw, *REROLLED)
        wish("reroll", lambda: daw.run(REROLL))
        daw.run("Editor:undo(1)")
        seen["undone"] = survey(daw)
        daw.run("Editor:redo(1)")
        seen["redone"] = survey(daw)
        let_go(daw)
        wish("continue", lambda: daw.run(CONTINUE))
        select_bars(daw, *REROLLED)
        wish("add", lambda: click(daw, "add", '{ role = "guitar", instrument = "nylon string" }'))
        select_region(daw, "Guitar")
        wish("match", lambda: daw.run(MATCH))
        let_go(daw)
        engine.hold = True
        wish("cancel", lambda: daw.run(NEXT), landed=1)
        engine.hold = False
        daw.run("Editor:undo(1)")
        seen["end"] = survey(daw)
        ranges_after = borders(daw)
        last = max(region["sample"] + region["samples"] for t in seen["end"].values() for region in t["regions"])
        save_up_to(daw, last)
        windows = daw.shown
    mix = read_mix(home, session, last)
    return Evening(engine, guitar, samples, (ranges, ranges_after), asked, seen, said, windows, mix)


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evening]:
    root = tmp_path_factory.mktemp("verbs")
    home, session, guitar = prepare(root)
    with StrictEngine(root / "sb", (root,)) as engine:
        yield live(home, session, guitar, engine)


def test_nothing_was_refused_and_nothing_of_the_users_was_touched(evening: Evening) -> None:
    assert not evening.engine.problems
    assert not evening.engine.refused
    assert not evening.windows
    users = the_users(evening.seen["before"])
    assert set(users) == {"Rhodes idea", "Guitar"}
    for tracks in evening.seen.values():
        assert the_users(tracks) == users
    before, after = evening.borders
    assert {name: span for name, span in after.items() if name in before} == before


def test_a_selection_clips_the_sections_and_begins_on_ardours_own_sample(evening: Evening) -> None:
    arrangement = evening.asked["generate"].arrangement
    assert arrangement.sample_rate == RATE
    assert [(s.name, s.label, s.start, s.end) for s in arrangement.sections] == [
        ("Intro", "intro", 8, 16),
        ("Verse", "verse", 16, 24),
    ]
    first, last = (evening.samples[beat] for beat in SELECTED)
    clock = arrangement.timeline()
    assert [clock.beat2sample(beat, RATE) for beat in SELECTED] == [first, last]
    assert clock.bpm_at(23) == pytest.approx(125, abs=2), "in the ramp from 100 to 160"
    tracks = the_band(evening.seen["generate"])
    assert set(tracks) == {"drums", "drums MIDI", "bass", "bass MIDI", "pad"}
    for name in STEMS:
        (region,) = tracks[name]["regions"]
        assert (region["sample"], region["samples"], region["fades"]) == (first, last - first, False)
        assert tracks[name]["others"] == {}
    for name in ("drums MIDI", "bass MIDI"):
        (region,) = tracks[name]["regions"]
        assert region["tick"] == SELECTED[0] * TICKS


def test_audio_tracks_are_context_to_the_sample(evening: Evening) -> None:
    request = evening.asked["generate"]
    tracks = {track.name: track for track in request.arrangement.tracks}
    assert set(tracks) == {"Rhodes idea", "Guitar left", "Guitar right"}
    first = evening.samples[SELECTED[0]]
    for channel, name in enumerate(("Guitar left", "Guitar right")):
        track = tracks[name]
        assert track.start == SELECTED[0], "what sounds before the sections is not sent"
        heard, rate = soundfile.read(str(track.audio))
        assert rate == RATE
        assert np.array_equal(heard, evening.guitar[first - GUITAR_AT :, channel])


def test_the_next_take_is_the_same_wish_with_the_next_seed(evening: Evening) -> None:
    first, second = evening.asked["generate"], evening.asked["next"]
    assert (first.seed, second.seed) == (40, 41)
    assert second.arrangement == first.arrangement
    assert (second.stems, second.scope) == (first.stems, None)
    before, after = the_band(evening.seen["generate"]), the_band(evening.seen["next"])
    assert set(before) == set(after), "versions of a stem share its track"
    for name, track in before.items():
        assert after[name]["others"] == {track["playlist"]: track["regions"]}, "the earlier take stays as it was"
        assert set(sources(track)).isdisjoint(sources(after[name]))
        assert [(r["sample"], r["samples"]) for r in after[name]["regions"]] == [
            (r["sample"], r["samples"]) for r in track["regions"]
        ]


def test_only_the_selected_stem_is_written_anew(evening: Evening) -> None:
    request, base = evening.asked["reroll"], evening.asked["next"]
    assert request.scope is not None
    assert (request.scope.take, request.scope.stems) == (f"{base.job}/take-1", ("bass",))
    assert (request.scope.start, request.scope.end) == REROLLED
    assert request.seed not in (40, 41)
    before, after = the_band(evening.seen["next"]), the_band(evening.seen["reroll"])
    for name, track in before.items():
        if name not in ("bass", "bass MIDI"):
            assert after[name] == track
        else:
            assert after[name]["others"] == track["others"] | {track["playlist"]: track["regions"]}
    old, new = (evening.sounds({"bass": tracks["bass"]})[0].audio for tracks in (before, after))
    start, end = (evening.samples[beat] - evening.samples[SELECTED[0]] for beat in REROLLED)
    assert np.array_equal(old[:start], new[:start])
    assert np.array_equal(old[end:], new[end:])
    assert not np.array_equal(old[start:end], new[start:end])


def test_one_undo_brings_back_what_played_and_redo_what_was_new(evening: Evening) -> None:
    before, after = evening.seen["next"], evening.seen["reroll"]
    undone, redone = evening.seen["undone"], evening.seen["redone"]
    assert sources(undone["bass"]) == sources(before["bass"])
    assert [r["notes"] for r in undone["bass MIDI"]["regions"]] == [r["notes"] for r in before["bass MIDI"]["regions"]]
    assert [r["notes"] for r in redone["bass MIDI"]["regions"]] == [r["notes"] for r in after["bass MIDI"]["regions"]]
    assert undone["bass MIDI"]["regions"][0]["notes"] != redone["bass MIDI"]["regions"][0]["notes"]
    for name in ("bass", "drums", "drums MIDI", "pad"):
        assert sources(redone[name]) == sources(after[name])
        assert [r["sample"] for r in redone[name]["regions"]] == [r["sample"] for r in after[name]["regions"]]


def test_the_band_goes_on_where_its_take_ends(evening: Evening) -> None:
    request = evening.asked["continue"]
    assert request.continues == f"{evening.asked['reroll'].job}/take-1"
    (section,) = request.arrangement.sections
    assert (section.name, section.start, section.end) == ("Verse", 24, 32)
    before, after = the_band(evening.seen["redone"]), the_band(evening.seen["continue"])
    assert set(before) == set(after)
    start, end = evening.samples[24], evening.samples[32]
    for name in STEMS:
        old, new = after[name]["regions"]
        assert old["source"] == before[name]["regions"][0]["source"]
        assert (new["sample"], new["samples"]) == (start, end - start)
        assert after[name]["playlist"] == before[name]["playlist"], "nothing is in its way"


def test_a_part_is_added_to_the_take_that_plays_in_the_selected_bars(evening: Evening) -> None:
    request = evening.asked["add"]
    assert request.scope is not None
    assert (request.scope.take, request.scope.stems) == (f"{evening.asked['reroll'].job}/take-1", ("guitar",))
    assert (request.stems[-1].title, request.stems[-1].instrument) == ("guitar", "nylon string")
    before, after = evening.seen["continue"], evening.seen["add"]
    assert set(after) - set(before) == {"guitar", "guitar MIDI"}
    assert {name: after[name] for name in before} == before


def test_the_selected_region_is_the_reference(evening: Evening) -> None:
    request = evening.asked["match"]
    (reference,) = request.arrangement.references
    heard, rate = soundfile.read(reference.audio)
    assert rate == RATE
    assert reference.from_second == 0
    assert np.array_equal(heard, evening.guitar[GUITAR_CUT:]), "both channels, from where the region begins"
    assert reference.seconds == pytest.approx(len(heard) / RATE)
    assert request.scope is not None
    assert request.scope.take == f"{evening.asked['add'].job}/take-1"
    assert request.scope.notes == "keep"


def test_a_cancelled_take_leaves_what_had_landed_and_is_undone_in_one_step(evening: Evening) -> None:
    assert evening.said["cancel"] == "Cancelled.\nWhat had landed before stays: 1 stem."
    before, after, end = evening.seen["match"], evening.seen["cancel"], evening.seen["end"]
    changed = {name for name in before if sources(after[name]) != sources(before[name])}
    assert "drums" in changed <= {"drums", "drums MIDI"}
    assert sources(end["drums"]) == sources(before["drums"])


def test_the_mix_is_what_the_tracks_say(evening: Evening) -> None:
    sounds = evening.sounds(evening.seen["end"])
    assert len(sounds) == 3 * 2 + 1 + 1
    check_mix(evening.mix, sounds)
