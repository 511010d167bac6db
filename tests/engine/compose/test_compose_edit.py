"""Edits: the scope is new, everything else is the very same."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import RequestError
from bridge.messages import Scope, StemWanted
from engine.perform import perform
from engine.score import Score
from tests.engine.compose.songs import ALL_ROLES, SONG, composed, inside, song


def take() -> Score:
    request = song(key=("G", "major"))
    return perform(composed(request), request.arrangement.timeline(), composed(request).feel, 1)


TAKE = take()


def edited(scope: Scope, seed: int) -> tuple[Score, Score]:
    """The edited score as composed, and as performed with the edit's seed."""
    request = song(key=("G", "major"), seed=seed, scope=scope)
    new = composed(request, previous=TAKE)
    return new, perform(new, request.arrangement.timeline(), new.feel, seed)


@settings(max_examples=10, deadline=None)
@given(
    sections=st.lists(st.sampled_from([name for name, _, _ in SONG]), min_size=1, max_size=2, unique=True),
    stems=st.lists(st.sampled_from(ALL_ROLES), min_size=1, max_size=3, unique=True),
    seed=st.integers(2, 10_000),
)
def test_everything_outside_the_scope_is_bit_identical(sections, stems, seed) -> None:
    spans = [(f.start, f.end) for f in TAKE.sections if f.name in sections]
    for score in edited(Scope("job/take-1", tuple(sections), tuple(stems)), seed):
        assert score.chords == TAKE.chords
        assert score.key == TAKE.key
        for part in TAKE.parts:
            new = score.part(part.name)
            if part.name not in stems:
                assert new.notes == part.notes
                continue
            kept = [n for n in part.notes if not any(a <= n.start < b for a, b in spans)]
            assert [n for n in new.notes if not any(a <= n.start < b for a, b in spans)] == kept


@pytest.mark.parametrize("stem", ALL_ROLES)
def test_another_seed_writes_other_notes_in_the_scope(stem: str) -> None:
    chorus = TAKE.sections[2]

    def plain(score: Score) -> list[tuple[float, int]]:
        return [(n.start, n.pitch) for n in inside(score.part(stem).notes, chorus.start, chorus.end)]

    new, _ = edited(Scope("job/take-1", ("Chorus 1",), (stem,)), 77)
    assert plain(new)
    assert plain(new) != plain(TAKE)


def test_the_same_seed_writes_the_same_edit() -> None:
    scope = Scope("job/take-1", ("Chorus 1",), ("bass",))
    assert edited(scope, 9) == edited(scope, 9)


def test_an_edit_of_an_edit_keeps_the_first() -> None:
    _, first = edited(Scope("job/take-1", ("Chorus 1",), ("bass",)), 9)
    request = song(key=("G", "major"), seed=10, scope=Scope("job/take-2", ("Verse 1",), ("bass",)))
    second = composed(request, previous=first)
    second = perform(second, request.arrangement.timeline(), second.feel, 10)
    chorus, verse = TAKE.sections[2], TAKE.sections[1]
    assert inside(second.part("bass").notes, chorus.start, chorus.end) == inside(
        first.part("bass").notes, chorus.start, chorus.end
    )
    assert inside(second.part("bass").notes, verse.start, verse.end) != inside(
        first.part("bass").notes, verse.start, verse.end
    )


def test_an_empty_scope_means_all_of_it() -> None:
    new, _ = edited(Scope("job/take-1"), 50)
    assert all(new.part(p.name).notes != p.notes for p in TAKE.parts)
    assert new.chords == TAKE.chords


@pytest.mark.parametrize(
    ("scope", "field"),
    [
        (Scope("job/take-1", ("Nowhere",)), "scope.sections[0]"),
        (Scope("job/take-1", (), ("bass", "kazoo")), "scope.stems[1]"),
    ],
)
def test_a_scope_that_is_not_there_is_named(scope: Scope, field: str) -> None:
    with pytest.raises(RequestError) as refused:
        edited(scope, 3)
    assert refused.value.field == field


def test_a_take_of_another_composer_cannot_be_edited() -> None:
    foreign = msgspec.json.decode(msgspec.json.encode(TAKE), type=Score)
    assert foreign == TAKE
    from dataclasses import replace

    request = song(key=("G", "major"), seed=3, scope=Scope("job/take-1", (), ("bass",)))
    with pytest.raises(RequestError) as refused:
        composed(request, previous=replace(foreign, feel=replace(foreign.feel, groove="")))
    assert refused.value.code == "scope.take"


@pytest.mark.parametrize("stem", ALL_ROLES)
def test_only_the_selected_bars_are_new(stem: str) -> None:
    start, end = TAKE.sections[2].start + 8, TAKE.sections[2].start + 16
    new, performed = edited(Scope("job/take-1", stems=(stem,), start=start + 1, end=end), 31)
    for score in (new, performed):
        for part in TAKE.parts:
            outside = [n for n in part.notes if not start <= n.start < end]
            assert [n for n in score.part(part.name).notes if not start <= n.start < end] == outside
            changed = score.part(part.name).notes != part.notes
            assert changed == (part.name == stem), part.name
    assert any("Chorus 1, bar 3-4" in line for line in new.remarks)


def test_a_stem_that_the_take_lacks_is_added() -> None:
    wanted = [*ALL_ROLES, StemWanted("guitar", "guitar 2")]
    request = song(key=("G", "major"), stems=wanted, seed=5, scope=Scope("job/take-1", stems=("guitar 2",)))
    new = composed(request, previous=TAKE)
    assert new.part("guitar 2").notes
    assert all(new.part(p.name).notes == p.notes for p in TAKE.parts)


def test_a_stem_may_be_added_in_some_bars_only() -> None:
    request = song(
        key=("G", "major"), stems=[*ALL_ROLES, StemWanted("strings", "strings 2")], seed=5,
        scope=Scope("job/take-1", stems=("strings 2",), start=48.0, end=80.0),
    )  # fmt: skip
    notes = composed(request, previous=TAKE).part("strings 2").notes
    assert notes
    assert all(48.0 <= n.start < 80.0 for n in notes)
