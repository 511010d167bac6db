"""Songs whose clock, size or names are out of the ordinary: ramps, odd metres, offsets, 300 regions, any letters."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import soundfile

from bridge.timeline import Clock
from tests.daw.reaper.studio import RATE, Studio, check_landed, file_notes

RAMPS = [[0, 120, 7, 8], [3.5, 120, 0, 0, True], [7.25, 163.7, 4, 4], [9, 90, 3, 4, True], [12, 140, 0, 0]]
"""(second, bpm, beats, unit, linear): a ramp up out of 7/8, a bar cut short, a ramp down in 3/4."""
TICK_SECONDS = 0.002
MOST_CALLS, MOST_OPENS = 1000, 20
"""What one tick may do. The fake's clock counts 2 us a call and 60 us a file, so that slices of work end by it."""
CALLS_PER_TRACK = 24
"""Where a stem lands is looked for among all tracks; that is no work for slices, as it is one undo step."""


def sample(second: float) -> int:
    return math.floor(second * RATE + 0.5)


def midi_seconds(studio: Studio, track: str) -> list[float]:
    """Where REAPER strikes the notes of a track's MIDI items, in seconds."""
    text = """
      local p, found = reaper.EnumProjects(-1), {}
      for t = 0, reaper.CountTracks(p) - 1 do
        local track = reaper.GetTrack(p, t)
        if select(2, reaper.GetTrackName(track)) == NAME then
          for i = 0, reaper.CountTrackMediaItems(track) - 1 do
            local take = reaper.GetActiveTake(reaper.GetTrackMediaItem(track, i))
            for n = 0, select(2, reaper.MIDI_CountEvts(take)) - 1 do
              local _, _, _, start = reaper.MIDI_GetNote(take, n)
              found[#found + 1] = reaper.MIDI_GetProjTimeFromPPQPos(take, start)
            end
          end
        end
      end
      return found
    """
    found: list[float] = studio.reaper.eval(text.replace("NAME", json.dumps(track)))
    return found


def test_ramps_odd_metres_and_a_negative_start_offset(studio: Studio) -> None:
    studio.reaper.do(
        "user.tempo(keep.p, points, true) keep.p.state.offset, keep.p.state.measure_offset = -10.0, -4", points=RAMPS
    )
    borders = [1.75, 4.9, 6.3, 9, 10.13]
    studio.regions(*((f"Part {i}", a, b) for i, (a, b) in enumerate(pairwise(borders))))
    before = studio.own_part()
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        (request,) = engine.requests
        clock = Clock.from_pairs(list(request.arrangement.clock))
        sections = request.arrangement.sections
        for section, (start, stop) in zip(sections, pairwise(borders), strict=True):
            assert clock.beat2sample(section.start, RATE) == sample(start), section
            assert clock.beat2sample(section.end, RATE) == sample(stop), section
        assert [(m.beats, m.unit) for m in request.arrangement.metres] == [(7, 8), (4, 4), (3, 4)]
        assert request.arrangement.metres[1].beat == pytest.approx(7 + 3.75 * (120 + 163.7) / 120)
        takes = studio.takes()
        for stem in engine.stems:
            landed = check_landed(takes, stem)
            assert (stem.start_sample, stem.samples) == (sample(borders[0]), sample(borders[-1]) - sample(borders[0]))
            assert sample(landed.position) == sample(borders[0])
        struck = midi_seconds(studio, "drums MIDI")
        beats = [sections[0].start + (7 + 960 * i) / 960 for i in range(8)]
        assert struck == pytest.approx([clock.beat2second(beat) for beat in beats][: len(struck)], abs=5e-4)
        assert len(struck) == 8
    assert studio.own_part() == before


