"""An edit's score: note for note the earlier take's outside the scope, and no new note before its section."""

from __future__ import annotations

from bridge.messages import Scope
from bridge.timeline import Clock
from engine.edits import merge_edit
from engine.score import FormSection, Key, Note, Part, Score

CLOCK = Clock.steady(120, 16)
SECTIONS = (FormSection("A", "verse", 0, 8, 0.5, 0, ()), FormSection("B", "chorus", 8, 16, 0.8, 0, ()))


def score(pitch: int, *names: str, offset_ms: float = 0.0) -> Score:
    notes = tuple(Note(float(beat), 0.5, pitch, 80, offset_ms) for beat in range(16))
    return Score(Key(0, "major"), (), tuple(Part(name, name, notes) for name in names), SECTIONS)


def test_only_the_scope_is_new() -> None:
    old, new = score(50, "bass", "keys"), score(60, "bass", "keys")
    merged = merge_edit(new, old, Scope("x/take-1", ("B",), ("bass",)), CLOCK)
    assert merged.part("keys") == old.part("keys")
    assert [n.pitch for n in merged.part("bass").notes] == [50] * 8 + [60] * 8


def test_an_empty_scope_means_everything() -> None:
    merged = merge_edit(score(60, "bass"), score(50, "bass"), Scope("x/take-1"), CLOCK)
    assert {n.pitch for n in merged.part("bass").notes} == {60}


def test_a_part_that_the_earlier_take_lacks_is_added_and_one_not_named_stays() -> None:
    merged = merge_edit(score(60, "lead"), score(50, "bass"), Scope("x/take-1", (), ("lead",)), CLOCK)
    assert {(p.name, p.notes[0].pitch) for p in merged.parts} == {("lead", 60), ("bass", 50)}


def test_a_new_note_is_not_played_before_its_section() -> None:
    early = score(60, "bass", offset_ms=-12.0)
    merged = merge_edit(early, score(50, "bass"), Scope("x/take-1", ("B",), ("bass",)), CLOCK)
    written = [n for n in merged.part("bass").notes if n.pitch == 60]
    assert [n.offset_ms for n in written] == [0.0] + [-12.0] * 7
