"""Bars that the user gave to vary: which of them is an idea, which closes, and that versions are held against them."""

from __future__ import annotations

import numpy as np
import pytest

from engine.compose.candidates import Own, own2goals, total
from engine.compose.form import form2shape, request2form
from engine.compose.keys import Keys
from engine.compose.material import Material, base_stream
from engine.compose.measure import bar_notes
from engine.compose.song import Song
from engine.compose.unlike import outline
from engine.compose.vary import vary_bar
from engine.diffusion.canvas import STREAMS
from engine.grooves import groove
from engine.score import Key, Note
from tests.engine.compose.songs import block_chords, song

KICKS, FILL = (0.0, 2.5), (0.0, 1.0, 1.5, 3.0)


def two_verses() -> Song:
    """Two verses of eight bars and a chorus on C, with the pop groove."""
    request = song((("Verse 1", "verse", 8), ("Chorus", "chorus", 8), ("Verse 2", "verse", 8)), style="pop")
    clock = request.arrangement.timeline()
    shapes = form2shape(request2form(request.arrangement, clock), clock, STREAMS, seed=1)
    chords = block_chords(0.0, [(0, "")] * 24)
    return Song(shapes, chords, Keys.steady(Key(0, "major", given=True)), groove("pop"), 1)


def strokes(bar: int, places: tuple[float, ...]) -> list[Note]:
    return [Note(4 * bar + p, 0.25, 36, 90) for p in places]


def test_a_fill_of_ones_own_closes_its_section_and_is_not_played_all_through_it() -> None:
    here = two_verses()
    given = [*strokes(0, KICKS), *strokes(1, KICKS), *strokes(7, FILL), *strokes(23, FILL)]
    base = base_stream(here, "drums", Material(vary=tuple(given)))
    for first in (0, 16):
        for k in (2, 4, 5):
            plain = [n.start - 4 * (first + k) for n in bar_notes(base.notes, here.bars[first + k].bar)]
            assert plain == list(KICKS), f"bar {first + k + 1} goes on with the idea of the first verse"
        last = [n.start - 4 * (first + 7) for n in bar_notes(base.notes, here.bars[first + 7].bar)]
        assert len(set(FILL) & set(last)) >= 3


def test_the_last_bar_of_a_song_is_the_users_where_they_gave_it() -> None:
    here = two_verses()
    assert here.bars[23].ending
    given = [n for bar in (16, 17, 22, 23) for n in strokes(bar, FILL)]
    base = base_stream(here, "drums", Material(vary=tuple(given)))
    assert all(n.pitch == 36 for n in bar_notes(base.notes, here.bars[23].bar) if n.velocity > 60)
    untouched = base_stream(here, "drums", Material(vary=tuple(strokes(0, KICKS))))
    assert outline(bar_notes(untouched.notes, here.bars[23].bar)) == outline(
        bar_notes(base_stream(here, "drums", Material()).notes, here.bars[23].bar)
    )


def test_versions_are_held_against_the_users_bars() -> None:
    here = two_verses()
    restless = tuple(n for bar in range(4) for n in strokes(bar, (bar * 0.5, 2.0 + bar * 0.5)))
    steady = tuple(n for bar in range(4) for n in strokes(bar, KICKS))
    rows = frozenset(range(4))
    free, fixed = (own2goals(here, "drums", here.shapes[0], Own(n, rows))["stability"] for n in (restless, steady))
    assert free < 0.4
    assert fixed == 1.0
    loop, change = {"stability": 1.0}, {"stability": free}
    assert total("drums", change, {"stability": free}) > total("drums", loop, {"stability": free})
    assert total("drums", loop, {"stability": fixed}) > total("drums", change, {"stability": fixed})
    assert own2goals(here, "drums", here.shapes[0], Own()) == {}


def test_a_bass_that_walks_is_not_answered_by_roots_alone() -> None:
    here = two_verses()
    walking = tuple(Note(float(b), 1.0, 36 + (b * 5) % 12, 90) for b in range(16))
    goals = own2goals(here, "bass", here.shapes[1], Own(walking, frozenset(range(4))))
    assert goals["roots"] < 0.9, "measured in the verse, where there is no chorus of the user's"
    assert goals["scale"] < 1.0
    nearer = {"roots": goals["roots"], "scale": goals["scale"]}
    assert total("bass", nearer, goals) > total("bass", {"roots": 1.0, "scale": 1.0}, goals)


@pytest.mark.parametrize("seed", range(12))
def test_no_snare_comes_to_a_kit_that_has_none(seed: int) -> None:
    here = two_verses()
    bar = here.bars[0]
    hands = [Note(k / 2, 0.2, 54, 80) for k in range(8)]
    rng = np.random.default_rng(seed)
    varied = vary_bar("drums", hands, bar.bar, here.near(bar), here.key, rng, steps=4, changes=2)
    assert {n.pitch for n in varied} == {54}
