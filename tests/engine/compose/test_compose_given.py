"""The user's own tracks: chords kept, room for a melody, tracks taken over, varied or replaced; as written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.errors import RequestError
from engine.compose import compose_as_written, request2form
from engine.compose.harmonise import chords_fit, harmonise
from engine.compose.measure import bar_notes, covered_by
from engine.compose.room import heard2room
from engine.score import Chord, Key, Note, Part, Score
from tests.engine.compose.songs import SONG, block_chords, composed, hearing, inside, line, silent, song

VERSE = ((9, "m"), (5, ""), (0, ""), (7, ""))


def symbols(score: Score, start: float, end: float) -> list[str]:
    return [c.symbol for c in score.chords if start <= c.beat < end]


def test_given_chords_are_kept_and_carried_over_by_label() -> None:
    request = song(key=("A", "minor"))
    given = block_chords(16.0, VERSE * 2)
    score = composed(request, hearing(request, chords=given))
    assert [c for c in score.chords if 16.0 <= c.beat < 48.0] == list(given)
    verse_2 = score.sections[3]
    assert symbols(score, verse_2.start, verse_2.end) == [c.symbol for c in given]
    assert any("Verse 2: yours, carried over from Verse 1" in r for r in score.remarks)
    chorus = score.sections[2]
    assert symbols(score, chorus.start, chorus.end)


def test_half_a_section_of_chords_goes_on_to_its_end() -> None:
    request = song(key=("A", "minor"))
    given = block_chords(16.0, VERSE)
    score = composed(request, hearing(request, chords=given))
    assert symbols(score, 16.0, 48.0) == [c.symbol for c in given] * 2


def test_chords_outside_the_key_stay_when_the_user_gave_them() -> None:
    request = song(key=("C", "major"))
    given = block_chords(16.0, ((0, ""), (8, "7"), (5, "m"), (7, "7")) * 2)
    score = composed(request, hearing(request, chords=given))
    assert [c for c in score.chords if 16.0 <= c.beat < 48.0] == list(given)
    bass = score.part("bass").notes
    ab = [n for n in inside(bass, 20.0, 24.0) if n.start == 20.0]
    assert ab
    assert all(n.pitch % 12 == 8 for n in ab)


def test_a_carried_chord_outside_the_key_is_played_as_it_is() -> None:
    request = song(key=("C", "major"))
    given = block_chords(16.0, ((0, ""), (8, "7"), (5, "m"), (7, "7")) * 2)
    score = composed(request, hearing(request, chords=given))
    verse_2 = score.sections[3]
    pad = inside(score.part("keys").notes, verse_2.start + 4.0, verse_2.start + 8.0)
    assert {n.pitch % 12 for n in pad} <= {8, 0, 3, 6}
    assert any(n.pitch % 12 in (8, 3, 6) for n in pad)


def test_lead_answers_in_the_gaps_and_chords_stay_below_the_melody() -> None:
    request = song(key=("C", "major"))
    starts = [16.0 + 0.5 * i for i in range(64) if i % 8 < 5]
    tune = line("lead", "My tune", starts, [72 + (i % 3) for i in range(len(starts))])
    heard = hearing(request, (tune, "follow"))
    score = composed(request, heard)
    room = heard2room(heard)
    lead = inside(score.part("lead").notes, 16.0, 48.0)
    assert lead
    assert covered_by(lead, room.spans) == 0.0
    for name in ("keys", "guitar", "pad"):
        for note in inside(score.part(name).notes, 16.0, 48.0):
            floor = room.floor(note.start, note.end)
            assert floor is None or note.pitch < floor, (name, note)
    for note in inside(score.part("arp").notes, 16.0, 48.0):
        assert not any(n.start < note.end and n.end > note.start and abs(n.pitch - note.pitch) <= 2 for n in tune.notes)
    free = composed(request)
    assert covered_by(inside(free.part("lead").notes, 16.0, 48.0), room.spans) > 0.2


def test_lead_rests_where_an_audio_track_sings() -> None:
    request = song()
    heard = hearing(request, activity=((16.0, 30.0), (48.0, 80.0)))
    lead = composed(request, heard).part("lead").notes
    assert not any(16.0 <= n.start < 30.0 or 48.0 <= n.start < 80.0 for n in lead)
    assert inside(lead, 30.0, 48.0)


def test_followed_drums_are_played_as_they_stand_and_carried_on() -> None:
    request = song()
    beat = Part(
        "Beat", "drums", tuple(Note(16.0 + 0.5 * i + 0.013, 0.1, 36 if i % 4 == 0 else 56, 77) for i in range(64))
    )
    score = composed(request, hearing(request, (beat, "follow")))
    drums = score.part("drums").notes
    assert inside(drums, 16.0, 48.0) == beat.notes
    assert [name for name, start, end in score.feel.as_played if start < 16.1 and end > 47.8] == ["drums"]
    verse_2 = inside(drums, 80.0, 108.0)
    assert sum(n.pitch == 56 for n in verse_2) > 20
    assert any("plays Beat as you did" in r for r in score.remarks)


def test_a_player_ahead_of_the_bar_line_means_the_bar() -> None:
    request = song(stems=("drums", "bass"))
    beat = Part("Beat", "drums", tuple(Note(16.0 + i - 0.02, 0.1, 36, 77) for i in range(32)))
    score = composed(request, hearing(request, (beat, "follow")))
    drums = score.part("drums").notes
    assert inside(drums, 15.9, 47.9) == beat.notes
    assert len(inside(drums, 12.0, 15.9)) > 3
    first = Part("Beat", "drums", tuple(replace(n, start=max(n.start - 16.0, 0.0)) for n in beat.notes))
    assert composed(request, hearing(request, (first, "follow"))).part("drums").notes[0] == first.notes[0]


def test_a_guitar_is_a_second_part_beside_followed_keys() -> None:
    request = song(stems=("drums", "bass", "guitar"))
    mine = Part("Rhodes", "keys", tuple(Note(16.0 + i, 0.9, p, 80) for i in range(32) for p in (60, 64, 67)))
    score = composed(request, hearing(request, (mine, "follow"), chords=block_chords(16.0, ((0, ""),) * 8)))
    theirs = {(n.start, n.pitch) for n in mine.notes}
    ours = {(n.start, n.pitch) for n in inside(score.part("guitar").notes, 16.0, 48.0)}
    assert ours
    assert len(ours & theirs) < 0.3 * len(ours)


def test_varied_bass_keeps_seed_bars_and_changes_others() -> None:
    request = song(key=("C", "major"))
    chords = block_chords(16.0, ((0, ""),) * 8)
    mine = line("bass", "Bass idea", [16.0 + 0.5 * i for i in range(64)], [36, 36, 43, 36, 40, 36, 43, 48] * 8, 0.4)
    score = composed(request, hearing(request, (mine, "vary"), chords=chords))
    bass = score.part("bass").notes
    verse = score.sections[1]
    same = [
        [(n.start, n.pitch) for n in bar_notes(bass, bar)] == [(n.start, n.pitch) for n in bar_notes(mine.notes, bar)]
        for bar in verse.bars
    ]
    assert same[0]
    assert same[1]
    assert not all(same)


def test_replaced_tracks_are_ignored() -> None:
    request = song()
    mine = line("bass", "Old bass", [16.0, 17.0], [36, 38])
    assert composed(request, hearing(request, (mine, "replace"))).parts == composed(request).parts


def test_as_written_takes_names_then_roles() -> None:
    request = song(SONG, stems=("drums", "bass", "keys", "lead"))
    clock = request.arrangement.timeline()
    form = request2form(request.arrangement, clock)
    rhodes = Part("Rhodes", "keys", (Note(16.0, 2.0, 60, 55, 7.5), Note(159.0, 9.0, 64, 60)))
    named = Part("bass", "guitar", (Note(20.013, 1.0, 40, 99),))
    heard = hearing(request, (rhodes, "follow"), (named, "follow"), chords=(Chord(16.0, 4.0, 0, "", given=True),))
    score = compose_as_written(request, clock, form, heard, silent)
    assert score.part("keys").notes == (Note(16.0, 2.0, 60, 55, 7.5), Note(159.0, 1.0, 64, 60))
    assert score.part("bass").notes == named.notes
    assert score.part("drums").notes == ()
    assert any("drums: none of your tracks fits" in r for r in score.remarks)
    assert score.chords == (Chord(16.0, 4.0, 0, "", given=True),)


def test_as_written_without_any_track_is_refused() -> None:
    request = song()
    clock = request.arrangement.timeline()
    with pytest.raises(RequestError) as refused:
        compose_as_written(request, clock, request2form(request.arrangement, clock), hearing(request), silent)
    assert refused.value.code == "as_written.nothing"


def test_chords_are_written_to_a_given_melody() -> None:
    request = song(key=("C", "major"))
    outline = [(60, 64, 67, 64), (65, 69, 72, 69), (67, 71, 74, 71), (60, 64, 67, 60)] * 2
    tune = line("vocals", "Vocal", [16.0 + i for i in range(32)], [p for bar in outline for p in bar], 1.0)
    score = composed(request, hearing(request, (tune, "follow")))
    verse = score.sections[1]
    assert chords_fit(tune.notes, verse.bars, score.chords) > 0.75
    without = composed(request)
    assert chords_fit(tune.notes, verse.bars, without.chords) < chords_fit(tune.notes, verse.bars, score.chords)


def test_harmonise_finds_the_triads_that_the_melody_spells() -> None:
    request = song((("Verse", "verse", 4),))
    section = request2form(request.arrangement, request.arrangement.timeline())[0]
    spelt = ((57, 60, 64, 69), (53, 57, 60, 65), (50, 53, 57, 62), (52, 56, 59, 64))
    tune = line("lead", "Tune", [float(i) for i in range(16)], [p + 12 for bar in spelt for p in bar], 1.0)
    chords = harmonise(section, tune.notes, Key(9, "minor"), closes=False)
    assert [c.symbol for c in chords] == ["Am", "F", "Dm", "E"]


def test_a_chord_held_over_bars_is_not_played_over() -> None:
    request = song(stems=("keys", "bass"))
    held = Part("Piano", "keys", tuple(Note(16.0 + 8 * i, 8.0, p, 70) for i in range(4) for p in (60, 64, 67)))
    score = composed(request, hearing(request, (held, "follow")))
    assert inside(score.part("keys").notes, 16.0, 48.0) == held.notes
    assert inside(score.part("keys").notes, 48.0, 80.0)


def test_parts_without_a_use_are_followed() -> None:
    request = song(stems=("bass", "lead"))
    tune = line("lead", "Tune", [16.0 + i for i in range(32)], [72] * 32, 1.0)
    heard = replace(hearing(request), parts=(tune,), uses=())
    assert not inside(composed(request, heard).part("lead").notes, 16.0, 47.5)


@pytest.mark.parametrize("use", ["vary", "follow"])
def test_an_idea_shorter_than_its_section_goes_on_to_its_end(use: str) -> None:
    request = song(stems=("drums", "keys"), key=("C", "major"))
    idea = Part("Idea", "keys", tuple(Note(16.0 + 4 * bar, 3.8, p, 80) for bar in range(4) for p in (60, 64, 67)))
    keys = composed(request, hearing(request, (idea, use), chords=block_chords(16.0, ((0, ""),) * 4))).part("keys")
    for bar in range(8):
        assert inside(keys.notes, 16.0 + 4 * bar, 20.0 + 4 * bar), f"bar {bar} of the verse is silent"
