"""What lies on the user's tracks on its way to the engine: notes, keys, sound as a file or as it is played."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.messages import Render
from tests.daw.reaper.studio import ENDS, RATE, Studio, check_landed, file_notes

pytestmark = ENDS
AMP = [{"name": "amp", "enabled": True, "gain": 2.0}]
SOUND = np.sin(np.arange(2 * RATE) / 20).astype(np.float32) * 0.4


@pytest.fixture
def clip(studio: Studio) -> Path:
    """Two seconds of mono at the project's rate."""
    path = studio.song / "take 1.wav"
    soundfile.write(path, SOUND, RATE, subtype="FLOAT")
    return path


def asked(studio: Studio, verb: str = "generate") -> Render:
    """Asks the band; everything of the user's must be as it was, and all that came must have landed."""
    own = studio.own_part()
    with studio.engine() as engine:
        studio.run(verb)
        studio.finish()
        assert not engine.refused
        for stem in engine.stems:
            check_landed(studio.takes(), stem)
        assert studio.own_part() == own
        return engine.requests[-1]


def test_notes_of_the_users_tracks(studio: Studio) -> None:
    studio.regions(("Verse", 0, 8))
    studio.reaper.do(
        "local keys = user.track(keep.p, 'Keys') user.midi(keys, 2, 2, {{0, 480, 60, 100, 3}, {480, 2400, 64, 90}}) "
        "user.midi(keys, 5, 1, {{0, 960, 72, 80}}) "
        "user.midi(user.track(keep.p, 'Mute', {mute = true}), 0, 4, {{0, 960, 30, 100}}) "
        "user.midi(user.track(keep.p, 'Off'), 0, 4, {{0, 960, 31, 100}}, {}, {mute = true})"
    )
    (track,) = asked(studio).arrangement.tracks
    assert (track.name, track.start, track.use) == ("Keys", 4, "follow")
    notes = file_notes(str(track.midi))
    # From beat 4; the second note is cut where its item ends (beat 8).
    assert notes == ((0, 480, 60, 100), (480, 1920, 64, 90), (5760, 960, 72, 80))


def test_only_the_selected_notes_where_any_are(studio: Studio) -> None:
    studio.regions(("Verse", 0, 8))
    studio.reaper.do(
        "user.midi(user.track(keep.p, 'A'), 0, 4, {{0, 960, 60, 100}}) "
        "user.select(user.midi(user.track(keep.p, 'B'), 0, 4, {{0, 960, 62, 100}}))"
    )
    (track,) = asked(studio).arrangement.tracks
    assert (track.name, [note[2] for note in file_notes(str(track.midi))]) == ("B", [62])


def test_a_looped_item_goes_round(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do(
        "user.midi(user.track(keep.p, 'Loop'), 0, 2, {{0, 480, 60, 100}, {480, 1920, 62, 100}}, {}, {ticks = 1920})"
    )
    (track,) = asked(studio).arrangement.tracks
    assert [(note[0], note[2]) for note in file_notes(str(track.midi))] == [(0, 60), (480, 62), (1920, 60), (2400, 62)]


def test_keys_by_rank(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do(
        "local scale = {root = 2, mask = 0xAB5, name = 'Major'} "
        "user.midi(user.track(keep.p, 'A'), 0, 4, {{0, 960, 60, 100}}, {}, {scale = scale})"
    )
    assert [(k.beat, k.tonic, k.mode) for k in asked(studio).arrangement.keys] == [(0, "D", "major")]
    studio.reaper.do(
        "user.midi(user.track(keep.p, 'B'), 0, 4, {{0, 960, 60, 100}}, {{0, 15, 'KSIG root 9 dir -1 notes 0x5AD'}})"
    )
    assert [(k.tonic, k.mode) for k in asked(studio).arrangement.keys] == [("A", "minor")]
    studio.reaper.do("user.marker(keep.p, 'key=F# dorian', 1)")
    assert [(k.beat, k.tonic, k.mode) for k in asked(studio).arrangement.keys] == [(2, "F#", "dorian")]


def test_a_whole_file_is_given_as_it_is(studio: Studio, clip: Path) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do("user.select(user.audio(user.track(keep.p, 'Voice'), clip, 1))", clip=clip)
    (track,) = asked(studio).arrangement.tracks
    assert (track.audio, track.start, track.name) == (str(clip), 2, "Voice")


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({"fx": [{"name": "gate", "enabled": True, "gain": 0.5}]}, 1.0),
        ({"rate": 2.0, "length": 1.0}, 2.0),
    ],
    ids=["effects", "stretch"],
)
def test_what_a_take_changes_is_rendered(studio: Studio, clip: Path, options: dict[str, object], rate: float) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do(
        "keep.item = user.audio(user.track(keep.p, 'Voice'), clip, 1, options.length) "
        "keep.item.takes[1].fx, keep.item.takes[1].rate = options.fx or {}, options.rate or 1.0 "
        "user.select(keep.item)",
        clip=clip,
        options=options,
    )
    (track,) = asked(studio).arrangement.tracks
    assert track.audio != str(clip)
    assert Path(str(track.audio)).is_relative_to(studio.song / "stembridge" / "context")
    sound, found_rate = soundfile.read(str(track.audio), dtype="float32", always_2d=True)
    gain = 1.0 if rate != 1 else 0.5
    expected = (SOUND[:: int(rate)] * gain)[: len(sound)]
    assert found_rate == RATE
    assert len(sound) == round(2 * RATE / rate)
    assert np.abs(sound[:, 0] - expected).max() < 1e-6
    assert studio.reaper.do("return { fake.leaks() }") == [0, 0]


