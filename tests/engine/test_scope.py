"""An edit's scope: whole sections, or the bars that a selection touches."""

from __future__ import annotations

import pytest

from bridge.errors import RequestError
from bridge.messages import Scope
from bridge.timeline import Clock
from engine.compose import request2form
from engine.scope import joined, scope2spans, within
from tests.engine.compose.songs import song

FORM = request2form(song().arrangement, Clock.steady(120, 160))
"""Intro 0-16, Verse 1 16-48, Chorus 1 48-80, ... in 4/4."""


@pytest.mark.parametrize(
    ("scope", "spans"),
    [
        (Scope("a/take-1"), ((0.0, 160.0),)),
        (Scope("a/take-1", ("Intro", "Chorus 1")), ((0.0, 16.0), (48.0, 80.0))),
        (Scope("a/take-1", start=20.0, end=28.0), ((20.0, 28.0),)),
        (Scope("a/take-1", start=21.5, end=24.0), ((20.0, 24.0),)),
        (Scope("a/take-1", start=23.9, end=24.1), ((20.0, 28.0),)),
        (Scope("a/take-1", start=44.0, end=52.0), ((44.0, 52.0),)),
        (Scope("a/take-1", ("Verse 1",), start=44.0, end=52.0), ((44.0, 48.0),)),
        (Scope("a/take-1", start=156.0), ((156.0, 160.0),)),
        (Scope("a/take-1", end=1.0), ((0.0, 4.0),)),
    ],
)
def test_a_scope_covers_the_bars_that_it_touches(scope: Scope, spans: tuple[tuple[float, float], ...]) -> None:
    assert scope2spans(scope, FORM) == spans


def test_a_selection_beside_its_sections_is_refused() -> None:
    with pytest.raises(RequestError) as refused:
        scope2spans(Scope("a/take-1", ("Intro",), start=60.0, end=70.0), FORM)
    assert refused.value.field == "scope.start"


def test_spans_join_where_they_touch() -> None:
    assert joined([(8, 12), (0, 4), (4, 8), (13, 14)]) == ((0, 12), (13, 14))
    assert within(0.0, [(0, 4)])
    assert not within(4.0, [(0, 4)])
