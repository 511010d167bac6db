"""The musician's actions from the click to the tracks: what is asked, what lands where, one undo step each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import rpp
import soundfile

from bridge.messages import Render
from tests.daw.reaper.engine import BandEngine
from tests.daw.reaper.studio import RATE, Studio, check_landed


def band(studio: Studio, engine: BandEngine, *regions: tuple[str, float, float]) -> Render:
    """Generates a band for the regions (two of 4 s unless given)."""
    studio.regions(*(regions or (("Verse", 0, 4), ("Chorus", 4, 8))))
    studio.run("generate")
    studio.finish()
    assert not engine.refused
    return engine.requests[-1]


def select_track(studio: Studio, name: str) -> None:
    studio.reaper.do("user.select(user.find_track(keep.p, name))", name=name)


def stems_of(request: Render) -> list[str]:
    return [stem.title for stem in request.stems]


def check_all(studio: Studio, engine: BandEngine, only: Sequence[str] | None = None) -> None:
    """Every stem that was announced (and is wanted) landed once, nothing else did."""
    takes = studio.takes()
    wanted = [stem for stem in engine.stems if only is None or stem.stem in only]
    for stem in wanted:
        check_landed(takes, stem)
    waves = [take.file for take in takes if take.kind == "WAVE" and "stembridge" in take.file]
    assert sorted(waves) == sorted(stem.wav for stem in wanted)


def test_a_whole_song(studio: Studio) -> None:
    with studio.engine() as engine:
        request = band(studio, engine, ("Verse 1: sparse, brushed", 0, 4), ("Chorus", 4, 8))
        assert [(s.name, s.label, s.start, s.end, s.words) for s in request.arrangement.sections] == [
            ("Verse 1", "verse", 0, 8, "sparse, brushed"),
            ("Chorus", "chorus", 8, 16, ""),
        ]
        assert request.arrangement.clock[0] == (0, 0)
        assert request.arrangement.sample_rate == RATE
        assert stems_of(request) == ["drums", "bass"]
        assert request.project.daw == f"reaper {studio.version}/linux-x86_64"
        check_all(studio, engine)
    assert studio.steps() == ["stembridge: Generate band"]
    assert "2 stems landed" in studio.said()
    assert "mind it" in studio.said()
    names = [track.find("NAME")[1] for track in rpp.loads(studio.reaper.dump("keep.p")).findall("TRACK")]
    assert names == ["stembridge", "drums", "drums MIDI", "bass", "bass MIDI"]


@pytest.mark.parametrize("verb", ["generate", "reroll", "add_part", "continue", "match_reference", "next_take"])
def test_one_step_of_undo_takes_all_of_an_action_away(studio: Studio, verb: str) -> None:
    clip = studio.song / "clip.wav"
    soundfile.write(clip, np.zeros(RATE, dtype=np.float32), RATE)
    studio.reaper.do("keep.item = user.audio(user.track(keep.p, 'Clip'), clip, 1)", clip=clip)
    with studio.engine() as engine:
        if verb == "generate":
            studio.regions(("Verse", 0, 4), ("Chorus", 4, 8))
        else:
            band(studio, engine)
            studio.reaper.do("user.select_time(keep.p, 2, 4)")
        if verb == "add_part":
            studio.reaper.do("fake.answer('GetUserInputs', 'strings')")
        if verb == "match_reference":
            studio.reaper.do("user.select(keep.p.state.tracks[1].items[1])")
        before, takes = studio.state(), studio.takes()
        studio.run(verb)
        studio.finish()
        assert len(studio.takes()) > len(takes)
    assert studio.reaper.do("return user.undo(keep.p)").startswith("stembridge: ")
    assert studio.state() == before


def test_the_users_tracks_are_as_they_were(studio: Studio) -> None:
    studio.reaper.do(
        "local folder = user.track(keep.p, 'Mine', {depth = 1, colour = 0x10000FF, selected = true}) "
        "user.midi(user.track(keep.p, 'Chords', {depth = -1, mute = true}), 0, 4, {{0, 960, 60, 100}}) "
        "user.select_time(keep.p, 0, 0) user.marker(keep.p, 'drop', 3)"
    )
    studio.regions(("Verse", 0, 4))
    before = studio.own_part()
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        check_all(studio, engine)
    assert studio.own_part() == before
    tracks = rpp.loads(studio.reaper.dump("keep.p")).findall("TRACK")
    assert [int(track.find("DEPTH")[1]) for track in tracks] == [0, 1, 0, 1, 1, 1, 1]
    assert sum(int(track.find("ISBUS")[2]) for track in tracks) == 0


def test_the_selection_is_the_scope(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4), ("Chorus", 4, 8), ("Outro", 8, 12))
    studio.reaper.do("user.select_time(keep.p, 2, 6)")
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        (request,) = engine.requests
        assert [(s.name, s.start, s.end) for s in request.arrangement.sections] == [("Verse", 4, 8), ("Chorus", 8, 12)]
        check_all(studio, engine)
    assert {take.position for take in studio.takes()} == {2.0}


def test_a_selection_without_any_region(studio: Studio) -> None:
    studio.reaper.do("user.select_time(keep.p, 1, 5)")
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        (section,) = engine.requests[0].arrangement.sections
        assert (section.start, section.end) == (2, 10)
        check_all(studio, engine)


def test_nothing_marked_is_said_and_nothing_asked(studio: Studio) -> None:
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        assert not engine.requests
        assert not engine.refused
    assert "Nothing is marked" in studio.said()
    assert "Nothing is marked" in studio.reaper.do("return table.concat(fake.console)")
    assert studio.steps() == []


def test_a_re_roll_touches_one_stem_in_its_bars(studio: Studio) -> None:
    with studio.engine() as engine:
        first = band(studio, engine)
        kept = {take.file: take for take in studio.takes()}
        select_track(studio, "bass")
        studio.reaper.do("user.select_time(keep.p, 2, 4)")
        own = studio.own_part()
        studio.run("reroll")
        studio.finish()
        again = engine.requests[-1]
        assert again.scope is not None
        assert (again.scope.take, again.scope.stems) == (f"{first.job}/take-1", ("bass",))
        assert (again.scope.start, again.scope.end) == (4, 8)
        assert again.arrangement.sections == first.arrangement.sections
        assert again.seed != first.seed
        takes = studio.takes()
        (new,) = [stem for stem in engine.stems if stem.job == again.job and stem.stem == "bass"]
        landed = check_landed(takes, new)
        assert landed.plays
        assert [take.file for take in takes if again.job in take.file] == [new.wav]
        (old,) = [take for take in takes if take.file in kept and take.track == "bass" and take.file]
        assert not old.plays
        assert (old.position, old.length) == (kept[old.file].position, kept[old.file].length)
    assert studio.own_part() == own
    assert studio.steps() == ["stembridge: Generate band", "stembridge: Re-roll selection"]
    studio.reaper.do("user.undo(keep.p)")
    (old,) = [take for take in studio.takes() if take.track == "bass" and take.file]
    assert old.plays
    if float(studio.version) >= 7:
        assert landed.lane == 1


def test_nothing_selected_is_no_re_roll(studio: Studio) -> None:
    with studio.engine() as engine:
        band(studio, engine)
        studio.run("reroll")
        studio.finish()
        assert len(engine.requests) == 1
    assert "Nothing is selected" in studio.said()
    assert studio.steps() == ["stembridge: Generate band"]


def test_edits_need_a_take(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    with studio.engine() as engine:
        for verb in ("reroll", "continue", "next_take"):
            studio.run(verb)
            studio.finish()
            assert "There is no take in this project yet" in studio.status()["messages"][-1]["text"]
        assert not engine.requests
        assert not engine.refused
    assert studio.steps() == []


def test_a_part_is_added(studio: Studio) -> None:
    with studio.engine() as engine:
        first = band(studio, engine)
        studio.reaper.do("fake.answer('GetUserInputs', 'guitar')")
        studio.run("add_part")
        studio.finish()
        again = engine.requests[-1]
        assert stems_of(again) == ["drums", "bass", "guitar"]
        assert again.scope is not None
        assert (again.scope.take, again.scope.stems) == (f"{first.job}/take-1", ("guitar",))
        takes = studio.takes()
        (new,) = [stem for stem in engine.stems if stem.stem == "guitar"]
        assert check_landed(takes, new).parent == "stembridge"
        assert sum(take.kind == "WAVE" for take in takes) == 3
    assert studio.steps() == ["stembridge: Generate band", "stembridge: Add part"]
    names = [track.find("NAME")[1] for track in rpp.loads(studio.reaper.dump("keep.p")).findall("TRACK")]
    assert names == ["stembridge", "drums", "drums MIDI", "bass", "bass MIDI", "guitar", "guitar MIDI"]


def test_a_part_that_is_none(studio: Studio) -> None:
    studio.reaper.do("fake.answer('GetUserInputs', 'kazoo') fake.answer('MB', 1)")
    studio.run("add_part")
    studio.reaper.do("fake.answer('GetUserInputs', nil)")
    studio.run("add_part")
    studio.reaper.tick(5)
    assert "'kazoo' is no part" in studio.reaper.do("return fake.modals[2].text")
    assert studio.reaper.do("return fake.running()") == {}


def test_the_song_goes_on(studio: Studio) -> None:
    with studio.engine() as engine:
        first = band(studio, engine)
        studio.regions(("Bridge", 8, 10))
        studio.run("continue")
        studio.finish()
        again = engine.requests[-1]
        assert again.continues == f"{first.job}/take-1"
        (section,) = again.arrangement.sections
        assert (section.name, section.label, section.start, section.end) == ("Bridge", "bridge", 16, 20)
        check_all(studio, engine)
    drums = sorted((take.position, take.length) for take in studio.takes() if take.track == "drums")
    assert drums == [(0, 8), (8, 2)]
    assert studio.steps() == ["stembridge: Generate band", "stembridge: Continue"]


@pytest.mark.parametrize("has_take", [True, False])
def test_a_reference_is_matched(studio: Studio, has_take: bool) -> None:
    clip = studio.song / "clip.wav"
    soundfile.write(clip, np.zeros(4 * RATE, dtype=np.float32), RATE)
    with studio.engine() as engine:
        first = band(studio, engine) if has_take else None
        if not has_take:
            studio.regions(("Verse", 0, 4))
        studio.reaper.do(
            "keep.item = user.audio(user.track(keep.p, 'Clip'), clip, 1, 2, {offset = 0.5}) user.select(keep.item)",
            clip=clip,
        )
        own = studio.own_part()
        studio.run("match_reference")
        studio.finish()
        again = engine.requests[-1]
        (reference,) = again.arrangement.references
        assert (reference.audio, reference.from_second, reference.seconds) == (str(clip), 0.5, 2)
        if first:
            assert again.scope is not None
            assert (again.scope.take, again.scope.stems) == (f"{first.job}/take-1", ())
            assert (again.scope.notes, again.seed) == ("keep", first.seed)
        check_all(studio, engine)
        assert studio.own_part() == own
        assert all(take.plays for take in studio.takes() if again.job in take.file)


def test_the_next_take_stands_beside_the_first(studio: Studio) -> None:
    with studio.engine() as engine:
        first = band(studio, engine)
        studio.run("next_take")
        studio.finish()
        second = engine.requests[-1]
        assert second.seed == first.seed + 1
        assert (second.scope, second.arrangement.sections) == (None, first.arrangement.sections)
        check_all(studio, engine)
        for take in studio.takes():
            if take.kind == "WAVE":
                assert take.plays == (second.job in take.file), take
    tracks = rpp.loads(studio.reaper.dump("keep.p")).findall("TRACK")
    assert len(tracks) == 5, "a further take needs no further track"
    lanes = {take.lane for take in studio.takes() if take.track == "drums"}
    items = tracks[1].findall("ITEM")
    assert (lanes, len(items)) == (({0, 1}, 2) if float(studio.version) >= 7 else ({0}, 1))


def test_a_take_that_was_undone_is_no_base_for_an_edit(studio: Studio) -> None:
    with studio.engine() as engine:
        first = band(studio, engine)
        studio.run("next_take")
        studio.finish()
        assert studio.reaper.do("return user.undo(keep.p)") == "stembridge: Next take"
        studio.reaper.do("user.select_time(keep.p, 2, 4)")
        studio.run("reroll")
        studio.finish()
        scope = engine.requests[-1].scope
        assert scope is not None
        assert scope.take == f"{first.job}/take-1"


def test_several_takes_at_once(studio: Studio) -> None:
    studio.open("many", "p", {"stems": {"drums": True}, "takes": 3, "seed": 7, "style": "neo-soul"})
    studio.regions(("Verse", 0, 4))
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        (request,) = engine.requests
        assert (request.takes, request.seed, request.style) == (3, 7, "neo-soul")
        check_all(studio, engine)
    waves = [take for take in studio.takes() if take.kind == "WAVE"]
    assert len(waves) == 3
    assert [take.plays for take in waves].count(True) == 1
    assert studio.steps() == ["stembridge: Generate band"]


def test_cancel_keeps_what_had_landed(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    with studio.engine(hold_after=1) as engine:
        studio.run("generate")
        studio.reaper.until(lambda: len(studio.takes()), what="the first stem")
        studio.run("cancel")
        studio.finish()
        assert engine.finished
    assert "Cancelled" in studio.said()
    assert [take.track for take in studio.takes()] == ["drums", "drums MIDI"]


def test_cancel_without_anything_running(studio: Studio) -> None:
    studio.run("cancel")
    studio.reaper.tick(15)
    assert "Nothing is running" in studio.said()


def test_asking_twice_is_told(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    with studio.engine(hold_after=1) as engine:
        studio.run("generate")
        studio.reaper.until(lambda: len(studio.takes()), what="the first stem")
        studio.run("generate")
        studio.reaper.until(lambda: "still under way" in studio.said())
        engine.release.set()
        studio.finish()
        assert len(engine.requests) == 1
    assert studio.steps() == ["stembridge: Generate band"]


def test_the_users_edits_between_stems_stay_steps_of_their_own(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    with studio.engine(hold_after=1) as engine:
        studio.run("generate")
        studio.reaper.until(lambda: len(studio.takes()), what="the first stem")
        studio.reaper.do("user.track(keep.p, 'Mine')")
        engine.release.set()
        studio.finish()
        check_all(studio, engine)
    undone = [studio.reaper.do("return user.undo(keep.p)") for _ in range(2)]
    assert undone == ["stembridge: Generate band", "Insert new track"]
    assert [take.track for take in studio.takes()] == ["drums", "drums MIDI"]


def test_while_it_plays_nothing_is_taken_off_the_tracks(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do("keep.p.play_state = 1")
    with studio.engine() as engine:
        studio.run("generate")
        studio.reaper.until(lambda: len([t for t in studio.takes() if t.kind == "WAVE"]) == 2)
        studio.reaper.tick(60)
        assert studio.steps() == ["stembridge: Generate band"] * 2
        studio.reaper.do("keep.p.play_state = 0")
        studio.finish()
        check_all(studio, engine)
    assert studio.steps() == ["stembridge: Generate band"]


def test_while_it_records_stems_wait(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do("keep.p.play_state = 5")
    with studio.engine() as engine:
        studio.run("generate")
        studio.reaper.until(lambda: "when the recording is over" in str(studio.status()["jobs"]))
        assert studio.takes() == []
        studio.reaper.do("keep.p.play_state = 0")
        studio.finish()
        check_all(studio, engine)
