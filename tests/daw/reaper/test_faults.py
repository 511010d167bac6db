"""Everything that goes wrong between REAPER and the engine: nothing crashes, nothing is lost, the user is told."""

from __future__ import annotations

import json
import time

import pytest

from bridge import VERSION
from tests.daw.reaper.studio import ENDS, Studio, check_all, check_landed, first_stem, waves

pytestmark = ENDS


def later(studio: Studio, seconds: float) -> None:
    """The wall clock goes on while REAPER and the engine stand still."""
    studio.reaper.do(f"fake.offset = fake.offset + {seconds}")


def test_without_an_engine_the_request_is_kept(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    studio.run("generate")
    studio.reaper.until(lambda: "not running" in studio.said())
    assert "The request is kept" in studio.reaper.do("return table.concat(fake.console)")
    assert studio.status()["jobs"][0]["state"] == "holding"
    assert not list(studio.data.glob("mailbox/requests/*"))
    with studio.engine() as engine:
        studio.finish()
        check_all(studio, engine)
    assert studio.steps() == ["stembridge: Generate band"]


def test_a_held_request_can_be_cancelled(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    studio.run("generate")
    studio.reaper.until(lambda: "not running" in studio.said())
    studio.run("cancel")
    studio.finish()
    with studio.engine() as engine:
        studio.reaper.tick(60)
        time.sleep(0.1)
        assert not engine.requests
    assert studio.takes() == []
    assert "cancelled" in studio.said()


def test_an_engine_killed_in_the_middle_and_started_again(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    engine = studio.engine(hold_after=1)
    with engine:
        studio.run("generate")
        first_stem(studio)
        engine.kill()
        later(studio, 20)
        studio.reaper.until(lambda: "has stopped answering" in studio.said())
        assert len(waves(studio)) == 1
    with studio.engine(token="another-token-after-the-restart") as again:
        studio.reaper.do("fake.offset = 0")
        studio.finish()
        assert len(again.requests) == 1
        takes = studio.takes()
        for stem in again.stems:
            check_landed(takes, stem)
        assert len(waves(studio)) == len(again.stems), "each stem once"
    assert studio.steps() == ["stembridge: Generate band"]


def test_an_engine_that_hangs_is_told_and_a_job_can_be_given_up(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    with studio.engine(hold_after=1) as engine:
        studio.run("generate")
        first_stem(studio)
        engine.beating = False
        later(studio, 20)
        studio.reaper.until(lambda: "has stopped answering" in studio.said())
        studio.run("cancel")
        studio.finish()
        assert "given up" in studio.said()
    assert len(waves(studio)) == 1


def test_an_engine_restarted_between_two_looks(studio: Studio) -> None:
    """The heartbeat that the script read is that of an engine that is gone: its token is refused once, then renewed."""
    studio.regions(("Verse", 0, 4))
    stale = {"pid": 1, "version": VERSION, "protocol": 1, "token": "the one before", "time": time.time()}
    (studio.data / "mailbox" / "requests").mkdir(parents=True)
    (studio.data / "mailbox" / "jobs").mkdir()
    (studio.data / "mailbox" / "engine.json").write_text(json.dumps(stale))
    studio.run("generate")
    studio.reaper.until(lambda: list(studio.data.glob("mailbox/requests/*.json")), what="the request")
    with studio.engine() as engine:
        studio.finish()
        check_all(studio, engine)
        assert len(engine.requests) == 1
    assert studio.steps() == ["stembridge: Generate band"]


def test_an_engine_that_answers_nonsense(studio: Studio) -> None:
    studio.open("mad", "p", {"stems": dict.fromkeys(["drums", "bass", "keys", "guitar", "pad", "lead", "arp"], True)})
    studio.regions(("Verse", 0, 4))
    before = studio.own_part()
    with studio.engine(mad=True):
        studio.run("generate")
        studio.finish()
        assert studio.said().count("words that this script does not know") >= 2
        assert "/no/such/file.wav" in studio.said()
    assert waves(studio) == []
    assert studio.own_part() == before


@pytest.mark.parametrize(
    ("beat", "words"),
    [
        (b"", "not running"),
        (b"\xff\x00", "not running"),
        (b"[]", "last seen"),
        (b'{"time": "noon"}', "last seen"),
        (b'{"time": NOW, "token": 7}', "damaged"),
        (b'{"time": NOW, "token": "t", "protocol": 2}', "update the script"),
        (b'{"time": NOW, "token": "t", "protocol": 0}', "update the engine"),
    ],
)
def test_a_heartbeat_that_is_none(studio: Studio, beat: bytes, words: str) -> None:
    studio.regions(("Verse", 0, 4))
    (studio.data / "mailbox" / "requests").mkdir(parents=True)
    (studio.data / "mailbox" / "engine.json").write_bytes(beat.replace(b"NOW", b"%d" % time.time()))
    studio.run("generate")
    studio.reaper.until(lambda: words in studio.said(), what=words)
    assert not list(studio.data.glob("mailbox/requests/*"))
    assert studio.steps() == []


def test_a_refused_request_is_told_with_its_hint(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do("keep.p.state.sample_rate = 1000.0")
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        (error,) = engine.refused
        assert error.message in studio.said()
    assert studio.steps() == []


@pytest.mark.parametrize("left", [0, 100, 900])
def test_a_full_disk_is_told_and_leaves_nothing_half(studio: Studio, left: int) -> None:
    studio.regions(("Verse", 0, 4))
    with studio.engine() as engine:
        studio.reaper.do(f"fake.disk_left = {left}")
        studio.run("generate")
        studio.reaper.until(lambda: "No space left" in studio.said())
        studio.reaper.tick(60)
        assert not engine.requests
        assert not list(studio.folder.rglob("*.part"))
        for path in studio.song.rglob("*.json"):
            json.loads(path.read_bytes())
        studio.reaper.do("fake.disk_left = nil")
        studio.finish()
        studio.run("generate")
        studio.finish()
        check_all(studio, engine)
        assert len(engine.requests) == 1


def test_a_disk_that_fills_up_while_stems_arrive(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    with studio.engine(hold_after=1) as engine:
        studio.run("generate")
        first_stem(studio)
        studio.reaper.do("fake.disk_left = 0")
        engine.release.set()
        studio.finish()
        check_all(studio, engine)


def test_a_stem_whose_file_is_cut_off(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do("keep.p.play_state = 5")
    with studio.engine() as engine:
        studio.run("generate")
        studio.reaper.until(lambda: len(engine.stems) == 2)
        with open(engine.stems[0].wav, "r+b") as file:
            file.truncate(4000)
        studio.reaper.do("keep.p.play_state = 0")
        studio.finish()
        check_landed(studio.takes(), engine.stems[1])
    assert "drums" in studio.said()
    assert "samples instead of" in studio.said()


def test_the_user_deletes_a_track_while_stems_arrive(studio: Studio) -> None:
    studio.open("gone", "p", {"stems": {"drums": True, "bass": True}, "takes": 2})
    studio.regions(("Verse", 0, 4))
    with studio.engine(hold_after=2) as engine:
        studio.run("generate")
        studio.reaper.until(lambda: len(waves(studio)) == 2)
        studio.reaper.do("user.delete_track(keep.p, 'drums') user.delete_track(keep.p, 'bass MIDI')")
        engine.release.set()
        studio.finish()
        takes = studio.takes()
        files = waves(studio)
        assert engine.stems[0].wav not in files, "what the user deleted came back"
        for stem in engine.stems[2:]:
            check_landed(takes, stem)
    assert sum(track == "drums" for track in {take.track for take in takes}) == 1


def test_the_user_deletes_the_whole_folder_while_stems_arrive(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    with studio.engine(hold_after=1) as engine:
        studio.run("generate")
        first_stem(studio)
        studio.reaper.do(
            "for _, name in ipairs({'stembridge', 'drums', 'drums MIDI'}) do user.delete_track(keep.p, name) end"
        )
        engine.release.set()
        studio.finish()
        check_landed(studio.takes(), engine.stems[1])
        assert waves(studio) == [engine.stems[1].wav]


def test_the_user_undoes_a_stem_while_others_arrive(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    with studio.engine(hold_after=1) as engine:
        studio.run("generate")
        first_stem(studio)
        assert studio.reaper.do("return user.undo(keep.p)") == "stembridge: Generate band"
        engine.release.set()
        studio.finish()
        assert waves(studio) == [engine.stems[1].wav]


def test_two_jobs_while_it_plays(studio: Studio) -> None:
    """Both wait with making one undo step of theirs until the transport stands; neither may take the other's."""
    studio.regions(("Verse", 0, 4))
    studio.reaper.do("keep.p.play_state = 1")
    with studio.engine() as engine:
        for tracks in (5, 10):
            studio.run("generate")
            studio.reaper.until(f"#keep.p.state.tracks == {tracks}")
            studio.reaper.tick(30)
        studio.reaper.do("keep.p.play_state = 0")
        studio.finish()
        check_all(studio, engine)


def test_renamed_and_moved_tracks_are_known_again(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        studio.reaper.do("user.rename_track(keep.p, 'drums', 'Schlagzeug') user.rename_track(keep.p, 'bass MIDI', 'x')")
        studio.run("next_take")
        studio.finish()
        tracks = {take.file: take.track for take in studio.takes() if take.kind == "WAVE"}
        assert [tracks[stem.wav] for stem in engine.stems] == ["Schlagzeug", "bass"] * 2
