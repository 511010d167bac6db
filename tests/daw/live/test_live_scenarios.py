"""What a musician does in Live, from the foot switch to the clips: each verb, in each version of Live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.daw.live.conftest import Opener
from tests.daw.live.desk import NoiseEngine
from tests.daw.live.fake_live import FakeLive, Host
from tests.daw.live.fake_set import Clip
from tests.daw.live.saved_sets import write_als

GENERATE, REROLL, ADD, CONTINUE, MATCH, TAKE, CANCEL = range(20, 27)
STEMS = ["drums", "bass", "keys", "pad", "lead"]
FRESH = [name for stem in STEMS for name in (stem, f"{stem} MIDI")]


def has_lanes(live: FakeLive) -> bool:
    return live.version in ("12.2.0", "12.3.0")


def song(version: str, project: Path) -> FakeLive:
    """Three sections of eight beats, chords on a MIDI track, saved."""
    live = FakeLive(version, write_als(project / "Song.als"))
    live.user_locators((0.0, "Intro"), (8.0, "Verse 1: brushed drums"), (16.0, "Chorus"))
    chords = live.user_track("Rhodes")
    live.user_midi(chords, 0.0, 24.0, (60, 0.0, 4.0), (64, 0.0, 4.0), (67, 8.0, 4.0))
    live.undo.clear()
    return live


def done(host: Host, count: int) -> Callable[[], bool]:
    return lambda: sum("Done: " in line for line in host.logged) >= count


def press(host: Host, cc: int, count: int = 1) -> None:
    """Presses a controller, and waits until so many takes have landed in all."""
    host.run_until(lambda: host.said("The engine is there"))
    host.press(cc)
    host.run_until(done(host, count))


def refused(host: Host, cc: int, text: str) -> None:
    host.run_until(lambda: host.said("The engine is there"))
    host.press(cc)
    host.run_until(lambda: host.said(text))


def clips(live: FakeLive, name: str) -> list[Clip]:
    return live.named(name).clips


def test_whole_song(generated: tuple[FakeLive, Host], noise: NoiseEngine, project: Path) -> None:
    live, host = generated
    (asked,) = noise.requests
    sections = asked.arrangement.sections
    assert [(s.name, s.label, s.start, s.end) for s in sections] == [
        ("Intro", "intro", 0.0, 8.0),
        ("Verse 1", "verse", 8.0, 16.0),
        ("Chorus", "chorus", 16.0, 24.0),
    ]
    assert sections[1].words == "brushed drums"
    assert asked.arrangement.keys == ()
    assert asked.project.root == str(project)
    (context,) = asked.arrangement.tracks
    assert context.name == "Rhodes"
    assert live.names == ["1-MIDI", "Rhodes", *FRESH]
    for number, stem in enumerate(STEMS):
        (audio,) = clips(live, stem)
        (notes,) = clips(live, f"{stem} MIDI")
        assert not audio.warped
        assert audio.start == notes.start == 0.0
        assert audio.get_end_time() == pytest.approx(24.0, abs=1e-3)
        assert notes.get_end_time() == pytest.approx(24.0, abs=1e-3)
        assert audio.get_sample_length() == 96_000
        (note,) = notes.notes
        assert (note.values["pitch"], note.values["duration"]) == (48 + number, 2.0)
        assert note.values["start_time"] == (0.0 if number else 1.0)
    assert not any(slot.inside for track in live.tracks for slot in track.slots)
    assert len(live.undo) == 1
    assert live.touched == []
    assert not any("instead of" in line or "could not" in line for line in host.logged)


@pytest.mark.parametrize("keeps", [False, True])
def test_stems_keep_their_length_however_live_turns_warping_off(
    keeps: bool, opened: tuple[FakeLive, Host], noise: NoiseEngine
) -> None:
    live, host = opened
    live.unwarping_keeps_length = live.loops_short_samples = keeps
    press(host, GENERATE)
    for stem in STEMS:
        (audio,) = clips(live, stem)
        assert audio.get_end_time() == pytest.approx(24.0, abs=1e-3)
        assert not audio.values["looping"]
    assert not host.said("it ends on beat")


def test_clips_that_live_does_not_give_back_are_found(opened: tuple[FakeLive, Host], noise: NoiseEngine) -> None:
    live, host = opened
    live.gives_clips_back = False
    press(host, GENERATE)
    for stem in STEMS:
        (audio,) = clips(live, stem)
        assert not audio.warped
    assert not host.said("could not be placed")


def test_a_take_waits_while_the_musician_records(opened: tuple[FakeLive, Host], noise: NoiseEngine) -> None:
    live, host = opened
    live.song.values.update(record_mode=True, is_playing=True)
    host.run_until(lambda: host.said("The engine is there"))
    host.press(GENERATE)
    host.run_until(lambda: host.said("it lands when you have stopped recording"))
    for _ in range(20):
        host.tick()
    assert live.undo == []
    live.song.values["is_playing"] = False
    host.run_until(done(host, 1))
    assert live.names == ["1-MIDI", "Rhodes", *FRESH]
    assert sum("stopped recording" in line for line in host.logged) == 1


def test_the_selection_stays_the_musician_s(opened: tuple[FakeLive, Host], noise: NoiseEngine) -> None:
    live, host = opened
    rhodes = live.named("Rhodes")
    live.user_selects(rhodes)
    live.view.values["detail_clip"] = rhodes.clips[0]
    press(host, GENERATE)
    assert live.view.values == {"selected_track": rhodes, "detail_clip": rhodes.clips[0]}


def test_the_loop_is_the_selection(opened: tuple[FakeLive, Host], noise: NoiseEngine) -> None:
    live, host = opened
    live.user_loop(12.0, 20.0)
    press(host, GENERATE)
    (asked,) = noise.requests
    assert [(s.name, s.start, s.end) for s in asked.arrangement.sections] == [
        ("Verse 1", 12.0, 16.0),
        ("Chorus", 16.0, 20.0),
    ]
    (audio,) = clips(live, "bass")
    assert audio.start == 12.0
    assert audio.get_end_time() == pytest.approx(20.0, abs=1e-3)


def test_reroll_of_the_selected_stem_in_the_loop(generated: tuple[FakeLive, Host], noise: NoiseEngine) -> None:
    live, host = generated
    live.user_loop(8.0, 12.0)
    live.user_selects(live.named("bass"))
    undone = len(live.undo)
    press(host, REROLL, 2)
    first, second = noise.requests
    scope = second.scope
    assert scope is not None
    assert (scope.take, scope.stems, scope.start, scope.end) == (f"{first.job}/take-1", ("bass",), 8.0, 12.0)
    assert second.seed != first.seed
    assert second.arrangement == first.arrangement
    old = clips(live, "bass")[0]
    if has_lanes(live):
        (lane,) = live.named("bass").lanes
        (new,) = lane.clips
        assert not old.values["muted"]
        assert live.names == ["1-MIDI", "Rhodes", *FRESH]
        assert len(live.named("bass MIDI").lanes) == 1
    else:
        (new,) = clips(live, "bass 2")
        assert old.values["muted"]
        assert live.names == ["1-MIDI", "Rhodes", *FRESH, "bass 2", "bass MIDI 2"]
    assert (new.start, new.warped) == (0.0, False)
    assert new.file is not None
    assert new.file.parent.parent.name == second.job
    assert len(live.undo) == undone + 1
    assert live.touched == []


def test_add_the_part_that_the_selected_track_is_called(generated: tuple[FakeLive, Host], noise: NoiseEngine) -> None:
    live, host = generated
    live.user_selects(live.user_track("E-Gitarre", "audio"))
    press(host, ADD, 2)
    first, second = noise.requests
    assert second.scope is not None
    assert second.scope.stems == ("guitar",)
    assert [stem.title for stem in second.stems] == [*STEMS, "guitar"]
    assert second.arrangement == first.arrangement
    assert live.names[-2:] == ["guitar", "guitar MIDI"]
    assert len(clips(live, "guitar")) == 1
    assert clips(live, "E-Gitarre") == []
    live.user_selects()
    press(host, ADD, 3)
    assert noise.requests[2].scope is not None
    assert noise.requests[2].scope.stems == ("strings",)
    assert noise.requests[2].scope.take == f"{second.job}/take-1"


def test_continue_goes_on_where_the_take_ends(generated: tuple[FakeLive, Host], noise: NoiseEngine) -> None:
    live, host = generated
    live.user_locators((24.0, "Bridge"), (32.0, "Outro"), (36.0, "End"))
    press(host, CONTINUE, 2)
    first, second = noise.requests
    assert second.continues == f"{first.job}/take-1"
    assert second.seed == first.seed + 1
    assert [(s.label, s.start, s.end) for s in second.arrangement.sections] == [
        ("bridge", 24.0, 32.0),
        ("outro", 32.0, 36.0),
    ]
    before, after = clips(live, "drums")
    assert before.get_end_time() == pytest.approx(24.0, abs=1e-3)
    assert (after.start, before.cut_end) == (24.0, None)
    assert live.names == ["1-MIDI", "Rhodes", *FRESH]


def test_every_stretch_of_the_song_can_be_edited(generated: tuple[FakeLive, Host], noise: NoiseEngine) -> None:
    live, host = generated
    live.user_locators((24.0, "Bridge"), (32.0, "End"))
    press(host, CONTINUE, 2)
    live.user_selects(live.named("bass"))
    for count, (start, end, take) in enumerate([(0.0, 8.0, 0), (24.0, 28.0, 1), (8.0, 12.0, 2), (28.0, 32.0, 3)], 3):
        live.user_loop(start, end)
        press(host, REROLL, count)
        asked = noise.requests[-1]
        assert asked.scope is not None
        assert asked.scope.take == f"{noise.requests[take].job}/take-1"
        assert (asked.scope.start, asked.scope.end) == (start, end)
    live.user_loop(0.0, 8.0)
    press(host, REROLL, 7)
    live.song.values["loop"] = False
    press(host, CONTINUE, 8)
    assert noise.requests[-1].continues == f"{noise.requests[5].job}/take-1"
    assert noise.requests[-1].arrangement.start == 32.0


def test_continue_without_more_locators_adds_a_section(generated: tuple[FakeLive, Host], noise: NoiseEngine) -> None:
    _, host = generated
    press(host, CONTINUE, 2)
    (section,) = noise.requests[1].arrangement.sections
    assert (section.name, section.label, section.start, section.end) == ("Chorus again", "chorus", 24.0, 32.0)


def test_continue_never_cuts_what_the_musician_put_behind(
    generated: tuple[FakeLive, Host], noise: NoiseEngine, tmp_path: Path
) -> None:
    live, host = generated
    soundfile.write(tmp_path / "mine.wav", np.zeros((8000, 2)), 8000)
    mine = live.named("bass").create_audio_clip(str(tmp_path / "mine.wav"), 26.0)
    assert mine is not None
    press(host, CONTINUE, 2)
    assert mine.start == 26.0
    assert not mine.dead
    assert live.names[-2:] == ["bass 2", "bass MIDI 2"]
    assert live.touched == []


def test_next_take_lands_in_lanes_or_in_a_scene(generated: tuple[FakeLive, Host], noise: NoiseEngine) -> None:
    live, host = generated
    scenes = len(live.scenes)
    press(host, TAKE, 2)
    press(host, TAKE, 3)
    first, second, third = noise.requests
    assert [request.seed for request in noise.requests] == [0, 1, 2]
    assert second.arrangement == third.arrangement == first.arrangement
    assert live.names == ["1-MIDI", "Rhodes", *FRESH]
    for stem in STEMS:
        for name in (stem, f"{stem} MIDI"):
            track = live.named(name)
            if has_lanes(live):
                assert track.lanes[0].values["name"] == "take 2"
                assert [len(lane.clips) for lane in track.lanes] == [1, 1]
            else:
                assert [slot.inside is not None for slot in track.slots] == [False] * scenes + [True, True]
    assert len(live.scenes) == scenes + (0 if has_lanes(live) else 2)
    assert live.touched == []


def test_takes_asked_for_at_once(opened: tuple[FakeLive, Host], noise: NoiseEngine, open_set: Opener) -> None:
    live, host = opened
    host.disconnect()
    host = open_set(live, sample_rate=8000, takes=2, stems=["drums"], versions="scenes")
    press(host, GENERATE)
    (asked,) = noise.requests
    assert asked.takes == 2
    assert len(clips(live, "drums")) == 1
    (inside,) = [slot.inside for slot in live.named("drums").slots if slot.inside]
    assert inside.file is not None
    assert inside.file.parent.name == "take-2"
    press(host, TAKE, 2)
    assert noise.requests[1].seed == 2


def test_the_next_take_of_a_re_roll_is_a_re_roll(generated: tuple[FakeLive, Host], noise: NoiseEngine) -> None:
    live, host = generated
    live.user_loop(8.0, 12.0)
    live.user_selects(live.named("bass"))
    press(host, REROLL, 2)
    press(host, TAKE, 3)
    first, second, third = noise.requests
    assert second.scope is not None
    assert (second.scope.take, second.scope.stems) == (f"{first.job}/take-1", ("bass",))
    assert (third.scope, third.seed) == (second.scope, second.seed + 1)
    assert len(clips(live, "drums")) == 1
    assert not live.named("drums").lanes
    if has_lanes(live):
        assert len(live.named("bass").lanes) == 2


def test_what_the_engine_has_to_say_is_seen_after_the_landing(generated: tuple[FakeLive, Host]) -> None:
    _, host = generated
    for _ in range(3):
        host.tick()
    assert host.instance._shown[-1] == "stembridge: one thing to know", "not hidden by what has landed where"


def test_cancel_places_nothing(opened: tuple[FakeLive, Host], noise: NoiseEngine) -> None:
    live, host = opened
    noise.hold = True
    host.run_until(lambda: host.said("The engine is there"))
    host.press(GENERATE)
    host.run_until(lambda: host.said("drums is ready"))
    host.press(GENERATE)
    host.run_until(lambda: host.said("still playing"))
    host.press(CANCEL)
    host.run_until(lambda: host.said("Cancelled. Nothing was placed."))
    assert live.names == ["1-MIDI", "Rhodes"]
    assert live.undo == []
    noise.hold = False
    press(host, GENERATE)
    assert live.names == ["1-MIDI", "Rhodes", *FRESH]


def test_what_needs_a_take_says_so(opened: tuple[FakeLive, Host], noise: NoiseEngine) -> None:
    live, host = opened
    for count, cc in enumerate((REROLL, ADD, CONTINUE, TAKE), 1):
        refused(host, cc, "There is no take in this set yet")
        host.run_until(lambda count=count: sum("no take in this" in line for line in host.logged) == count)  # type: ignore[misc]
    host.press(CANCEL)
    host.run_until(lambda: host.said("Nothing is under way"))
    assert not noise.requests
    assert live.undo == []


def test_nothing_marked_says_what_to_do(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = FakeLive("12.3.0", write_als(project / "Song.als"))
    refused(open_set(live), GENERATE, "Nothing is marked")
    live.user_loop(4.0, 12.0)
    host = open_set(live, sample_rate=8000)
    press(host, GENERATE)
    (section,) = noise.requests[0].arrangement.sections
    assert (section.name, section.start, section.end) == ("Selection", 4.0, 12.0)
