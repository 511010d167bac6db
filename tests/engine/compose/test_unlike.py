"""A re-roll of bars is never what was there: over seeds, roles, styles, short spans, ramps, cuts and endings."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.arrangement import KeyAt
from bridge.messages import Render, Scope, StemWanted
from bridge.timeline import Bar, Metre
from engine.compose.form import BarShape
from engine.compose.seats import Seat
from engine.compose.unlike import other_forms, outline
from engine.diffusion.canvas import STREAMS
from engine.perform import perform
from engine.score import Heard, Note, Part, Score
from tests.engine.compose.songs import ALL_ROLES, block_chords, composed, hearing, inside, song

STEMS = (*ALL_ROLES, StemWanted("drums", "percussion"), StemWanted("guitar", "guitar 2"))
TITLES = tuple(s if isinstance(s, str) else s.name for s in STEMS)
AM_F_C_G = ((9, "m"), (5, ""), (0, ""), (7, ""))
STYLES = ("pop", "punk", "jazz swing", "ambient")


@cache
def evening(style: str) -> tuple[Render, Heard, Score]:
    """A cut intro, a verse on a ramp, the end of the song; over the user's chords."""
    request = song((("Intro", "intro", 2), ("Verse", "verse", 2), ("Outro", "outro", 2)), stems=STEMS, style=style)
    ramp = tuple((8.0 + k / 4, 4.8 + k / 4 * (0.6 - 0.1 * k / 32)) for k in range(33))
    arrangement = msgspec.structs.replace(
        request.arrangement,
        clock=((0.0, 0.0), *ramp, (24.0, ramp[-1][1] + 8 * 0.5)),
        keys=(KeyAt(0.0, "A", "minor"),),
    )
    request = msgspec.structs.replace(request, arrangement=arrangement, seed=41)
    heard = hearing(request, chords=block_chords(0, [AM_F_C_G[k % 4] for k in range(6)]))
    return request, heard, performed(request, heard)


def performed(request: Render, heard: Heard, previous: Score | None = None) -> Score:
    """The score with velocities and micro-timing."""
    score = composed(request, heard, previous=previous)
    return perform(score, request.arrangement.timeline(), score.feel, request.seed)


def rerolled(style: str, stem: str, start: float, end: float, seed: int) -> tuple[Score, Score]:
    """The take, and the take with one stem's bars written anew."""
    request, heard, take = evening(style)
    scope = Scope("job/take-1", stems=(stem,), start=start, end=end)
    return take, performed(msgspec.structs.replace(request, seed=seed, scope=scope), heard, take)


@settings(max_examples=80, deadline=None)
@given(
    style=st.sampled_from(STYLES),
    stem=st.sampled_from(TITLES),
    span=st.sampled_from([(4, 8), (12, 16), (20, 24), (0, 8), (4, 12), (8, 16), (16, 24)]),
    seed=st.integers(2, 2**31),
)
def test_a_reroll_plays_something_else_or_says_that_the_part_rests(
    style: str, stem: str, span: tuple[int, int], seed: int
) -> None:
    take, new = rerolled(style, stem, float(span[0]), float(span[1]), seed)
    old, fresh = (outline(inside(score.part(stem).notes, *span)) for score in (take, new))
    if old:
        assert fresh != old
    else:
        assert fresh or any(line.startswith(f"{stem}: ") and "stays as it was" in line for line in new.remarks)


@pytest.mark.parametrize("stem", ["drums", "bass", "keys", "lead"])
def test_the_same_seed_rolls_the_same(stem: str) -> None:
    assert rerolled("punk", stem, 20.0, 24.0, 9)[1] == rerolled("punk", stem, 20.0, 24.0, 9)[1]


@pytest.mark.parametrize(
    ("role", "notes"),
    [
        ("bass", [Note(20, 4, 31, 100)]),
        ("keys", [Note(20, 0.5, p, 100) for p in (43, 50, 55)]),
        ("drums", [Note(20, 0.25, p, 100) for p in (36, 49)]),
        ("lead", [Note(20, 1, 60, 90)]),
    ],
)
def test_a_bar_of_one_stroke_has_another_form(role: str, notes: list[Note]) -> None:
    """Endings have no weak places that a small change could take hold of."""
    bar = Bar(5, 20.0, 24.0, Metre(0.0, 4, 4))
    shape = BarShape(bar, bar, 1, "verse", frozenset(STREAMS), "", False, True, 0.5)
    forms = list(other_forms(Seat(role, role, "", "comp" if role == "keys" else role, 0), tuple(notes), shape))
    assert forms
    for form in forms:
        assert outline(form) != outline(notes)
        assert all(n.start >= 20 and n.end <= 24 for n in form)
        assert role == "drums" or {n.pitch % 12 for n in form} == {n.pitch % 12 for n in notes}


def test_bars_that_the_user_plays_stay_theirs() -> None:
    request, heard, _ = evening("pop")
    own = Part("my bass", "bass", tuple(Note(b, 1.0, 33, 90) for b in range(24)))
    heard = replace(heard, parts=(own,), uses=("follow",))
    take = performed(request, heard)
    scope = Scope("job/take-1", stems=("bass",), start=4.0, end=8.0)
    new = performed(msgspec.structs.replace(request, seed=7, scope=scope), heard, take)
    assert new.part("bass").notes == take.part("bass").notes
    assert any("your own playing" in line for line in new.remarks)