def test_rendering_is_done_in_small_bites(studio: Studio, clip: Path) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do(
        "keep.item = user.audio(user.track(keep.p, 'Voice'), clip, 0) keep.item.takes[1].fx = fx "
        "user.select(keep.item) fake.worst = {}",
        clip=clip,
        fx=AMP,
    )
    asked(studio)
    assert studio.reaper.do("return fake.worst.frames") <= 8192


def test_a_reference_with_effects_is_what_is_heard(studio: Studio, clip: Path) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do(
        "keep.item = user.audio(user.track(keep.p, 'Reference'), clip, 0, 1, {offset = 0.5}) "
        "keep.item.takes[1].fx = fx user.select(keep.item)",
        clip=clip,
        fx=AMP,
    )
    for verb in ("generate", "match_reference"):
        (reference,) = asked(studio, verb).arrangement.references
        assert (reference.from_second, reference.seconds) == (0, 1)
        sound, _ = soundfile.read(reference.audio, dtype="float32", always_2d=True)
        assert np.abs(sound[:, 0] - 2 * SOUND[RATE // 2 : RATE // 2 + RATE]).max() < 1e-6


def test_a_project_that_has_moved_is_worked_on(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do("user.midi(user.track(keep.p, 'Rhodes'), 0, 4, {{0, 3840, 57, 90}})")
    moved = studio.folder / "Größe ♥" / "in here"
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        studio.reaper.do("user.save(keep.p) user.close(keep.p)")
        moved.parent.mkdir()
        studio.song.rename(moved)
        studio.reaper.do("keep.p = user.load(file)", file=moved / "song.rpp")
        studio.reaper.do("user.select(user.find_track(keep.p, 'bass'))")
        studio.run("reroll")
        studio.finish()
        first, again = engine.requests
        assert again.scope is not None
        assert (again.scope.take, again.project.root) == (f"{first.job}/take-1", str(moved))
        (before,), (track,) = first.arrangement.tracks, again.arrangement.tracks
        assert before.midi == str(studio.song / Path(track.midi or "").relative_to(moved))
        assert {Path(stem.wav).is_relative_to(moved) for stem in engine.stems if stem.job == again.job} == {True}


def test_an_item_that_is_removed_while_it_is_read(studio: Studio, clip: Path) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do(
        "keep.item = user.audio(user.track(keep.p, 'Voice'), clip, 0) keep.item.takes[1].fx = fx "
        "user.select(keep.item)",
        clip=clip,
        fx=AMP,
    )
    with studio.engine() as engine:
        studio.run("generate")
        studio.reaper.until("next(model.accessors) ~= nil", what="the reading of the item")
        studio.reaper.do("user.delete_item(keep.item)")
        studio.finish()
        assert not engine.requests
    assert "removed while it was read" in studio.said()
    assert not list((studio.song / "stembridge" / "context").glob("*.wav"))


def test_stembridges_own_tracks_are_no_context(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    asked(studio)
    studio.reaper.do("fake.tick()")
    assert asked(studio).arrangement.tracks == ()