def test_the_clock_is_read_anew_for_every_action(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        studio.reaper.do("user.tempo(keep.p, {{0, 60, 4, 4}}, true)")
        studio.run("next_take")
        studio.finish()
        assert [request.arrangement.clock[-1] for request in engine.requests] == [(8, 4), (8, 8)]
        for stem in engine.stems:
            check_landed(studio.takes(), stem)


def test_three_hundred_regions_are_read_in_small_bites(
    studio: Studio, record_property: Callable[[str, object], None]
) -> None:
    studio.reaper.do(
        "for i = 0, 299 do user.region(keep.p, ('Part %03d'):format(i), i / 4, (i + 1) / 4) end "
        "user.region(keep.p, 'The whole song', 0, 75) fake.worst = {}"
    )
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        (request,) = engine.requests
        assert [s.name for s in request.arrangement.sections] == [f"Part {i:03d}" for i in range(300)]
        for stem in engine.stems:
            check_landed(studio.takes(), stem)
    worst = studio.reaper.do("return fake.worst")
    record_property("worst_tick_seconds_under_the_fake", worst["seconds"])
    assert worst["virtual"] < TICK_SECONDS, worst
    assert worst["calls"] <= MOST_CALLS, worst
    assert worst["opens"] <= MOST_OPENS, worst


def test_slices_end_by_the_scripts_own_time(studio: Studio, record_property: Callable[[str, object], None]) -> None:
    """On a clock that moves with the script's own work, as REAPER's does; the figure is reported, not judged."""
    studio.reaper.do(
        "for i = 0, 299 do user.region(keep.p, ('Part %03d'):format(i), i / 4, (i + 1) / 4) end "
        "fake.worst = {} fake.counts_script = true"
    )
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        assert len(engine.requests) == 1
    record_property("worst_tick_seconds_of_the_script_alone", studio.reaper.do("return fake.worst")["script"])


def test_a_project_full_of_notes_is_read_in_small_bites(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do(
        "local notes = {} for i = 0, 1999 do notes[#notes + 1] = {i * 3, i * 3 + 3, 30 + i % 60, 90} end "
        "user.midi(user.track(keep.p, 'Chords'), 0, 4, notes) fake.worst = {}"
    )
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        (request,) = engine.requests
        assert [track.name for track in request.arrangement.tracks] == ["Chords"]
        assert len(file_notes(str(request.arrangement.tracks[0].midi))) == 2000
    worst = studio.reaper.do("return fake.worst")
    assert worst["virtual"] < TICK_SECONDS, worst
    assert worst["opens"] <= MOST_OPENS, worst


def test_landing_among_many_tracks(studio: Studio) -> None:
    studio.regions(("Verse", 0, 4))
    studio.reaper.do("for i = 1, 200 do user.track(keep.p, 'Track ' .. i) end fake.worst = {}")
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        for stem in engine.stems:
            check_landed(studio.takes(), stem)
    worst = studio.reaper.do("return fake.worst")
    assert worst["calls"] <= 200 * CALLS_PER_TRACK, worst


LETTERS = [
    "Pré-refrain ♥ 日本語 🎸",
    "Ω" * 200,
    "x" * 250,
    "\"quoted\" 'twice' `thrice`",
    "..\\..//:*?<>|&%$#!^~",
    "  spaces  ",
    "[[ ]] %s %d {}",
    "e\u0301 decomposed",
]


def test_any_letters_anywhere(studio: Studio) -> None:
    studio.open("Lied über Äpfel & 日本", "p", {"stems": {"drums": True}, "style": "süß, 日本\n♥"})
    studio.regions(*((name, i, i + 1) for i, name in enumerate(LETTERS)))
    clip = studio.folder / "Lied über Äpfel & 日本" / "geräusch ♥.wav"
    soundfile.write(clip, [0.0] * RATE, RATE)
    studio.reaper.do(
        "for i, name in ipairs(names) do local track = user.track(keep.p, name) "
        "user.midi(track, 0, 4, {{0, 960, 60, 100}}) user.audio(track, clip, 4) end",
        names=LETTERS,
        clip=clip,
    )
    before = studio.own_part()
    with studio.engine() as engine:
        studio.run("generate")
        studio.finish()
        assert not engine.refused
        (request,) = engine.requests
        expected = [name.strip()[:200] for name in LETTERS]
        assert [s.name if not s.words else f"{s.name}:{s.words}" for s in request.arrangement.sections] == expected
        assert len(request.arrangement.tracks) == len(LETTERS)
        assert request.project.name == "Lied über Äpfel & 日本"
        assert request.style == "süß, 日本\n♥"
        studio.reaper.do("fake.answer('GetUserInputs', 'guitar Größe ♥')")
        studio.run("add_part")
        studio.finish()
        assert not engine.refused
        for stem in engine.stems:
            if stem.job == request.job or stem.role == "guitar":
                check_landed(studio.takes(), stem)
    assert studio.own_part() == before
