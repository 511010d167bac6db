"""Projects that close, a REAPER that starts again, two songs at once: every stem lands once, in its own place."""

from __future__ import annotations

import pytest

from tests.daw.reaper.studio import ENDS, Studio, check_all, check_landed, first_stem, waves

pytestmark = ENDS


@pytest.mark.parametrize("saved", [True, False])
def test_the_project_is_closed_while_stems_arrive(studio: Studio, saved: bool) -> None:
    studio.regions(("Verse", 0, 4))
    file = studio.song / "song.rpp"
    with studio.engine(hold_after=1) as engine:
        studio.run("generate")
        studio.reaper.do("user.save(keep.p)")
        first_stem(studio)
        if saved:
            studio.reaper.do("user.save(keep.p)")
        studio.reaper.do("user.close(keep.p)")
        engine.release.set()
        studio.reaper.until(lambda: engine.finished)
        studio.reaper.tick(100)
        assert studio.reaper.do("return #model.current.state.tracks") == 0, "a stem landed in another project"
        studio.reaper.do("keep.p = user.load(file)", file=file)
        studio.finish()
        check_all(studio, engine)
    assert len({take.track for take in studio.takes()}) == 4


def test_two_projects_at_once(studio: Studio) -> None:
    for name, keep in (("one", "a"), ("two", "b")):
        studio.open(name, keep)
        studio.regions((name.title(), 0, 4), keep=keep)
        studio.reaper.do(f"user.track(keep.{keep}, 'Mine')")
    own = [studio.own_part(keep) for keep in "ab"]
    with studio.engine() as engine:
        for keep in "ab":
            studio.reaper.do(f"user.switch(keep.{keep})")
            studio.run("generate")
        later_version = float(studio.version) >= 7.18
        if not later_version:
            studio.reaper.until(lambda: len(waves(studio, "b")) == 2)
            studio.reaper.until(lambda: "tab is in front" in str(studio.status()["jobs"]))
            assert waves(studio, "a") == []
            studio.reaper.do("user.switch(keep.a)")
            studio.reaper.until(lambda: len(studio.steps("a")) == 1 and len(waves(studio, "a")) == 2)
            studio.reaper.do("user.switch(keep.b)")
        studio.finish()
        for keep, name in (("a", "one"), ("b", "two")):
            stems = [stem for stem in engine.stems if f"/{name}/" in stem.wav]
            assert waves(studio, keep) == sorted(stem.wav for stem in stems)
            for stem in stems:
                check_landed(studio.takes(keep), stem)
            assert studio.steps(keep) == ["stembridge: Generate band"]
    assert [studio.own_part(keep) for keep in "ab"] == own


@pytest.mark.parametrize("how", ["quit", "crash", "crash unsaved"])
def test_a_restart_of_reaper_in_the_middle_of_a_job(studio: Studio, how: str) -> None:
    studio.regions(("Verse", 0, 4))
    file = studio.song / "song.rpp"
    with studio.engine(hold_after=1) as engine:
        studio.run("generate")
        studio.reaper.do("user.save(keep.p)")
        first_stem(studio)
        if how != "crash unsaved":
            studio.reaper.do("user.save(keep.p)")
        if how == "quit":
            studio.reaper.do("fake.quit()")
            studio.reaper.check()
        studio.reaper.close()
        engine.release.set()
        studio.start()
        studio.reaper.do("keep.p = user.load(file)", file=file)
        studio.startup()
        studio.finish()
        check_all(studio, engine)
        assert len(engine.requests) == 1
        studio.reaper.until("#fake.running() == 0", what="the end of the service")
    assert set(studio.steps()) == {"stembridge: Generate band"}


def test_what_the_user_deleted_does_not_come_back_with_a_restart(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    file = studio.song / "song.rpp"
    with studio.engine(hold_after=1) as engine:
        studio.run("generate")
        first_stem(studio)
        studio.reaper.do("user.delete_track(keep.p, 'drums') user.save(keep.p)")
        studio.reaper.close()
        engine.release.set()
        studio.start()
        studio.reaper.do("keep.p = user.load(file)", file=file)
        studio.startup()
        studio.finish()
        assert waves(studio) == [engine.stems[1].wav]
        check_landed(studio.takes(), engine.stems[1])


def test_a_restart_before_the_project_is_opened_again(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    file = studio.song / "song.rpp"
    with studio.engine(hold_after=1) as engine:
        studio.run("generate")
        first_stem(studio)
        studio.reaper.do("user.save(keep.p)")
        studio.reaper.close()
        engine.release.set()
        studio.start()
        studio.startup()
        studio.reaper.tick(100)
        studio.reaper.do("keep.p = user.load(file)", file=file)
        studio.finish()
        check_all(studio, engine)


def test_a_restart_with_nothing_to_do_starts_nothing(studio: Studio) -> None:
    studio.startup()
    studio.reaper.tick(3)
    assert studio.reaper.do("return fake.running()") == {}


def test_the_service_ends_when_nothing_is_left(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    with studio.engine():
        studio.run("generate")
        studio.finish()
    studio.reaper.until("#fake.running() == 0", what="the end of the service")
    assert studio.reaper.do("return fake.ext.get('stembridge', 'alive') == nil")
